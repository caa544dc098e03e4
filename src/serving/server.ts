/** @file The server of TensorFlow Serving's protocols: loads models, opens the REST and gRPC ports, closes both in order. */
// This room knows models as servables with signatures; it knows nothing of datasets and training.

import { setFlagsFromString } from "node:v8";
import { FaceError } from "../base/errors.ts";
import { bytesText, type Log } from "../base/log.ts";
import { usableCores } from "../base/platform.ts";
import type { ModelServerConfig } from "../proto/tensorflow_serving/model_service_pb.ts";
import { KeyRing } from "./access/access.ts";
import { ClientAddresses, type TrustedProxies } from "./access/client-address.ts";
import { Gate } from "./access/gate.ts";
import type { RateWindows } from "./access/rates.ts";
import type { TokenChecker, TokenOptions } from "./access/tokens.ts";
import type { AdminServer } from "./admin-server.ts";
import type { ModelLoader } from "./engine/servable.ts";
import { keyAccess, loopbackAccess } from "./galleries/access.ts";
import { type GalleriesOptions, GalleryService } from "./galleries/service.ts";
import {
  adminGrpc,
  type GrpcContext,
  type GrpcOptions,
  type GrpcServer,
  type GrpcServerOptions,
  startGrpc,
} from "./grpc/grpc-server.ts";
import { JsonCodec } from "./json/codec.ts";
import { MemoryBudget } from "./memory-budget.ts";
import { ServerMetrics } from "./metrics.ts";
import type { Observer } from "./observe/finished.ts";
import { Observing } from "./observe/observing.ts";
import { RequestLog } from "./observe/request-log.ts";
import { ModelSwitch } from "./open-inference/models.ts";
import type { Page } from "./page.ts";
import { PackCatalog, type PackModel } from "./photos/pack-catalog.ts";
import { type PackFiles, PhotoThreads } from "./photos/photo-threads.ts";
import type { Catalog } from "./repository/catalog.ts";
import { type ServingSettings, servingLoader } from "./repository/loader.ts";
import { Repository, type RepositorySettings } from "./repository/repository.ts";
import type { RestContext, RestOptions } from "./rest/handler.ts";
import { type RestLimits, type RestServer, startRest } from "./rest/rest-server.ts";
import { StatusError } from "./status.ts";
import { followTls, type Tls } from "./tls.ts";

export interface ServerOptions extends RepositorySettings, ServingSettings {
  readonly models: ModelServerConfig;
  readonly loader: ModelLoader;
  readonly log: Log;
  /** For whole photographs, which are refused without it. */
  readonly pack?: PackOptions | undefined;
  /** Galleries of people, which the pack searches; the server closes them. */
  readonly galleries?: GalleriesOptions | undefined;
  /** The page at `/`. Default: none. */
  readonly page?: Page | undefined;
  /** Beginnings of the URLs that `:verify`, `:detect` and `:embed` may name instead of files. Default: none. */
  readonly imageUrls?: readonly string[] | undefined;
  /** File of API keys, which `:verify`, `:detect`, `:embed` and the reload request then take. Default: no keys. */
  readonly apiKeysFile?: string | undefined;
  /** Signed tokens of an issuer, which allow the same as keys. Default: none. */
  readonly tokens?: TokenOptions | undefined;
  /** Every request takes a key or token, but for health. */
  readonly requireApiKey?: boolean;
  /** Requests of a key, or of an address without one, in a second. Default: any number. */
  readonly rateLimit?: number | undefined;
  /** For tests: the seconds in which requests and wrong keys are counted. */
  readonly rateWindows?: Partial<RateWindows>;
  /** Proxies that are believed about the addresses of their clients, for rates and the access log. Default: none. */
  readonly trustedProxies?: TrustedProxies | undefined;
  /** The address that both ports listen on. Default: all. */
  readonly bindAddress?: string | undefined;
  /** 0 picks a free port, undefined leaves gRPC off. */
  readonly grpcPort: number | undefined;
  /** Path of a unix socket for gRPC, beside the port. */
  readonly grpcSocketPath?: string | undefined;
  /** 0 picks a free port, undefined leaves REST off. */
  readonly restPort: number | undefined;
  readonly rest?: Partial<RestOptions>;
  readonly limits?: Partial<RequestLimits>;
  readonly metricsPath?: string | undefined;
  readonly tls?: Tls | undefined;
  /** The file that `tls` was read from; it is read again when it changes. */
  readonly tlsFile?: string | undefined;
  /** A line of JSON for each request: `stdout`, or a file that is added to. Default: none. */
  readonly accessLog?: string | undefined;
  /** Folder for the requests that a model's `logging_config` records. Default: none, and such a configuration is refused. */
  readonly requestLogDir?: string | undefined;
  /** Port of metrics, reload requests and reflection, which the other ports then leave out; 0 picks a free one. */
  readonly adminPort?: number | undefined;
  /** The address of that port. Default 127.0.0.1. */
  readonly adminBindAddress?: string | undefined;
  /** grpc.health.v1; on by default. */
  readonly enableGrpcHealth?: boolean;
  /** Options of grpc-js, such as `grpc.max_receive_message_length`. */
  readonly grpcChannelOptions?: GrpcServerOptions["channelOptions"];
  /** Largest tensor of a gRPC request, by its shape. */
  readonly maxTensorBytes?: number;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
  /** gRPC answers carry packed bytes instead of lists of values. */
  readonly asTensorContent?: boolean;
  /** Where later configurations come from; read while the first one is waited for, too. */
  readonly configSource?: ConfigSource | undefined;
}

/** Limits against slow, large and many clients. */
export interface RequestLimits extends RestLimits {
  /** What all requests may hold together, over both protocols: as they came, inflated, and as tensors. */
  readonly maxTotalBodyBytes: number;
}

/** A configuration that may change. */
export interface ConfigSource {
  /** Seconds between reads. */
  readonly seconds: number;
  read(): Promise<ModelServerConfig>;
}

/** A model pack, with which the server finds faces in photographs. */
export interface PackOptions {
  readonly files: PackFiles;
  /** The pack as a model of its own; left out where it serves models that lie in folders. */
  readonly model?: PackModel | undefined;
}

export interface RunningServer extends AsyncDisposable {
  /** Undefined when that interface is off. */
  readonly grpcPort: number | undefined;
  readonly restPort: number | undefined;
  readonly adminPort: number | undefined;
  /** Replaces the configuration, as a reload request would. */
  reload(config: ModelServerConfig): Promise<void>;
  /** Probes fail from now on, so that no new clients come; requests are still answered. */
  drain(): void;
  /** Stops accepting, answers requests in flight for at most this long, frees the models. */
  close(graceMs?: number): Promise<void>;
}

const MEGABYTE = 2 ** 20;
const DEFAULT_LIMITS: RequestLimits = {
  maxBodyBytes: 256 * MEGABYTE,
  maxTotalBodyBytes: 512 * MEGABYTE,
  requestTimeoutMs: 60_000,
  maxConnections: 10_000,
  keepAliveMs: 72_000,
};
const DEFAULT_REST: RestOptions = {
  timeoutMs: 30_000,
  enableCors: false,
  listModels: true,
  acceptBinary: false,
};
/** At least two threads, so that one huge document does not block the others. */
const CODEC = { workers: Math.max(2, Math.ceil(usableCores() / 4)), maxQueued: 256 };
const DEFAULT_GRACE_MS = 10_000;
const LARGEST_TENSOR_BYTES = 256 * MEGABYTE;
export const DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics";
/** Largest message over gRPC, compressed or not, unless `grpc.max_receive_message_length` says otherwise. */
const LARGEST_MESSAGE_BYTES = 256 * MEGABYTE;

/**
 * Starts a server; the ports open when every model has an available version.
 * @throws FaceError `PORT_IN_USE`, `MODEL_INVALID` when a model cannot be loaded, `INTERRUPTED` by the signal.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  // A wrong list is refused before anything is loaded.
  const imageUrls = options.imageUrls?.length
    ? new (await import("./photos/image-urls.ts")).ImageUrls(options.imageUrls)
    : undefined;
  const proxies = options.trustedProxies && new ClientAddresses(options.trustedProxies);
  const keys = await keysOf(options);
  const tokens = options.tokens && (await checkerOf(options.tokens, options.log));
  const takesKeys = keys !== undefined || tokens !== undefined;
  const metrics = new ServerMetrics();
  const codec = new JsonCodec(CODEC);
  const { requestLogDir, log } = options;
  const requestLog = requestLogDir === undefined ? undefined : new RequestLog(requestLogDir, log);
  const loader = servingLoader({ ...options, metrics });
  const repository = new Repository({ ...options, loader, requestLog });
  const catalog =
    options.pack?.model === undefined ? repository : new PackCatalog(repository, options.pack.model);
  let photos: PhotoThreads | undefined;
  let galleries: GalleryService | undefined;
  let grpc: GrpcServer | undefined;
  let rest: RestServer | undefined;
  const draining = new AbortController();
  const parts = {
    catalog,
    modelSwitch: new ModelSwitch(catalog),
    isAdministeredElsewhere: options.adminPort !== undefined,
    metrics,
    codec,
    draining: draining.signal,
  };
  let admin: AdminServer | undefined;
  let following: NodeJS.Timeout | undefined;
  let renewing: NodeJS.Timeout | undefined;
  let observing: Observing | undefined;
  const close = async (graceMs = DEFAULT_GRACE_MS) => {
    clearInterval(following);
    clearInterval(renewing);
    await Promise.all([grpc?.close(graceMs), rest?.close(graceMs), admin?.close(graceMs)]);
    await codec[Symbol.asyncDispose]();
    await photos?.close();
    await repository[Symbol.asyncDispose]();
    for (const gallery of options.galleries?.open.values() ?? []) await gallery[Symbol.asyncDispose]();
    keys?.close();
    await observing?.close();
    await requestLog?.close();
  };
  try {
    const started = repository.start(options.models, options.signal);
    following = options.configSource && follow(options.configSource, catalog, options.log);
    await started;
    options.log.info(
      `The models are loaded; the process holds ${bytesText(process.memoryUsage.rss())}, a change of versions needs up to twice that`,
    );
    photos = options.pack && (await PhotoThreads.open(filesFor(options.pack)));
    if (photos !== undefined && options.galleries !== undefined) {
      const access = takesKeys ? keyAccess : loopbackAccess;
      galleries = new GalleryService(options.galleries, { photos, metrics, access, log: options.log });
    }
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const budget = new MemoryBudget(limits.maxTotalBodyBytes);
    const gate = gateOf(options, keys, tokens);
    observing = await Observing.open(options, options.log);
    const guards = { limits, budget, gate, proxies, observer: observing };
    admin = await openAdmin(options, parts, guards);
    grpc = await openGrpc(options, parts, guards);
    rest = await openRest(options, { ...parts, takesKeys, photos, imageUrls }, { ...guards, galleries });
    renewing = followCertificates(options, [grpc, rest]);
  } catch (error) {
    await close(0);
    throw error;
  }
  return {
    grpcPort: grpc?.port,
    restPort: rest?.port,
    adminPort: admin?.port,
    reload: (config) => catalog.reload(config),
    drain: () => draining.abort(),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** Applies a configuration again and again; the same problem is logged once. */
function follow({ seconds, read }: ConfigSource, catalog: Catalog, log: Log): NodeJS.Timeout {
  let logged: string | undefined;
  const apply = async () => {
    let problem: string | undefined;
    try {
      await catalog.reload(await read());
    } catch (error) {
      const hint = error instanceof StatusError || error instanceof FaceError ? error.hint : undefined;
      problem = `the configuration was not applied: ${String(error)}${hint === undefined ? "" : `; ${hint}`}`;
    }
    if (problem !== undefined && problem !== logged) log.error(problem);
    logged = problem;
  };
  return setInterval(() => void apply(), seconds * 1000);
}

/** What both ports hold against their clients. */
interface Guards {
  readonly limits: RequestLimits;
  readonly budget: MemoryBudget;
  readonly gate: Gate | undefined;
  readonly proxies: ClientAddresses | undefined;
  readonly observer: Observer | undefined;
  readonly galleries?: GalleryService | undefined;
}

const LOOPBACK = /^(?:127\.|::1$|localhost$)/;

/** @throws FaceError `FILE_INVALID` for a file that holds no keys, `CONFIG_INVALID` where keys are wanted and none are given. */
async function keysOf(options: ServerOptions): Promise<KeyRing | undefined> {
  const { apiKeysFile, tokens, requireApiKey, log, tls, bindAddress } = options;
  if ((apiKeysFile ?? tokens) !== undefined && tls === undefined && !LOOPBACK.test(bindAddress ?? "")) {
    log.warn("API keys and tokens pass the network unencrypted; use TLS here or in a proxy in front");
  }
  if (apiKeysFile === undefined) {
    if (requireApiKey !== true || tokens !== undefined) return undefined;
    throw new FaceError("CONFIG_INVALID", "every request would take an API key, and no keys are given", {
      hint: "add `apiKeysFile`, which faceid keys add NAME --keys FILE makes, or `tokens`",
    });
  }
  return await KeyRing.open(apiKeysFile, log);
}

/** Loads what checks tokens only where they are taken. */
async function checkerOf(options: TokenOptions, log: Log): Promise<TokenChecker> {
  const { TokenChecker } = await import("./access/tokens.ts");
  return new TokenChecker(options, log);
}

function gateOf(
  { requireApiKey, rateLimit, rateWindows }: ServerOptions,
  keys: KeyRing | undefined,
  tokens: TokenChecker | undefined,
): Gate | undefined {
  if (keys === undefined && tokens === undefined && rateLimit === undefined) return undefined;
  return new Gate({ keys, tokens, requireKey: requireApiKey === true, rateLimit, rateWindows });
}

async function openGrpc(
  options: ServerOptions,
  parts: Pick<RestContext, "catalog" | "modelSwitch" | "codec" | "metrics" | "draining">,
  guards: Guards,
): Promise<GrpcServer | undefined> {
  const { log, grpcPort, grpcSocketPath, tls } = options;
  const addresses = [
    ...(grpcPort === undefined ? [] : [`${hostText(options.bindAddress)}:${grpcPort}`]),
    ...(grpcSocketPath === undefined ? [] : [`unix:${grpcSocketPath}`]),
  ];
  if (addresses.length === 0) return undefined;
  const server = await startGrpc(grpcContext(options, parts, guards), {
    ...grpcOptions(options, guards),
    addresses,
    maxConnections: guards.limits.maxConnections,
    isAdministeredElsewhere: options.adminPort !== undefined,
    tls,
  });
  const everywhere =
    grpcPort === undefined || options.bindAddress !== undefined ? "" : " (all IPv4 addresses)";
  const first = addresses[0]!.replace(/:\d+$/, `:${server.port}`);
  log.info(`Running gRPC ModelServer at ${first} ...${everywhere}`);
  return server;
}

function grpcContext(
  { log, asTensorContent = false, maxTensorBytes = LARGEST_TENSOR_BYTES }: ServerOptions,
  parts: Pick<RestContext, "catalog" | "modelSwitch" | "codec" | "metrics" | "draining">,
  { observer }: Guards,
): GrpcContext {
  const limits = { maxBytes: maxTensorBytes };
  const beginsTraces = observer?.beginsTraces ?? false;
  return { ...parts, models: parts.catalog, log, asTensorContent, limits, beginsTraces };
}

function grpcOptions(
  options: ServerOptions,
  { limits, budget, gate, proxies, observer }: Guards,
): GrpcOptions {
  return {
    enableHealth: options.enableGrpcHealth ?? true,
    channelOptions: options.grpcChannelOptions ?? {},
    intake: {
      budget,
      maxMessageBytes: messageLimit(options.grpcChannelOptions?.["grpc.max_receive_message_length"]),
      receiveTimeoutMs: limits.requestTimeoutMs,
    },
    gate,
    proxies,
    observer,
  };
}

async function openAdmin(
  options: ServerOptions,
  parts: Pick<RestContext, "catalog" | "modelSwitch" | "codec" | "metrics" | "draining">,
  guards: Guards,
): Promise<AdminServer | undefined> {
  const { log, adminPort, adminBindAddress = "127.0.0.1", metricsPath = DEFAULT_METRICS_PATH } = options;
  if (adminPort === undefined) return undefined;
  const { startAdmin } = await import("./admin-server.ts");
  const grpc = adminGrpc(grpcContext(options, parts, guards), grpcOptions(options, guards));
  const server = await startAdmin(
    { ...parts, ...guards, log, metricsPath, grpc },
    adminPort,
    adminBindAddress,
  );
  log.info(`Metrics, reload requests and reflection are at ${adminBindAddress}:${server.port} only`);
  return server;
}

function followCertificates(
  { tlsFile, tls, log }: ServerOptions,
  servers: readonly (GrpcServer | RestServer | undefined)[],
): NodeJS.Timeout | undefined {
  if (tls === undefined || tlsFile === undefined) return undefined;
  return followTls(tlsFile, tls, log, (renewed) => {
    for (const server of servers) server?.renew(renewed);
  });
}

/** An address as it stands before a port: an IPv6 address in brackets. */
function hostText(address = "0.0.0.0"): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** If the pack is not served as a model, it only finds faces, and its embedding is not opened. */
function filesFor({ files, model }: PackOptions): PackFiles {
  return model === undefined ? { ...files, embedding: undefined } : files;
}

/** As in gRPC, -1 means no limit: only the one on all requests together. */
function messageLimit(given: number | undefined): number {
  return given === -1 ? Number.POSITIVE_INFINITY : (given ?? LARGEST_MESSAGE_BYTES);
}

async function openRest(
  options: ServerOptions,
  parts: Pick<
    RestContext,
    "catalog" | "modelSwitch" | "codec" | "takesKeys" | "metrics" | "photos" | "imageUrls" | "draining"
  >,
  guards: Guards,
): Promise<RestServer | undefined> {
  const { log, restPort, tls, adminPort, page } = options;
  if (restPort === undefined) return undefined;
  const context = { ...parts, log, options: { ...DEFAULT_REST, ...options.rest } };
  const { bindAddress } = options;
  const metricsPath = adminPort === undefined ? options.metricsPath : undefined;
  const server = await startRest(context, { ...guards, metricsPath, tls, bindAddress, page }, restPort);
  // TensorFlow Serving's line, which scripts wait for, says localhost and means all addresses.
  const [host, everywhere] =
    bindAddress === undefined ? ["localhost", " (all addresses)"] : [hostText(bindAddress), ""];
  log.info(`Exporting HTTP/REST API at:${host}:${server.port} ...${everywhere}`);
  return server;
}

/** How far the heap may grow beyond what a full collection leaves, in percent: to four times as much, V8's maximum. */
const HEAP_GROWTH_PERCENT = 300;

/**
 * Makes full collections of this process rarer. V8 schedules them by what is alive, about 30 MB here, and counts the
 * buffers of requests, which young collections free long before; by default it would collect every dozen requests with
 * images, and more often the longer the process runs.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
}
