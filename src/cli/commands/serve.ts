/** @file `faceid serve`: a server that clients of TensorFlow Serving can talk to. */
import { availableParallelism } from "node:os";
import { isAbsolute, resolve } from "node:path";
import { Command, Option } from "commander";
import { FaceError } from "../../base/errors.ts";
import type { ModelServerConfig } from "../../proto/tensorflow_serving/model_service_pb.ts";
import {
  ModelServerConfigSchema,
  MonitoringConfigSchema,
  SSLConfigSchema,
} from "../../proto/tensorflow_serving/model_service_pb.ts";
import { normalizeFlags, SERVER_FLAGS, type ServerFlag } from "../../serving/flags.ts";
import { savedModelLoader } from "../../serving/loader.ts";
import { singleModelConfig } from "../../serving/model-config.ts";
import { type ServerOptions, startServer } from "../../serving/server.ts";
import { readTextProto } from "../../serving/text-proto.ts";
import { onInterrupt } from "../interrupt.ts";
import { consoleLog } from "../log.ts";

type Values = Readonly<Record<string, string | number | boolean | undefined>>;

const camel = (name: string) => name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** Spellings as commander wants them; says which flags are taken but do nothing. */
export function normalizeServeArguments(argv: readonly string[]): string[] {
  const { argv: kept, withoutEffect } = normalizeFlags(argv);
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

async function tlsOf(file: Values[string]): Promise<ServerOptions["tls"]> {
  if (typeof file !== "string") return undefined;
  const {
    serverKey: key,
    serverCert: cert,
    customCa: ca,
    clientVerify,
  } = await readTextProto(SSLConfigSchema, file);
  return { key, cert, requireClientCertificate: clientVerify, ...(ca === "" ? {} : { ca }) };
}

const DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics";

async function metricsPathOf(file: Values[string]): Promise<string | undefined> {
  if (typeof file !== "string") return undefined;
  const { prometheusConfig } = await readTextProto(MonitoringConfigSchema, file);
  return prometheusConfig?.enable === true ? prometheusConfig.path || DEFAULT_METRICS_PATH : undefined;
}

const MICROS_PER_MS = 1000;

async function optionsOf(values: Values): Promise<ServerOptions> {
  const { lanes, savedModelTags, grpcSocketPath } = values;
  return {
    models: await modelsOf(values),
    loader: savedModelLoader({
      lanes: Number(lanes) || availableParallelism(),
      tags: String(savedModelTags).split(","),
    }),
    log: consoleLog(),
    grpcPort: portOf(values.port),
    grpcSocketPath: typeof grpcSocketPath === "string" ? grpcSocketPath : undefined,
    restPort: portOf(values.restApiPort),
    rest: {
      timeoutMs: Number(values.restApiTimeoutInMs),
      enableCors: values.restApiEnableCorsSupport === true,
      listModels: values.restApiListModels === true,
      acceptBinary: values.restApiBinary === true,
    },
    metricsPath: await metricsPathOf(values.monitoringConfigFile),
    tls: await tlsOf(values.sslConfigFile),
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
): void {
  const seconds = Number(values.modelConfigFilePollWaitSeconds);
  if (seconds <= 0 || typeof values.modelConfigFile !== "string") return;
  const log = consoleLog();
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
  using interrupt = onInterrupt(() =>
    consoleLog().info("answering what is in flight, then ending; again to end at once"),
  );
  const server = await startServer(await optionsOf(values));
  pollConfig(values, (config) => server.reload(config), interrupt.signal);
  if (!interrupt.signal.aborted) {
    await new Promise<void>((done) =>
      interrupt.signal.addEventListener("abort", () => done(), { once: true }),
    );
  }
  await server.close();
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
