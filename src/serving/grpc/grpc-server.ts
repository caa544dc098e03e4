/** @file The only door of the server to grpc-js: services on a socket. */
import { create, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  type ChannelOptions,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { FaceError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
  Health as HealthService,
} from "../../proto/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../proto/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../proto/grpc/reflection/v1alpha/reflection_pb.ts";
import { ModelService } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { PredictionService } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import type { RunOptions } from "../engine/servable.ts";
import type { Catalog } from "../repository/catalog.ts";
import { REQUEST_ID_HEADER, requestId } from "../request-id.ts";
import type { ServerMetrics } from "../server-metrics.ts";
import { STATUS, StatusError, toStatusError } from "../status.ts";
import { checkedHealth, healthOf, modelStatusRpc, reloadRpc } from "./model-service.ts";
import {
  classifyRpc,
  metadataRpc,
  multiInferenceRpc,
  type PredictionContext,
  predictRpc,
  regressRpc,
} from "./prediction-service.ts";
import { Reflection } from "./reflection.ts";
import { dropPieces, widenCalls, widenConnections } from "./windows.ts";

/** What the gRPC interface works with. */
export interface GrpcContext extends PredictionContext {
  readonly catalog: Catalog;
  readonly metrics: ServerMetrics;
  readonly log: Log;
}

/** Certificates in PEM. */
export interface GrpcTls {
  readonly key: string;
  readonly cert: string;
  readonly ca?: string;
  readonly requireClientCertificate: boolean;
}

/** How to serve. */
export interface GrpcServerOptions {
  /** Addresses to listen on: `0.0.0.0:8500`, `unix:/run/faceid.sock`. */
  readonly addresses: readonly string[];
  readonly tls?: GrpcTls;
  readonly enableHealth: boolean;
  /** grpc-js channel options, such as `grpc.max_receive_message_length`. */
  readonly channelOptions: ChannelOptions;
}

/** A gRPC interface that listens. */
export interface GrpcServer {
  /** Port of the first address. */
  readonly port: number;
  /** Stops accepting and answers what is in flight, for at most this long. */
  close(graceMs: number): Promise<void>;
}

const LARGEST_MESSAGE = 2 ** 31 - 1;
/** Longest text of an error in bytes, as in TensorFlow Serving. */
const MOST_DETAIL = 1024;
const HEALTH_WATCH_MS = 500;

/** grpc-js' description of a service, from the generated one. */
function definitionOf(service: DescService, typeName = service.typeName): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: `/${typeName}/${method.name}`,
        requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
        requestSerialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
        requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
        responseSerialize: (message: Message) => Buffer.from(toBinary(method.output, message)),
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

type Unary<I, O> = (request: I, options: RunOptions) => O | Promise<O>;

/** Wraps a function as a grpc-js handler with the client's deadline, counting and error codes. */
function unary<I extends Message, O extends Message>(
  context: GrpcContext,
  api: "Predict" | "Classify" | "Regress" | undefined,
  work: Unary<I, O>,
) {
  return (call: ServerUnaryCall<I, O>, callback: sendUnaryData<O>): void => {
    const startedMs = performance.now();
    dropPieces(call);
    const id = requestId(call.metadata.get(REQUEST_ID_HEADER)[0]);
    const heading = new Metadata();
    heading.set(REQUEST_ID_HEADER, id);
    call.sendMetadata(heading);
    const { signal, stop } = callSignal(call);
    const finish = (status: StatusError | undefined, answer?: O) => {
      stop();
      if (api !== undefined) {
        const spec = (call.request as { modelSpec?: { name: string } }).modelSpec;
        context.metrics.request(spec?.name ?? "", api, "GRPC", status?.status ?? "OK", startedMs);
      }
      const ms = Math.round(performance.now() - startedMs);
      context.log.debug("answered", {
        requestId: id,
        path: call.getPath(),
        status: status?.status ?? "OK",
        ms,
      });
      if (status === undefined) callback(null, answer);
      else callback(serviceError(status));
    };
    Promise.resolve()
      .then(() => work(call.request, { signal }))
      .then(
        (answer) => finish(undefined, answer),
        (error: unknown) => {
          const status = toStatusError(error);
          if (status.cause !== undefined) {
            // What is wrong with a request is the client's to read; the log is for what is wrong here.
            const level = status.status === "INVALID_ARGUMENT" ? "debug" : "error";
            const cause = messageOf(status.cause);
            context.log[level]("a call failed", { requestId: id, path: call.getPath(), cause });
          }
          finish(status);
        },
      );
  };
}

/** Aborted when the client's deadline passes or it cancels the call. */
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

function predictionHandlers(context: GrpcContext): UntypedServiceImplementation {
  return {
    predict: unary(context, "Predict", (request: Parameters<typeof predictRpc>[1], options) =>
      predictRpc(context, request, options),
    ),
    classify: unary(context, "Classify", (request: Parameters<typeof classifyRpc>[1], options) =>
      classifyRpc(context, request, options),
    ),
    regress: unary(context, "Regress", (request: Parameters<typeof regressRpc>[1], options) =>
      regressRpc(context, request, options),
    ),
    multiInference: unary(context, undefined, (request: Parameters<typeof multiInferenceRpc>[1], options) =>
      multiInferenceRpc(context, request, options),
    ),
    getModelMetadata: unary(context, undefined, (request: Parameters<typeof metadataRpc>[1]) =>
      metadataRpc(context, request),
    ),
  };
}

function modelHandlers(context: GrpcContext): UntypedServiceImplementation {
  return {
    getModelStatus: unary(context, undefined, (request: Parameters<typeof modelStatusRpc>[1]) =>
      modelStatusRpc(context.catalog, request),
    ),
    handleReloadConfigRequest: unary(context, undefined, (request: Parameters<typeof reloadRpc>[1]) =>
      reloadRpc(context.catalog, request),
    ),
  };
}

/** @param ending aborted when the server ends: whoever watches is told, and let go. */
function healthHandlers(context: GrpcContext, ending: AbortSignal): UntypedServiceImplementation {
  const { catalog } = context;
  return {
    check: unary(context, undefined, (request: HealthCheckRequest) =>
      create(HealthCheckResponseSchema, { status: checkedHealth(catalog, request) }),
    ),
    watch: (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
      let last: HealthCheckResponse_ServingStatus | undefined;
      const tell = () => {
        const status = healthOf(catalog, call.request) ?? HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN;
        if (status !== last) call.write(create(HealthCheckResponseSchema, { status }));
        last = status;
      };
      tell();
      const timer = setInterval(tell, HEALTH_WATCH_MS).unref();
      const letGo = () => {
        clearInterval(timer);
        ending.removeEventListener("abort", sayGoodbye);
        call.end();
      };
      const sayGoodbye = () => {
        call.write(
          create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.NOT_SERVING }),
        );
        letGo();
      };
      ending.addEventListener("abort", sayGoodbye, { once: true });
      call.on("cancelled", letGo);
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

function credentialsOf(tls: GrpcTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(
    tls.ca === undefined ? null : Buffer.from(tls.ca),
    [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }],
    tls.requireClientCertificate,
  );
}

/**
 * Opens all addresses.
 * @throws FaceError `PORT_IN_USE`.
 */
export async function startGrpc(context: GrpcContext, options: GrpcServerOptions): Promise<GrpcServer> {
  const server = new Server({
    "grpc.max_receive_message_length": LARGEST_MESSAGE,
    "grpc.max_send_message_length": LARGEST_MESSAGE,
    ...options.channelOptions,
  });
  widenCalls(server);
  server.addService(definitionOf(PredictionService), predictionHandlers(context));
  server.addService(definitionOf(ModelService), modelHandlers(context));
  const ending = new AbortController();
  if (options.enableHealth) {
    server.addService(definitionOf(HealthService), healthHandlers(context, ending.signal));
  }
  const services = [PredictionService, ModelService, ...(options.enableHealth ? [HealthService] : [])];
  const described = reflectionHandlers([...services, ServerReflection, ServerReflectionAlpha]);
  server.addService(definitionOf(ServerReflection), described);
  // The older version differs in its name alone.
  server.addService(definitionOf(ServerReflection, ServerReflectionAlpha.typeName), described);
  let port = 0;
  for (const address of options.addresses) {
    try {
      const bound = await bind(server, address, credentialsOf(options.tls));
      port ||= bound;
    } catch (error) {
      server.forceShutdown();
      throw new FaceError("PORT_IN_USE", `cannot listen on gRPC address ${address}: ${messageOf(error)}`, {
        hint: "stop the program that uses it, or choose another --port",
        cause: error,
      });
    }
  }
  widenConnections(server);
  return {
    port,
    close: (graceMs) => {
      ending.abort();
      return shutDown(server, graceMs);
    },
  };
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

/** Calls that do not end within the time are cut off. */
function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
