/** @file The gRPC interface on a socket; the only importer of grpc-js in this room. */
import type { Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { create, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  type ChannelOptions,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerInterceptingCall,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Log } from "../../base/log.ts";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  Health as HealthService,
  HealthCheckResponse_ServingStatus as HealthStatus,
} from "../../proto/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../proto/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../proto/grpc/reflection/v1alpha/reflection_pb.ts";
import { GRPCInferenceService } from "../../proto/inference/grpc_service_pb.ts";
import { ModelService } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { PredictionService } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import type { ClientAddresses } from "../access/client-address.ts";
import type { Gate } from "../access/gate.ts";
import type { RunOptions } from "../engine/servable.ts";
import type { ServerMetrics } from "../metrics.ts";
import type { Observer } from "../observe/finished.ts";
import { newTrace, TRACE_HEADER, traceOf, traceText } from "../observe/trace.ts";
import {
  type InferenceContext,
  loadRpc,
  modelConfigRpc,
  modelInferRpc,
  modelMetadataRpc,
  modelReadyRpc,
  modelStatisticsRpc,
  repositoryIndexRpc,
  serverLiveRpc,
  serverMetadataRpc,
  serverReadyRpc,
  unloadRpc,
} from "../open-inference/grpc.ts";
import { inferModelNameIn } from "../open-inference/messages.ts";
import { portError } from "../ports.ts";
import { REQUEST_ID_HEADER, recordAnswer, requestId } from "../request.ts";
import { STATUS, StatusError, toStatusError } from "../status.ts";
import { secureContext, type Tls } from "../tls.ts";
import { guarded } from "./admission.ts";
import { type IntakeOptions, memoryOf, meter } from "./intake.ts";
import { healthOf, healthRpc, modelStatusRpc, reloadRpc } from "./model-service.ts";
import { factsOf, observe } from "./observed.ts";
import { classifyRpc, metadataRpc, multiInferenceRpc, predictRpc, regressRpc } from "./prediction-service.ts";
import { Reflection } from "./reflection.ts";
import { RequestBytes } from "./request-bytes.ts";
import { modelNameIn } from "./request-messages.ts";
import { tuneConnections, widenCalls } from "./windows.ts";

/** What answering gRPC calls takes. */
export interface GrpcContext extends InferenceContext {
  readonly metrics: ServerMetrics;
  readonly log: Log;
  /** Whether calls without a trace begin one. */
  readonly beginsTraces?: boolean;
}

/** What any gRPC interface takes. */
export interface GrpcOptions {
  readonly enableHealth: boolean;
  readonly intake: IntakeOptions;
  /** Checks keys and rates before a message is read; left out, anybody may call anything. */
  readonly gate?: Gate | undefined;
  /** Proxies that are believed about the addresses of clients; left out, none. */
  readonly proxies?: ClientAddresses | undefined;
  /** Gets every call when it is over. */
  readonly observer?: Observer | undefined;
  /** grpc-js channel options, such as `grpc.max_receive_message_length`. */
  readonly channelOptions: ChannelOptions;
}

/** How to serve. */
export interface GrpcServerOptions extends GrpcOptions {
  /** Addresses to listen on: `0.0.0.0:8500`, `unix:/run/faceid.sock`. */
  readonly addresses: readonly string[];
  readonly tls?: Tls | undefined;
  readonly maxConnections: number;
  /** Whether reload requests and reflection are answered elsewhere, on the port for administrators. */
  readonly isAdministeredElsewhere?: boolean;
}

/** A gRPC interface that listens. */
export interface GrpcServer {
  /** Port of the first address. */
  readonly port: number;
  /** Takes another certificate for connections to come; only where it has one. */
  renew(tls: Tls): void;
  /** Stops accepting and answers calls in flight for at most this long. */
  close(graceMs: number): Promise<void>;
}

/** A gRPC interface without a port, for administrators. */
export interface InjectedGrpc {
  /** Takes over a connection that begins with HTTP/2's preface. */
  inject(socket: Socket): void;
  close(graceMs: number): Promise<void>;
}

const LARGEST_ANSWER = 2 ** 31 - 1;
/** Calls of one connection at a time; a client's further ones wait on its side. */
const MOST_CALLS = 1024;
/** A connection without a call is asked whether it lives, and closed when it is not used. */
const KEEPALIVE = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.max_connection_idle_ms": 10 * 60_000,
  "grpc.max_concurrent_streams": MOST_CALLS,
} as const;
/** Longest error text in bytes, as in TensorFlow Serving. */
const MOST_DETAIL = 1024;
const HEALTH_WATCH_MS = 500;
const SETTLE_MS = 10_000;

/** Calls that read and write the bytes of their messages, which may be large. */
const BY_BYTES: ReadonlySet<string> = new Set([
  "Predict",
  "Classify",
  "Regress",
  "MultiInference",
  "ModelInfer",
]);

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

/** A generated service description in the form of grpc-js. */
function definitionOf(service: DescService, typeName = service.typeName): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: `/${typeName}/${method.name}`,
        requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
        requestSerialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
        requestDeserialize: (bytes: Buffer) =>
          BY_BYTES.has(method.name)
            ? new RequestBytes(bytes)
            : fromBinary(method.input, bytes, { readUnknownFields: false }),
        responseSerialize: (answer: Message | Uint8Array) =>
          asBuffer(answer instanceof Uint8Array ? answer : toBinary(method.output, answer)),
        responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
      },
    ]),
  );
}

function serviceError(error: StatusError): Partial<ServiceError> {
  const text = Buffer.from(error.message);
  const details =
    text.length > MOST_DETAIL ? `${text.subarray(0, MOST_DETAIL).toString()}...TRUNCATED` : error.message;
  return { code: STATUS[error.status].grpc, details };
}

/** A call as a function from request to response message. */
type Rpc<I, O> = (context: GrpcContext, request: I, options: RunOptions) => O | Promise<O>;

/**
 * A call as a handler of grpc-js: with the client's deadline, error codes, log and metrics.
 * @param api its name in the metrics; not counted without one.
 */
function unary<I extends Message | RequestBytes, O extends Message | Uint8Array>(
  context: GrpcContext,
  rpc: Rpc<I, O>,
  api?: "Predict" | "Classify" | "Regress" | "ModelInfer",
) {
  return (call: ServerUnaryCall<I, O>, callback: sendUnaryData<O>): void => {
    const startedMs = performance.now();
    const memory = memoryOf(call);
    memory.hold();
    const id = requestId(call.metadata.get(REQUEST_ID_HEADER)[0]);
    const facts = factsOf(call);
    const trace =
      traceOf(call.metadata.get(TRACE_HEADER)[0]) ?? (context.beginsTraces ? newTrace() : undefined);
    const metadata = new Metadata();
    metadata.set(REQUEST_ID_HEADER, id);
    if (trace !== undefined) metadata.set(TRACE_HEADER, traceText(trace));
    call.sendMetadata(metadata);
    const { signal, stop } = callSignal(call);
    const nameIn = api === "ModelInfer" ? inferModelNameIn : modelNameIn;
    const model = call.request instanceof RequestBytes ? nameIn(call.request.bytes) : "";
    if (facts !== undefined) Object.assign(facts, { model, requestId: id, trace });
    const labels = api === undefined ? undefined : ([model, api, "GRPC"] as const);
    const finish = (failure: StatusError | undefined, answer?: O) => {
      stop();
      memory.release();
      const fields = { path: call.getPath(), ...(trace !== undefined && { trace: trace.traceId }) };
      recordAnswer(context, { requestId: id, fields, startedMs, labels }, failure);
      if (failure === undefined) callback(null, answer);
      else callback(serviceError(failure));
    };
    Promise.resolve()
      .then(() => rpc(context, call.request, { signal, memory }))
      .then(
        (answer) => finish(undefined, answer),
        (error: unknown) => finish(toStatusError(error)),
      );
  };
}

/** A signal that aborts when the client cancels the call or its deadline passes. */
function callSignal<I, O>(call: ServerUnaryCall<I, O>): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const deadline = Number(call.getDeadline());
  const isLate = () => Number.isFinite(deadline) && Date.now() >= deadline;
  const giveUp = () => {
    controller.abort(
      isLate()
        ? new StatusError("DEADLINE_EXCEEDED", "Timed out waiting for notification")
        : new StatusError("CANCELLED", "The client has cancelled the call."),
    );
  };
  call.once("cancelled", giveUp);
  return { signal: controller.signal, stop: () => call.off("cancelled", giveUp) };
}

const predictionHandlers = (context: GrpcContext): UntypedServiceImplementation => ({
  predict: unary(context, predictRpc, "Predict"),
  classify: unary(context, classifyRpc, "Classify"),
  regress: unary(context, regressRpc, "Regress"),
  multiInference: unary(context, multiInferenceRpc),
  getModelMetadata: unary(context, metadataRpc),
});

const modelHandlers = (context: GrpcContext, isAdministered: boolean): UntypedServiceImplementation => ({
  getModelStatus: unary(context, modelStatusRpc),
  ...(isAdministered && { handleReloadConfigRequest: unary(context, reloadRpc) }),
});

const inferenceHandlers = (context: GrpcContext): UntypedServiceImplementation => ({
  serverLive: unary(context, serverLiveRpc),
  serverReady: unary(context, serverReadyRpc),
  serverMetadata: unary(context, serverMetadataRpc),
  modelReady: unary(context, modelReadyRpc),
  modelMetadata: unary(context, modelMetadataRpc),
  modelInfer: unary(context, modelInferRpc, "ModelInfer"),
  modelConfig: unary(context, modelConfigRpc),
  modelStatistics: unary(context, modelStatisticsRpc),
  repositoryIndex: unary(context, repositoryIndexRpc),
});

const repositoryHandlers = (context: GrpcContext): UntypedServiceImplementation => ({
  repositoryIndex: unary(context, repositoryIndexRpc),
  repositoryModelLoad: unary(context, loadRpc),
  repositoryModelUnload: unary(context, unloadRpc),
});

/** @param ending aborted when the server closes: watchers get `NOT_SERVING`, and their calls end. */
function healthHandlers(context: GrpcContext, ending: AbortSignal): UntypedServiceImplementation {
  return {
    check: unary(context, healthRpc),
    watch: (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
      let last: HealthStatus | undefined;
      const write = (status: HealthStatus) => {
        if (status !== last) call.write(create(HealthCheckResponseSchema, { status }));
        last = status;
      };
      const check = () => write(healthOf(context, call.request) ?? HealthStatus.SERVICE_UNKNOWN);
      check();
      const timer = setInterval(check, HEALTH_WATCH_MS).unref();
      const end = () => {
        clearInterval(timer);
        ending.removeEventListener("abort", close);
        call.end();
      };
      const close = () => {
        write(HealthStatus.NOT_SERVING);
        end();
      };
      ending.addEventListener("abort", close, { once: true });
      call.on("cancelled", end);
    },
  };
}

function reflectionHandlers(services: readonly DescService[]): UntypedServiceImplementation {
  const reflection = new Reflection(services);
  return {
    serverReflectionInfo: (call: ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>) => {
      call.on("data", (request: ServerReflectionRequest) => call.write(reflection.answer(request)));
      call.on("end", () => call.end());
    },
  };
}

function credentialsOf(tls: Tls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(
    tls.ca === undefined ? null : Buffer.from(tls.ca),
    [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }],
    tls.requireClientCertificate,
  );
}

/** Takes other certificates; grpc-js offers it to its own kinds of credentials only. */
function renew(credentials: ServerCredentials, tls: Tls): void {
  const inner = credentials as unknown as { updateSecureContextOptions(options: SecureContextOptions): void };
  inner.updateSecureContextOptions(secureContext(tls));
}

function createGrpc(options: GrpcOptions): Server {
  const server = new Server({
    "grpc.max_receive_message_length": options.intake.maxMessageBytes,
    "grpc.max_send_message_length": LARGEST_ANSWER,
    ...KEEPALIVE,
    ...options.channelOptions,
    interceptors: [
      (method, call) => {
        const { gate, proxies, observer } = options;
        meter(method.path, method.requestStream, call, options.intake);
        if (observer !== undefined) observe(call, method.path, observer, proxies);
        return guarded(call, method.path, gate, proxies) as ServerInterceptingCall;
      },
    ],
  });
  widenCalls(server);
  return server;
}

function addHealth(server: Server, context: GrpcContext, options: GrpcOptions): AbortController {
  const ending = new AbortController();
  if (options.enableHealth) {
    server.addService(definitionOf(HealthService), healthHandlers(context, ending.signal));
  }
  return ending;
}

/** Describes the services of both kinds of interfaces. */
function addReflection(server: Server, hasHealth: boolean): void {
  const services = [
    PredictionService,
    ModelService,
    GRPCInferenceService,
    ...(hasHealth ? [HealthService] : []),
  ];
  const described = reflectionHandlers([...services, ServerReflection, ServerReflectionAlpha]);
  server.addService(definitionOf(ServerReflection), described);
  // The older version differs only in its name.
  server.addService(definitionOf(ServerReflection, ServerReflectionAlpha.typeName), described);
}

/**
 * Opens all addresses.
 * @throws FaceError `PORT_IN_USE`.
 */
export async function startGrpc(context: GrpcContext, options: GrpcServerOptions): Promise<GrpcServer> {
  const isAdministered = options.isAdministeredElsewhere !== true;
  const server = createGrpc(options);
  server.addService(definitionOf(PredictionService), predictionHandlers(context));
  server.addService(definitionOf(ModelService), modelHandlers(context, isAdministered));
  server.addService(definitionOf(GRPCInferenceService), {
    ...inferenceHandlers(context),
    ...(isAdministered && repositoryHandlers(context)),
  });
  const ending = addHealth(server, context, options);
  if (isAdministered) addReflection(server, options.enableHealth);
  const credentials = credentialsOf(options.tls);
  let port = 0;
  for (const address of options.addresses) {
    try {
      const bound = await bind(server, address, credentials);
      port ||= bound;
    } catch (error) {
      server.forceShutdown();
      throw portError("gRPC", address.replace(/^[\d.]+:/, ""), error);
    }
  }
  tuneConnections(server, { maxConnections: options.maxConnections, settleMs: SETTLE_MS });
  return {
    port,
    renew: (tls) => renew(credentials, tls),
    close: (graceMs) => {
      ending.abort();
      return shutDown(server, graceMs);
    },
  };
}

/** The gRPC interface for administrators: model states, reload, reflection and health. */
export function adminGrpc(context: GrpcContext, options: GrpcOptions): InjectedGrpc {
  const server = createGrpc(options);
  server.addService(definitionOf(ModelService), modelHandlers(context, true));
  server.addService(definitionOf(GRPCInferenceService), repositoryHandlers(context));
  const ending = addHealth(server, context, options);
  addReflection(server, options.enableHealth);
  const connections = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    inject: (socket) => connections.injectConnection(socket),
    close: (graceMs) => {
      ending.abort();
      connections.drain(graceMs);
      return shutDown(server, graceMs);
    },
  };
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

/** Aborts calls that do not end within the time. */
function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
