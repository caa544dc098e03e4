/** @file Traces and metrics, sent to a collector that the test is; and servers whose collector is gone or named wrongly. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { grpcCaller } from "../../../test/support/grpc-client.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { float32 } from "../../base/tensor.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { singleModelConfig } from "../repository/model-config.ts";
import { type RunningServer, type ServerOptions, startServer } from "../server.ts";

interface Named {
  readonly key: string;
  readonly value: Record<string, unknown>;
}
interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly status: { code: number };
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Named[];
}

let folder: ModelFolder;
let collector: Server;
let url: string;
let received: { path: string; body: unknown }[] = [];

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 1, "half_plus_two");
  collector = createServer(async (request, response) => {
    received.push({ path: request.url!, body: await json(request) });
    response.setHeader("content-type", "application/json").end("{}");
  }).listen(0, "127.0.0.1");
  await once(collector, "listening");
  url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
});

afterAll(async () => {
  collector.closeAllConnections();
  collector.close();
  await folder[Symbol.asyncDispose]();
});

afterEach(() => {
  vi.unstubAllEnvs();
  received = [];
});

const started = (options: Partial<ServerOptions> = {}): Promise<RunningServer> =>
  startServer({
    models: singleModelConfig("half", join(folder.path, "half")),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    maxLoadRetries: 0,
    ...options,
  });

const post = (server: RunningServer, path: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${server.restPort}${path}`, {
    method: "POST",
    headers,
    body: '{"instances": [1]}',
  });

/** Fields of the same name, wherever they are. */
function all(value: unknown, name: string): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(key === name ? [inner] : []),
    ...all(inner, name),
  ]);
}
const plain = (attributes: Named[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

const TRACE = "0af7651916cd43dd8448eb211c80319c";

describe("OTEL_EXPORTER_OTLP_ENDPOINT", () => {
  it("sends a span and a duration of each request, within the client's trace, when the server ends at the latest", async () => {
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    vi.stubEnv("OTEL_SERVICE_NAME", "faces");
    const server = await started();
    const answer = await post(server, "/v1/models/half:predict", {
      traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
    });
    const own = answer.headers.get("traceparent")!.split("-")[2];
    expect((await post(server, "/v1/models/half:predict")).headers.get("traceparent")).toMatch(/^00-.*-01$/);
    await post(server, "/v1/models/nobody:predict");
    await post(server, "/v1/%0d%0a");
    await post(server, "/v1/models/half:predict", {
      traceparent: `00-${"a".repeat(32)}-b7ad6b7169203331-00`,
    });
    using caller = grpcCaller(`127.0.0.1:${server.grpcPort}`);
    const inputs = { x: tensorToProto(float32([1], [2])) };
    await caller.call(
      PredictionService.method.predict,
      create(PredictRequestSchema, { modelSpec: { name: "half" }, inputs }),
    );
    await server.close();

    const spans = received
      .filter(({ path }) => path === "/v1/traces")
      .flatMap(({ body }) => all(body, "spans").flat() as Span[]);
    expect(spans.map(({ name }) => name)).toEqual([
      "POST /v1/models/{model}:predict",
      "POST /v1/models/{model}:predict",
      "POST /v1/models/{model}:predict",
      "POST",
      "tensorflow.serving.PredictionService/Predict",
    ]);
    const [first, second, missing] = spans as [Span, Span, Span];
    expect(first).toMatchObject({ traceId: TRACE, parentSpanId: "b7ad6b7169203331", spanId: own, kind: 2 });
    expect(BigInt(first.endTimeUnixNano)).toBeGreaterThan(BigInt(first.startTimeUnixNano));
    expect(plain(first.attributes)).toMatchObject({
      "http.request.method": "POST",
      "http.route": "/v1/models/{model}:predict",
      "http.response.status_code": 200,
      "faceid.model": "half",
    });
    expect(second.traceId).not.toBe(TRACE);
    expect(second.parentSpanId ?? "").toBe("");
    expect(plain(missing.attributes)).toMatchObject({
      "http.response.status_code": 404,
      "faceid.model": "nobody",
    });
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);

    const metrics = received.filter(({ path }) => path === "/v1/metrics").map(({ body }) => body);
    const names = all(metrics, "name");
    expect(names).toContain("http.server.request.duration");
    expect(names).toContain("rpc.server.call.duration");
    const counts = all(metrics, "count").map(Number);
    expect(counts.reduce((sum, value) => sum + value, 0)).toBe(6);
    expect(JSON.stringify(metrics)).not.toContain("nobody");
    expect(JSON.stringify(metrics)).toContain('"faces"');
  });

  it("does not keep a server from answering and ending when the collector is gone", async () => {
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    vi.stubEnv("OTEL_EXPORTER_OTLP_TIMEOUT", "500");
    const warn = vi.fn();
    const server = await started({ log: { ...silentLog, warn } });
    expect((await post(server, "/v1/models/half:predict")).status).toBe(200);
    await server.close();
    expect(warn).toHaveBeenCalledWith("telemetry could not be sent", expect.anything());
  });

  it.each([
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "localhost", /OTEL_EXPORTER_OTLP_ENDPOINT: "localhost" is no address/],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x", /is no address/],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", /OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not supported/],
  ])("refuses %s=%s", async (name, value, message) => {
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    vi.stubEnv(name, value);
    await expect(started()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["", "false"],
    ["url", "true"],
  ])("sends nothing with %j and OTEL_SDK_DISABLED=%s", async (endpoint, disabled) => {
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint === "" ? "" : url);
    vi.stubEnv("OTEL_SDK_DISABLED", disabled);
    const server = await started();
    expect((await post(server, "/v1/models/half:predict")).headers.has("traceparent")).toBe(false);
    await server.close();
    expect(received).toEqual([]);
  });
});
