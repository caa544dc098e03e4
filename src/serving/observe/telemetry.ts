/** @file Traces and metrics of requests for an OpenTelemetry collector; the only importer of OpenTelemetry, loaded only when it is wanted. */
import {
  type Attributes,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { VERSION } from "../../base/platform.ts";
import type { FinishedRequest } from "./finished.ts";
import { newTrace, type Trace } from "./trace.ts";

/** Sends what was observed, in the background. */
export interface Telemetry {
  finished(request: FinishedRequest): void;
  /** Sends what waits. */
  close(): Promise<void>;
}

/** UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: errors of a server by the conventions of OpenTelemetry. */
const SERVER_FAULTS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);
const KNOWN_ROUTES: ReadonlySet<string> = new Set(["/v1/models", "/healthz", "/readyz"]);
/** Bounds of a duration in seconds, by the conventions for HTTP servers. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const MS_PER_SECOND = 1000;
const EXPORT_INTERVAL_MS = 60_000;

const isSuccess = ({ protocol, status }: FinishedRequest) =>
  protocol === "gRPC" ? status === 0 : status < 400;

/** Few values, whatever clients send: they name series of metrics. */
function labelsOf(request: FinishedRequest): Attributes {
  const { protocol, method, route, model, status } = request;
  const named = isSuccess(request) && model !== "" ? { "faceid.model": model } : {};
  if (protocol === "gRPC") {
    const [, service] = route.split("/");
    return {
      ...named,
      "rpc.system": "grpc",
      "rpc.service": service,
      "rpc.method": method,
      "rpc.grpc.status_code": status,
    };
  }
  const isKnown = route.startsWith("/v1/models/{model}") || KNOWN_ROUTES.has(route);
  return {
    ...named,
    "http.request.method": method,
    "http.response.status_code": status,
    ...(isKnown && { "http.route": route }),
  };
}

/** Texts of clients are cut. */
const MOST_TEXT = 256;

function attributesOf(request: FinishedRequest): Attributes {
  const { address, requestId, keyId, bytesIn, bytesOut, model } = request;
  return {
    ...labelsOf(request),
    "client.address": address,
    "faceid.request_id": requestId,
    "faceid.bytes_in": bytesIn,
    "faceid.bytes_out": bytesOut,
    ...(model !== "" && { "faceid.model": model.slice(0, MOST_TEXT) }),
    ...(keyId !== undefined && { "faceid.key": keyId }),
  };
}

function nameOf({ protocol, method, route }: FinishedRequest, labels: Attributes): string {
  if (protocol === "gRPC") return route.slice(1);
  return labels["http.route"] === undefined ? method : `${method} ${route}`;
}

const isFault = ({ protocol, status }: FinishedRequest) =>
  protocol === "gRPC" ? SERVER_FAULTS.has(status) : status >= 500;

/** Failures to send, each once in a row. */
function logFailures(log: Log): void {
  let before = "";
  const say = (message: string) => {
    if (message !== before) log.warn("telemetry could not be sent", { cause: message.slice(0, MOST_TEXT) });
    before = message;
  };
  const drop = () => undefined;
  diag.setLogger({ error: say, warn: say, info: drop, debug: drop, verbose: drop }, DiagLogLevel.WARN);
}

/** Begins to send to the collector that the variables of OpenTelemetry name. */
export function openTelemetry(log: Log): Telemetry {
  logFailures(log);
  const service = resourceFromAttributes({ "service.name": "faceid", "service.version": VERSION });
  const resource = defaultResource()
    .merge(service)
    .merge(detectResources({ detectors: [envDetector] }));
  // The ids were sent in the answer before the span is made.
  let ids: Trace = newTrace();
  const tracers = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
    idGenerator: { generateTraceId: () => ids.traceId, generateSpanId: () => ids.spanId },
  });
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(),
        exportIntervalMillis: Number(process.env.OTEL_METRIC_EXPORT_INTERVAL) || EXPORT_INTERVAL_MS,
      }),
    ],
  });
  const tracer = tracers.getTracer("faceid", VERSION);
  const meter = meters.getMeter("faceid", VERSION);
  const advice = { explicitBucketBoundaries: SECONDS };
  const http = meter.createHistogram("http.server.request.duration", { unit: "s", advice });
  const rpc = meter.createHistogram("rpc.server.call.duration", { unit: "s", advice });
  return {
    finished: (request) => {
      const { at, ms, protocol } = request;
      ids = request.trace ?? newTrace();
      const { traceId, parentId, flags } = ids;
      const parent = {
        traceId,
        spanId: parentId ?? "",
        traceFlags: Number.parseInt(flags, 16),
        isRemote: true,
      };
      const context = parentId === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
      const labels = labelsOf(request);
      const attributes = attributesOf(request);
      const span = tracer.startSpan(
        nameOf(request, labels),
        { kind: SpanKind.SERVER, startTime: at, attributes },
        context,
      );
      if (isFault(request)) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(at + ms);
      (protocol === "gRPC" ? rpc : http).record(ms / MS_PER_SECOND, labels);
    },
    close: async () => {
      // A collector that is gone does not stop the server from ending.
      await Promise.all([tracers.shutdown(), meters.shutdown()]).catch((error: unknown) =>
        log.warn("telemetry could not be sent", { cause: messageOf(error) }),
      );
    },
  };
}
