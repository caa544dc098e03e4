/** @file `faceid serve`: a server that clients of TensorFlow Serving can talk to. */
import { availableParallelism } from "node:os";
import { isAbsolute, resolve } from "node:path";
import { Command, Option } from "commander";
import { FaceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { ModelServerConfig } from "../../proto/tensorflow_serving/model_service_pb.ts";
import {
  BatchingParametersSchema,
  ModelServerConfigSchema,
  MonitoringConfigSchema,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import { batchOptions, defaultBatchOptions } from "../../serving/batching/options.ts";
import { normalizeFlags, SERVER_FLAGS, type ServerFlag } from "../../serving/flags.ts";
import { savedModelLoader } from "../../serving/repository/loader.ts";
import { singleModelConfig } from "../../serving/repository/model-config.ts";
import { parseTextProto, readTextProto } from "../../serving/repository/text-proto.ts";
import { letHeapGrow, type ServerOptions, startServer } from "../../serving/server.ts";
import { readTls } from "../../serving/tls.ts";
import { onInterrupt } from "../interrupt.ts";
import { consoleLog } from "../log.ts";

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

const camel = (name: string) => name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** Spellings as commander wants them; says which flags are taken but do nothing. */
export function normalizeServeArguments(argv: readonly string[]): string[] {
  const { argv: kept, withoutEffect, renamed } = normalizeFlags(argv);
  for (const [old, current] of renamed) consoleLog().warn(`--${old} is now called --${current}`);
  if (withoutEffect.length > 0) consoleLog().info(`no effect here: ${withoutEffect.join(", ")}`);
  return kept;
}

function parsed({ name, kind }: ServerFlag, text: string | true): string | number | boolean {
  const wrong = (wanted: string) =>
    new FaceError("CONFIG_INVALID", `--${name}: got ${JSON.stringify(text)}, expected ${wanted}`, {
      hint: "faceid serve --help lists the flags",
    });
  if (kind === "boolean") {
    if (text === true || text === "true" || text === "1") return true;
    if (text === "false" || text === "0") return false;
    throw wrong("true or false");
  }
  if (kind === "text") return String(text);
  const number = Number(text);
  if (text === true || text.trim() === "" || !Number.isFinite(number)) throw wrong("a number");
  return number;
}

/** A port of 0 is off, as there. */
const portOf = (value: Values[string]) => (value === 0 ? undefined : Number(value));

async function modelsOf(values: Values): Promise<ModelServerConfig> {
  const { modelConfigFile, modelName, modelBasePath } = values;
  if (typeof modelConfigFile === "string") return readTextProto(ModelServerConfigSchema, modelConfigFile);
  if (typeof modelBasePath !== "string") {
    throw new FaceError("CONFIG_INVALID", "there is no model to serve", {
      hint: "pass --model_base_path DIR, the folder that holds the version folders, or --model_config_file FILE",
    });
  }
  return singleModelConfig(
    String(modelName),
    isAbsolute(modelBasePath) ? modelBasePath : resolve(modelBasePath),
  );
}

const DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics";

async function metricsPathOf(file: Values[string]): Promise<string | undefined> {
  if (typeof file !== "string") return undefined;
  const { prometheusConfig } = await readTextProto(MonitoringConfigSchema, file);
  return prometheusConfig?.enable === true ? prometheusConfig.path || DEFAULT_METRICS_PATH : undefined;
}

/**
 * Left out, batching is on with safe values; `true` follows TensorFlow Serving to the letter.
 * @throws FaceError `CONFIG_INVALID` for parameters without batching.
 */
async function batchingOf({
  enableBatching,
  batchingParametersFile,
}: Values): Promise<ServerOptions["batching"]> {
  if (enableBatching === true) {
    const parameters =
      typeof batchingParametersFile === "string"
        ? await readTextProto(BatchingParametersSchema, batchingParametersFile)
        : parseTextProto(
            BatchingParametersSchema,
            'thread_pool_name { value: "model_server_batch_threads" }',
          );
    return batchOptions(parameters);
  }
  if (typeof batchingParametersFile === "string") {
    throw new FaceError(
      "CONFIG_INVALID",
      "--batching_parameters_file is of no use without --enable_batching",
      { hint: "add --enable_batching, or leave the file out" },
    );
  }
  return enableBatching === false ? false : defaultBatchOptions();
}

/** `key=value,key=value`; what looks like a whole number is one. */
function channelOptionsOf(text: Values[string]): Record<string, string | number> {
  const pairs = typeof text === "string" && text !== "" ? text.split(",") : [];
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

const MICROS_PER_MS = 1000;

/** @throws FaceError `CONFIG_INVALID` for a format that does not exist. */
async function logOf(format: Values[string]): Promise<Log> {
  if (format === "text") return consoleLog();
  if (format === "json") return (await import("../json-log.ts")).jsonLog();
  throw new FaceError("CONFIG_INVALID", `--log_format: got ${JSON.stringify(format)}, expected text or json`);
}

async function optionsOf(values: Values, signal: AbortSignal, log: Log): Promise<ServerOptions> {
  const { sessions, savedModelTags, grpcSocketPath, sslConfigFile } = values;
  return {
    signal,
    models: await modelsOf(values),
    loader: savedModelLoader({
      sessions: Number(sessions) || availableParallelism(),
      tags: String(savedModelTags).split(","),
    }),
    log,
    grpcPort: portOf(values.port),
    grpcSocketPath: typeof grpcSocketPath === "string" ? grpcSocketPath : undefined,
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
    },
    batching: await batchingOf(values),
    perModelBatching: values.enablePerModelBatchingParameters === true,
    warmup: values.enableModelWarmup === true && Number(values.numRequestIterationsForWarmup),
    maxTensorBytes: Number(values.maxTensorBytes),
    grpcChannelOptions: channelOptionsOf(values.grpcChannelArguments),
    metricsPath: await metricsPathOf(values.monitoringConfigFile),
    tls: typeof sslConfigFile === "string" ? await readTls(sslConfigFile) : undefined,
    enableGrpcHealth: values.enableGrpcHealthcheckService === true,
    asTensorContent: values.enableSerializationAsTensorContent === true,
    pollWaitSeconds: Number(values.fileSystemPollWaitSeconds),
    maxLoadRetries: Number(values.maxNumLoadRetries),
    loadRetryIntervalMs: Number(values.loadRetryIntervalMicros) / MICROS_PER_MS,
    loadThreads: Number(values.numLoadThreads),
    allowLabelsForUnavailable: values.allowVersionLabelsForUnavailableModels === true,
  };
}

/** Reads the configuration file again and again until the server ends. */
function pollConfig(
  values: Values,
  apply: (config: ModelServerConfig) => Promise<void>,
  signal: AbortSignal,
  log: Log,
): void {
  const seconds = Number(values.modelConfigFilePollWaitSeconds);
  if (seconds <= 0 || typeof values.modelConfigFile !== "string") return;
  const timer = setInterval(() => {
    modelsOf(values)
      .then(apply)
      .catch((error: unknown) => log.error(`the configuration was not applied: ${String(error)}`));
  }, seconds * 1000);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

async function run(flags: Readonly<Record<string, string | true | undefined>>): Promise<void> {
  const values: Values = Object.fromEntries(
    SERVER_FLAGS.map((flag) => {
      const text = flags[camel(flag.name)];
      return [camel(flag.name), text === undefined ? flag.fallback : parsed(flag, text)];
    }),
  );
  const log = await logOf(values.logFormat);
  using interrupt = onInterrupt(() =>
    log.info("answering what is in flight, then ending; again to end at once"),
  );
  const { signal } = interrupt;
  letHeapGrow();
  const options = await optionsOf(values, signal, log);
  const server = await startServer(options).catch((error: unknown) => {
    // Whoever stops a server that still waits for its models wants it to end, not to fail.
    if (signal.aborted) return undefined;
    throw error;
  });
  if (server === undefined) return;
  pollConfig(values, (config) => server.reload(config), signal, log);
  if (!signal.aborted) {
    await new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
  }
  await server.close(Number(values.shutdownGraceInMs));
}

export function serveCommand(): Command {
  const command = new Command("serve").description(
    "serve models over TensorFlow Serving's REST and gRPC protocols, with its flags in either spelling",
  );
  for (const { name, kind, help, fallback } of SERVER_FLAGS) {
    const flag = `--${name.replaceAll("_", "-")} ${kind === "boolean" ? "[true|false]" : "<value>"}`;
    command.addOption(new Option(flag, `${help}${fallback === undefined ? "" : ` (default ${fallback})`}`));
  }
  return command.action(run);
}
