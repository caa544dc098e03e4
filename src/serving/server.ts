/** @file A whole server: models loaded first, then the ports opened, and everything closed in good order. */
import { availableParallelism } from "node:os";
import type { Log } from "../base/log.ts";
import type { ModelServerConfig } from "../proto/tensorflow_serving/model_service_pb.ts";
import { type BatchOptions, defaultBatchOptions } from "./batching/options.ts";
import type { ModelLoader } from "./engine/servable.ts";
import { type GrpcServer, type GrpcServerOptions, type GrpcTls, startGrpc } from "./grpc/grpc-server.ts";
import { JsonCodec } from "./json/codec.ts";
import { modelChain } from "./repository/model-chain.ts";
import { Repository } from "./repository/repository.ts";
import type { RestOptions } from "./rest/handler.ts";
import { type RestLimits, type RestServer, type RestTls, startRest } from "./rest/rest-server.ts";
import { ServerMetrics } from "./server-metrics.ts";

export interface ServerOptions {
  readonly models: ModelServerConfig;
  readonly loader: ModelLoader;
  readonly log: Log;
  /** 0 picks a free port, undefined leaves gRPC off. */
  readonly grpcPort: number | undefined;
  /** Path of a unix socket for gRPC beside the port. */
  readonly grpcSocketPath?: string | undefined;
  /** 0 picks a free port, undefined leaves REST off. */
  readonly restPort: number | undefined;
  readonly rest?: Partial<RestOptions>;
  readonly limits?: Partial<RestLimits>;
  readonly metricsPath?: string | undefined;
  readonly tls?: (GrpcTls & RestTls) | undefined;
  /** grpc.health.v1; on by default. */
  readonly enableGrpcHealth?: boolean;
  /** Options of grpc-js, such as `grpc.max_receive_message_length`. */
  readonly grpcChannelOptions?: GrpcServerOptions["channelOptions"];
  /** How requests are gathered; `false` runs each by itself. Default: whatever never makes a request fail. */
  readonly batching?: BatchOptions | false | undefined;
  /** Take each version's own `batching_params.pbtxt`. */
  readonly perModelBatching?: boolean;
  /** Times that each recorded request is sent to a new version; `false` for no warm-up. */
  readonly warmup?: number | false;
  /** Largest tensor that a gRPC request may claim. */
  readonly maxTensorBytes?: number;
  /** Gives up starting: waiting for models ends, no port opens. */
  readonly signal?: AbortSignal;
  readonly asTensorContent?: boolean;
  readonly pollWaitSeconds?: number;
  readonly maxLoadRetries?: number;
  readonly loadRetryIntervalMs?: number;
  readonly loadThreads?: number;
  readonly allowLabelsForUnavailable?: boolean;
}

export interface RunningServer extends AsyncDisposable {
  /** Undefined where that interface is off. */
  readonly grpcPort: number | undefined;
  readonly restPort: number | undefined;
  /** Replaces the configuration, as a reload request would. */
  reload(config: ModelServerConfig): Promise<void>;
  /** Stops accepting, answers what is in flight for at most this long, frees the models. */
  close(graceMs?: number): Promise<void>;
}

const MEGABYTE = 2 ** 20;
const DEFAULT_LIMITS: RestLimits = {
  maxBodyBytes: 256 * MEGABYTE,
  maxTotalBodyBytes: 1024 * MEGABYTE,
  requestTimeoutMs: 60_000,
  maxConnections: 10_000,
};
const DEFAULT_REST: RestOptions = {
  timeoutMs: 30_000,
  enableCors: false,
  listModels: true,
  acceptBinary: false,
};
/** Two threads at least, so that one huge document does not hold up all the others. */
const CODEC = { workers: Math.max(2, Math.ceil(availableParallelism() / 4)), maxQueued: 256 };
const DEFAULT_GRACE_MS = 10_000;
const LARGEST_TENSOR_BYTES = 1024 * MEGABYTE;

/**
 * Starts a server; the ports open when every model has a version that answers.
 * @throws FaceError `PORT_IN_USE`, `MODEL_INVALID` when a model cannot be loaded, `INTERRUPTED` by the signal.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { log, batching = defaultBatchOptions(), warmup = 1 } = options;
  const metrics = new ServerMetrics();
  const codec = new JsonCodec(CODEC);
  const repository = new Repository({
    loader: modelChain({
      loader: options.loader,
      batching: batching === false ? undefined : batching,
      perModelBatching: options.perModelBatching ?? false,
      warmup: warmup === false ? undefined : { iterations: warmup },
      metrics,
      log,
    }),
    log,
    pollWaitSeconds: options.pollWaitSeconds ?? 1,
    maxLoadRetries: options.maxLoadRetries ?? 5,
    loadRetryIntervalMs: options.loadRetryIntervalMs ?? 60_000,
    loadThreads: options.loadThreads ?? 0,
    allowLabelsForUnavailable: options.allowLabelsForUnavailable ?? false,
  });
  let grpc: GrpcServer | undefined;
  let rest: RestServer | undefined;
  const close = async (graceMs = DEFAULT_GRACE_MS) => {
    await Promise.all([grpc?.close(graceMs), rest?.close(graceMs)]);
    await codec[Symbol.asyncDispose]();
    await repository[Symbol.asyncDispose]();
  };
  try {
    await repository.start(options.models, options.signal);
    grpc = await openGrpc(options, repository, metrics);
    rest = await openRest(options, repository, metrics, codec);
  } catch (error) {
    await close(0);
    throw error;
  }
  return {
    grpcPort: grpc?.port,
    restPort: rest?.port,
    reload: (config) => repository.reload(config),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

async function openGrpc(
  options: ServerOptions,
  catalog: Repository,
  metrics: ServerMetrics,
): Promise<GrpcServer | undefined> {
  const { log, grpcPort, grpcSocketPath, tls } = options;
  const addresses = [
    ...(grpcPort === undefined ? [] : [`0.0.0.0:${grpcPort}`]),
    ...(grpcSocketPath === undefined ? [] : [`unix:${grpcSocketPath}`]),
  ];
  if (addresses.length === 0) return undefined;
  const context = {
    catalog,
    models: catalog,
    metrics,
    log,
    asTensorContent: options.asTensorContent ?? false,
    limits: { maxBytes: options.maxTensorBytes ?? LARGEST_TENSOR_BYTES },
  };
  const server = await startGrpc(context, {
    addresses,
    enableHealth: options.enableGrpcHealth ?? true,
    channelOptions: options.grpcChannelOptions ?? {},
    ...(tls === undefined ? {} : { tls }),
  });
  log.info(`Running gRPC ModelServer at ${addresses[0]!.replace(/:\d+$/, `:${server.port}`)} ...`);
  return server;
}

async function openRest(
  options: ServerOptions,
  catalog: Repository,
  metrics: ServerMetrics,
  codec: JsonCodec,
): Promise<RestServer | undefined> {
  const { log, restPort, metricsPath, tls } = options;
  if (restPort === undefined) return undefined;
  const context = { catalog, codec, metrics, log, options: { ...DEFAULT_REST, ...options.rest } };
  const server = await startRest(
    context,
    {
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      ...(metricsPath === undefined ? {} : { metricsPath }),
      ...(tls === undefined ? {} : { tls }),
    },
    restPort,
  );
  log.info(`Exporting HTTP/REST API at:localhost:${server.port} ...`);
  return server;
}
