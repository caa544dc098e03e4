/** @file Serves models over TensorFlow Serving's protocols, by options or by the flags of `tensorflow_model_server`. */
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { usableCores } from "../base/platform.ts";
import { type Mode, modeOf, PRECISIONS, PROFILES, type Precision, type Profile } from "../faces/mode.ts";
import { openPack } from "../faces/models.ts";
import { type PackModel, packModelName, packModelNamed } from "../faces/packs/catalogue.ts";
import {
  BatchingParametersSchema,
  type ModelServerConfig,
  ModelServerConfigSchema,
  MonitoringConfigSchema,
} from "../proto/tensorflow_serving/model_service_pb.ts";
import { FORWARDING_HEADERS, type TrustedProxies } from "../serving/access/client-address.ts";
import type { TokenOptions } from "../serving/access/tokens.ts";
import { type BatchOptions, batchOptions, defaultBatchOptions } from "../serving/batching/options.ts";
import { Page } from "../serving/page.ts";
import { requireFreePorts } from "../serving/ports.ts";
import { type LoaderOptions, savedModelLoader } from "../serving/repository/loader.ts";
import { isRemote, NO_MODELS, singleModelConfig } from "../serving/repository/model-config.ts";
import { parseTextProto, readTextProto } from "../serving/repository/text-proto.ts";
import {
  type ConfigSource,
  DEFAULT_METRICS_PATH,
  letHeapGrow,
  type PackOptions,
  type RunningServer,
  type ServerOptions,
  startServer,
} from "../serving/server.ts";
import { readTls } from "../serving/tls.ts";
import { packCalibration } from "../verify/pack-calibrations.ts";
import {
  GALLERY_PACK,
  type GalleryChoice,
  galleryChoice,
  openGalleries,
  type ServedPack,
  type ServingPlace,
} from "./serve-galleries.ts";
import { loaderOptions } from "./signature-model.ts";

/** What to serve and where. */
export interface ServeOptions
  extends Omit<
      ServerOptions,
      | "configSource"
      | "models"
      | "loader"
      | "log"
      | "pack"
      | "grpcPort"
      | "restPort"
      | "galleries"
      | "page"
      | "rateWindows"
    >,
    LoaderOptions {
  /** The folder of the model's versions; the server loads new ones while it runs. Without it the pack is served. */
  readonly modelPath?: string;
  /** Name of the model pack that finds faces in photographs; fetched first where it is not here. Default: none. */
  readonly pack?: string;
  /** What the pack computes in, as for `loadFaceModel`. Default `float32`. */
  readonly precision?: Precision;
  /** How much the pack does for a face, as for `loadFaceModel`. Default `standard`. */
  readonly profile?: Profile;
  /**
   * Galleries by the names that clients use: folders, or `postgres://user:password@host/database`. The pack, by default
   * `opencv-sface`, searches them. Without keys they are served on loopback only.
   */
  readonly galleries?: Readonly<Record<string, string>>;
  /** Whether the page is served at `/`. Default false. */
  readonly page?: boolean;
  /** Report page of the pack, as `faceid report` writes it, for the page's view of the model. Default: none. */
  readonly report?: string;
  /** Name under which clients ask for it. Default `faceid`. */
  readonly modelName?: string;
  /** Port of the REST interface; 0 picks a free one, `false` turns it off. Default 8501. */
  readonly restPort?: number | false;
  /** Port of the gRPC interface; 0 picks a free one, `false` turns it off. Default 8500. */
  readonly grpcPort?: number | false;
  /**
   * Threads of a further session, which runs a request that finds no other running. Default: one for each core; 1 for no such
   * session.
   */
  readonly aloneThreads?: number;
  /** Default: silent. */
  readonly log?: Log;
}

const port = z.union([given.port, z.literal(false)], "a port from 0 to 65535, or false").optional();
const batching = z.strictObject({
  maxBatchSize: given.count,
  timeoutMs: given.milliseconds,
  maxEnqueuedBatches: given.count,
  threads: given.threads,
  threadPoolName: z.string(),
  allowedBatchSizes: z.array(given.count),
  padVariableLengthInputs: given.flag,
  splitLargeRequests: given.flag,
  isStrict: given.flag,
  maxExecutionBatchSize: given.count,
} satisfies Record<keyof BatchOptions, z.ZodType>);
const serveOptions = z.strictObject({
  ...loaderOptions,
  modelPath: given.text.optional(),
  pack: given.text.optional(),
  precision: z.enum(PRECISIONS).optional(),
  profile: z.enum(PROFILES).optional(),
  modelName: given.text.optional(),
  galleries: z.record(z.string(), given.text).optional(),
  page: given.flag.optional(),
  report: given.text.optional(),
  restPort: port,
  grpcPort: port,
  grpcSocketPath: given.text.optional(),
  imageUrls: z.array(given.text).optional(),
  bindAddress: z.string().optional(),
  requestLogDir: given.text.optional(),
  accessLog: given.text.optional(),
  adminPort: given.port.optional(),
  adminBindAddress: given.text.optional(),
  apiKeysFile: given.text.optional(),
  tokens: z
    .strictObject({
      jwksFile: given.text,
      issuer: given.text,
      audience: given.text,
      scopePrefix: z.string().optional(),
    } satisfies Record<keyof TokenOptions, z.ZodType>)
    .optional(),
  requireApiKey: given.flag.optional(),
  rateLimit: given.count.optional(),
  trustedProxies: z
    .strictObject({ networks: z.array(given.text).min(1), header: z.enum(FORWARDING_HEADERS) })
    .optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
  metricsPath: z.string().startsWith("/").optional(),
  enableGrpcHealth: given.flag.optional(),
  grpcChannelOptions: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  maxTensorBytes: given.count.optional(),
  asTensorContent: given.flag.optional(),
  // As in TensorFlow Serving, what is negative never looks.
  pollWaitSeconds: z.union([given.seconds, z.number().negative()], "a time in seconds").optional(),
  maxLoadRetries: given.whole.optional(),
  loadRetryIntervalMs: given.milliseconds.optional(),
  loadThreads: z.union([z.literal(0), given.threads], "a number of threads, or 0").optional(),
  allowLabelsForUnavailable: given.flag.optional(),
  modelCacheDir: given.text.optional(),
  remotePollWaitSeconds: given.seconds.positive().optional(),
  perModelBatching: given.flag.optional(),
  warmup: z.union([given.whole, z.literal(false)], "a whole number from 0, or false").optional(),
  batching: z.union([batching, z.literal(false)], "options of batching, or false").optional(),
  tls: given.other,
  tlsFile: given.text.optional(),
  rest: z
    .strictObject({
      timeoutMs: given.milliseconds,
      enableCors: given.flag,
      listModels: given.flag,
      acceptBinary: given.flag,
    } satisfies Record<keyof NonNullable<ServeOptions["rest"]>, z.ZodType>)
    .partial()
    .optional(),
  limits: z
    .strictObject({
      maxBodyBytes: given.count,
      maxTotalBodyBytes: given.count,
      requestTimeoutMs: given.milliseconds,
      maxConnections: given.count,
      keepAliveMs: given.milliseconds,
    } satisfies Record<keyof NonNullable<ServeOptions["limits"]>, z.ZodType>)
    .partial()
    .optional(),
} satisfies Record<keyof ServeOptions, z.ZodType>);

/**
 * Starts a server; it answers requests when the promise resolves. `await using` or `close()` stops it.
 * @throws FaceError `PORT_IN_USE`, `MODEL_INVALID` when the model cannot be loaded, `CONFIG_INVALID` without model and pack,
 *   or as `openPack`.
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  checkOptions("serve", serveOptions, options);
  return await started(options);
}

async function started({
  modelPath,
  modelName = "faceid",
  galleries = {},
  page = false,
  report,
  pack = page || Object.keys(galleries).length > 0 ? GALLERY_PACK : undefined,
  precision,
  profile,
  restPort = 8501,
  grpcPort = 8500,
  log = silentLog,
  sessions,
  aloneThreads = usableCores(),
  tags,
  ...options
}: ServeOptions): Promise<RunningServer> {
  if (modelPath === undefined && pack === undefined)
    throw nothingToServe("pass `modelPath`, the folder that holds the version folders, or `pack`");
  requirePage(report, page);
  await requireFreePorts([
    { interface: "REST", port: restPort === false ? undefined : restPort },
    { interface: "gRPC", port: grpcPort === false ? undefined : grpcPort },
    { interface: "admin", port: options.adminPort },
  ]);
  const isAlone = modelPath === undefined;
  const choices = Object.entries(galleries).map(([name, address]) => ({ name, address }));
  const packModel = pack === undefined ? undefined : packModelOf(pack, modeOf({ precision, profile }));
  // Beside other models the pack has its own name.
  const ownName = choices.length > 0 || page ? packModel && packModelName(packModel) : undefined;
  const packName = isAlone ? modelName : ownName;
  const opened = packModel && (await packOf(packModel, packName, log, options.signal));
  const served =
    packModel === undefined || opened === undefined || packName === undefined
      ? undefined
      : { ...packModel, modelName: packName, files: opened.files, report };
  return startServer({
    ...options,
    log,
    models: isAlone ? NO_MODELS : singleModelConfig(modelName, basePathOf(modelPath)),
    pack: opened,
    ...(await extrasOf(served, choices, page, options)),
    loader: savedModelLoader({
      ...(sessions === undefined ? {} : { sessions }),
      aloneThreads,
      ...(tags === undefined ? {} : { tags }),
    }),
    restPort: restPort === false ? undefined : restPort,
    grpcPort: grpcPort === false ? undefined : grpcPort,
  });
}

/** An address in a storage as it is, a folder in full. */
const basePathOf = (path: string) => (isRemote(path) ? path : resolve(path));

/** Galleries and the page, which both need a pack. */
async function extrasOf(
  served: ServedPack | undefined,
  choices: readonly GalleryChoice[],
  page: boolean,
  place: ServingPlace,
): Promise<Pick<ServerOptions, "galleries" | "page">> {
  if (served === undefined || (choices.length === 0 && !page)) return {};
  const loaded = page ? await Page.load() : undefined;
  return { galleries: await openGalleries(choices, served, place), page: loaded };
}

/** The pack of a name, which may say its mode; what the name leaves open is as wished. Opening refuses unknown names. */
const packModelOf = (name: string, wish: Mode): PackModel =>
  packModelNamed(name, wish) ?? { pack: name, ...wish };

/** Opens a pack. @param modelName under which it is served; left out where it only finds faces for other models. */
async function packOf(
  model: PackModel,
  modelName: string | undefined,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<PackOptions> {
  const { pack, precision, profile } = model;
  const { files } = await openPack(pack, { log, signal });
  const opened = { ...files, precision, profile };
  if (modelName === undefined) return { files: opened };
  return { files: opened, model: { name: modelName, calibration: packCalibration(model) } };
}

const nothingToServe = (hint: string) =>
  new FaceError("CONFIG_INVALID", "there is no model to serve", { hint });

/** Flags of the server by name in camel case, each with its value or default. */
export type ServerFlagValues = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;
type Value = ServerFlagValues[string];

const textOf = (value: Value) => (typeof value === "string" ? value : undefined);

/** As in TensorFlow Serving, port 0 turns an interface off. */
const portOf = (value: Value) => (value === 0 ? undefined : Number(value));

async function modelsOf({
  modelConfigFile,
  modelName,
  modelBasePath,
  pack,
}: ServerFlagValues): Promise<ModelServerConfig> {
  if (typeof modelConfigFile === "string") return readTextProto(ModelServerConfigSchema, modelConfigFile);
  if (typeof modelBasePath === "string")
    return singleModelConfig(String(modelName), basePathOf(modelBasePath));
  if (typeof pack === "string") return NO_MODELS;
  throw nothingToServe(
    "pass --model_base_path DIR, the folder that holds the version folders, --model_config_file FILE, or --pack NAME",
  );
}

/** The configuration file, where a flag says that it is read again. */
function configSourceOf(values: ServerFlagValues): ConfigSource | undefined {
  const seconds = Number(values.modelConfigFilePollWaitSeconds);
  if (seconds <= 0 || typeof values.modelConfigFile !== "string") return undefined;
  return { seconds, read: () => modelsOf(values) };
}

/** @throws FaceError `CONFIG_INVALID` for what is no time. */
function positiveSeconds(flag: string, value: Value): number {
  if (Number(value) > 0) return Number(value);
  throw new FaceError("CONFIG_INVALID", `--${flag}: got ${value}, expected more than 0 seconds`);
}

/** @throws FaceError `CONFIG_INVALID` for what is no number of requests. */
function rateLimitOf(value: Value): number | undefined {
  const perSecond = Number(value);
  if (Number.isSafeInteger(perSecond) && perSecond >= 0) return perSecond === 0 ? undefined : perSecond;
  throw new FaceError("CONFIG_INVALID", `--rate_limit: got ${value}, expected a whole number of requests`, {
    hint: "0 is no limit",
  });
}

/** @throws FaceError `CONFIG_INVALID` for a part of what tokens take. */
function tokensOf(values: ServerFlagValues): TokenOptions | undefined {
  const { jwtJwksFile, jwtIssuer, jwtAudience, jwtScopePrefix } = values;
  const [jwksFile, issuer, audience] = [jwtJwksFile, jwtIssuer, jwtAudience].map(
    (value) => textOf(value) || undefined,
  );
  const scopePrefix = textOf(jwtScopePrefix);
  if (jwksFile !== undefined && issuer !== undefined && audience !== undefined) {
    return { jwksFile, issuer, audience, scopePrefix };
  }
  if ([jwksFile, issuer, audience, scopePrefix].every((each) => each === undefined)) return undefined;
  throw new FaceError(
    "CONFIG_INVALID",
    "tokens take --jwt_jwks_file, --jwt_issuer and --jwt_audience together",
    {
      hint: "a token of another issuer, or for another service, must not open this one",
    },
  );
}

const listOf = (value: Value): string[] =>
  textOf(value)
    ?.split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "") ?? [];

/** @throws FaceError `CONFIG_INVALID` for a header that is not one of the two. */
function trustedProxiesOf({
  trustedProxies,
  trustedProxiesHeader,
}: ServerFlagValues): TrustedProxies | undefined {
  const header = FORWARDING_HEADERS.find((each) => each === String(trustedProxiesHeader).toLowerCase());
  if (header === undefined) {
    const text = `--trusted_proxies_header: got ${JSON.stringify(trustedProxiesHeader)}`;
    throw new FaceError("CONFIG_INVALID", text, { hint: `pass one of ${FORWARDING_HEADERS.join(", ")}` });
  }
  const networks = listOf(trustedProxies);
  return networks.length === 0 ? undefined : { networks, header };
}

async function metricsPathOf(file: Value): Promise<string | undefined> {
  if (typeof file !== "string") return undefined;
  const { prometheusConfig } = await readTextProto(MonitoringConfigSchema, file);
  return prometheusConfig?.enable === true ? prometheusConfig.path || DEFAULT_METRICS_PATH : undefined;
}

/** The parameters of TensorFlow Serving when `--enable_batching` comes without a file. */
const TENSORFLOW_BATCHING = 'thread_pool_name { value: "model_server_batch_threads" }';

/**
 * Without the flag batching is on with safe values; `true` gives exactly TensorFlow Serving's behaviour.
 * @throws FaceError `CONFIG_INVALID` for a parameters file without `--enable_batching`.
 */
async function batchingOf({
  enableBatching,
  batchingParametersFile: file,
}: ServerFlagValues): Promise<ServerOptions["batching"]> {
  if (enableBatching === true) {
    return batchOptions(
      typeof file === "string"
        ? await readTextProto(BatchingParametersSchema, file)
        : parseTextProto(BatchingParametersSchema, TENSORFLOW_BATCHING),
    );
  }
  if (typeof file === "string") {
    throw new FaceError("CONFIG_INVALID", "--batching_parameters_file needs --enable_batching", {
      hint: "add --enable_batching, or leave the file out",
    });
  }
  return enableBatching === false ? false : defaultBatchOptions();
}

/** `key=value,key=value`; a value that looks like a whole number becomes one. */
function channelOptionsOf(text: Value): Record<string, string | number> {
  const pairs = (textOf(text) || undefined)?.split(",") ?? [];
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      if (equals <= 0) {
        throw new FaceError(
          "CONFIG_INVALID",
          `--grpc_channel_arguments: got ${JSON.stringify(pair)}, expected key=value`,
        );
      }
      const value = pair.slice(equals + 1);
      return [pair.slice(0, equals), /^-?[0-9]+$/.test(value) ? Number(value) : value];
    }),
  );
}

/** TensorFlow Serving's default of `--model_name`. */
const DEFAULT_MODEL_NAME = "default";

/** One of the values of a flag that is about the pack. */
function packFlag<T extends string>(
  flag: string,
  given: Value,
  values: readonly [T, ...T[]],
  pack: Value,
): T {
  const [usual] = values;
  const value = values.find((each) => each === (given ?? usual));
  if (value === undefined) {
    const wanted = values.join(" or ");
    throw new FaceError("CONFIG_INVALID", `--${flag}: got ${JSON.stringify(given)}, expected ${wanted}`);
  }
  if (typeof pack === "string" || value === usual) return value;
  throw new FaceError(
    "CONFIG_INVALID",
    `--${flag} ${value} says how a model pack of the server finds and embeds faces, and --pack is not given`,
    {
      hint: `add --pack ${GALLERY_PACK}, or leave --${flag} out`,
    },
  );
}

const choicesOf = ({ gallery }: ServerFlagValues): GalleryChoice[] =>
  Array.isArray(gallery) ? gallery.map(galleryChoice) : [];

/** @throws FaceError `CONFIG_INVALID` for a report that no page would show. */
function requirePage(report: unknown, isPage: boolean): void {
  if (report === undefined || isPage) return;
  throw new FaceError("CONFIG_INVALID", "a report is shown on the page for people, which is not served", {
    hint: "add `page`, or leave `report` out",
  });
}

/** REST's usual port, or the next one that no other interface of these flags has. */
const restPortFor = (values: ServerFlagValues): number =>
  [8501, 8502, 8503].find((port) => port !== portOf(values.port) && port !== portOf(values.adminPort))!;

/** The flags with the pack that galleries and the page need. */
function withPack(values: ServerFlagValues): ServerFlagValues {
  requirePage(values.report, values.page === true);
  const isNeeded = choicesOf(values).length > 0 || values.page === true;
  if (!isNeeded) return values;
  if (portOf(values.restApiPort) === undefined) {
    throw new FaceError("CONFIG_INVALID", "galleries and the page are served over REST, and REST is off", {
      hint: `add --rest_api_port ${restPortFor(values)}`,
    });
  }
  return { ...values, pack: values.pack ?? GALLERY_PACK };
}

/**
 * The pack with the name that it is served under: `--model_name` or its own where no other model is named, its own beside
 * galleries and the page, none where it only finds faces for other models.
 */
function servedPackOf(
  values: ServerFlagValues,
): { readonly model: PackModel; readonly modelName: string | undefined } | undefined {
  const { pack, packPrecision, packProfile, modelName, modelBasePath, modelConfigFile, restApiPort } = values;
  const mode: Mode = {
    precision: packFlag("pack_precision", packPrecision, PRECISIONS, pack),
    profile: packFlag("pack_profile", packProfile, PROFILES, pack),
  };
  if (typeof pack !== "string") return undefined;
  const isAlone = modelBasePath === undefined && modelConfigFile === undefined;
  if (isAlone && portOf(restApiPort) === undefined) {
    throw new FaceError("CONFIG_INVALID", "a pack answers over REST only, and REST is off", {
      hint: `add --rest_api_port ${restPortFor(values)}`,
    });
  }
  const model = packModelOf(pack, mode);
  // Embeddings of one mode must not be taken for those of another.
  const ownName = packModelName(model);
  if (isAlone) return { model, modelName: modelName === DEFAULT_MODEL_NAME ? ownName : String(modelName) };
  const isModelToo = choicesOf(values).length > 0 || values.page === true;
  return { model, modelName: isModelToo ? ownName : undefined };
}

async function packOptionsOf(
  values: ServerFlagValues,
  signal: AbortSignal,
  log: Log,
): Promise<Pick<ServerOptions, "pack" | "galleries" | "page">> {
  const served = servedPackOf(values);
  if (served === undefined) return {};
  const { model, modelName: name } = served;
  if (name === undefined) return { pack: await packOf(model, undefined, log, signal) };
  log.info(`the pack is served as ${name}: POST /v1/models/${name}:verify, :detect and :embed`);
  const opened = await packOf(model, name, log, signal);
  const extras = { ...model, modelName: name, files: opened.files, report: textOf(values.report) };
  return {
    pack: opened,
    ...(await extrasOf(extras, choicesOf(values), values.page === true, {
      bindAddress: textOf(values.bindAddress),
      apiKeysFile: textOf(values.apiKeysFile),
      tokens: tokensOf(values),
    })),
  };
}

const MICROS_PER_MS = 1000;

async function optionsOf(values: ServerFlagValues, signal: AbortSignal, log: Log): Promise<ServerOptions> {
  const tlsFile = textOf(values.sslConfigFile);
  return {
    signal,
    models: await modelsOf(values),
    ...(await packOptionsOf(values, signal, log)),
    loader: savedModelLoader({
      sessions: Number(values.sessions) || usableCores(),
      aloneThreads: Number(values.aloneThreads) || usableCores(),
      tags: String(values.savedModelTags).split(","),
    }),
    log,
    bindAddress: textOf(values.bindAddress),
    apiKeysFile: textOf(values.apiKeysFile),
    tokens: tokensOf(values),
    requireApiKey: values.requireApiKey === true,
    rateLimit: rateLimitOf(values.rateLimit),
    trustedProxies: trustedProxiesOf(values),
    grpcPort: portOf(values.port),
    grpcSocketPath: textOf(values.grpcSocketPath),
    restPort: portOf(values.restApiPort),
    rest: {
      timeoutMs: Number(values.restApiTimeoutInMs),
      enableCors: values.restApiEnableCorsSupport === true,
      listModels: values.restApiListModels === true,
      acceptBinary: values.restApiBinary === true,
    },
    limits: {
      maxBodyBytes: Number(values.restApiMaxBodyBytes),
      maxTotalBodyBytes: Number(values.restApiMaxTotalBodyBytes),
      requestTimeoutMs: Number(values.restApiReceiveTimeoutInMs),
      maxConnections: Number(values.restApiMaxConnections),
      keepAliveMs: Number(values.restApiKeepAliveInMs),
    },
    batching: await batchingOf(values),
    perModelBatching: values.enablePerModelBatchingParameters === true,
    warmup: values.enableModelWarmup === true && Number(values.numRequestIterationsForWarmup),
    maxTensorBytes: Number(values.maxTensorBytes),
    grpcChannelOptions: channelOptionsOf(values.grpcChannelArguments),
    imageUrls: listOf(values.imageUrls),
    metricsPath: await metricsPathOf(values.monitoringConfigFile),
    tls: tlsFile === undefined ? undefined : await readTls(tlsFile),
    tlsFile,
    requestLogDir: textOf(values.requestLogDir),
    accessLog: textOf(values.accessLog),
    adminPort: portOf(values.adminPort),
    adminBindAddress: textOf(values.adminBindAddress),
    enableGrpcHealth: values.enableGrpcHealthcheckService === true,
    asTensorContent: values.enableSerializationAsTensorContent === true,
    pollWaitSeconds: Number(values.fileSystemPollWaitSeconds),
    maxLoadRetries: Number(values.maxNumLoadRetries),
    loadRetryIntervalMs: Number(values.loadRetryIntervalMicros) / MICROS_PER_MS,
    configSource: configSourceOf(values),
    loadThreads: Number(values.numLoadThreads),
    ...(typeof values.modelCacheDir === "string" && { modelCacheDir: resolve(values.modelCacheDir) }),
    remotePollWaitSeconds: positiveSeconds("remote_poll_wait_seconds", values.remotePollWaitSeconds),
    allowLabelsForUnavailable: values.allowVersionLabelsForUnavailableModels === true,
  };
}

/**
 * Serves as `tensorflow_model_server` does with the same flags, until the signal.
 * @throws FaceError `CONFIG_INVALID` for flags that contradict each other, `INTERRUPTED` where the signal comes before the server is
 *   ready; as `serve` does.
 */
export async function serveByFlags(given: ServerFlagValues, signal: AbortSignal, log: Log): Promise<void> {
  letHeapGrow();
  const values = withPack(given);
  await requireFreePorts([
    { interface: "REST", port: portOf(values.restApiPort) },
    { interface: "gRPC", port: portOf(values.port) },
    { interface: "admin", port: portOf(values.adminPort) },
  ]);
  if (portOf(values.restApiPort) === undefined) {
    log.info(
      `REST is off, as in TensorFlow Serving; faceid request, browsers and curl take --rest_api_port ${restPortFor(values)}`,
    );
  }
  const server = await optionsOf(values, signal, log)
    .then(startServer)
    .catch((cause: unknown) => {
      if (!signal.aborted) throw cause;
      throw new FaceError("INTERRUPTED", "stopped before the server was ready", { cause });
    });
  if (!signal.aborted) {
    await new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
  }
  const delayMs = Number(values.shutdownDelayInMs);
  if (delayMs > 0) {
    server.drain();
    await delay(delayMs);
  }
  await server.close(Number(values.shutdownGraceInMs));
}
