/** @file tensorflow_model_server's flags: those with an effect, those without, and those that are refused. */
import { FaceError } from "../base/errors.ts";

/** A flag with an effect. */
export interface ServerFlag {
  readonly name: string;
  readonly kind: "text" | "number" | "boolean";
  readonly help: string;
  readonly fallback?: string | number | boolean;
}

/** In TensorFlow Serving's spelling; dashes may replace underscores. */
export const SERVER_FLAGS: readonly ServerFlag[] = [
  { name: "port", kind: "number", help: "gRPC port; 0 for none", fallback: 8500 },
  { name: "grpc_socket_path", kind: "text", help: "path of a unix socket for gRPC, beside the port" },
  { name: "rest_api_port", kind: "number", help: "REST port; 0 for none", fallback: 0 },
  {
    name: "rest_api_timeout_in_ms",
    kind: "number",
    help: "milliseconds for the run of a REST request; 0 for no limit",
    fallback: 30_000,
  },
  { name: "rest_api_enable_cors_support", kind: "boolean", help: "send CORS headers", fallback: false },
  { name: "model_name", kind: "text", help: "name of the model at --model_base_path", fallback: "default" },
  { name: "model_base_path", kind: "text", help: "folder that holds the model's version folders" },
  {
    name: "model_config_file",
    kind: "text",
    help: "file with a ModelServerConfig in text format; replaces the two flags above",
  },
  {
    name: "model_config_file_poll_wait_seconds",
    kind: "number",
    help: "seconds after which that file is read again; 0 for never",
    fallback: 0,
  },
  {
    name: "file_system_poll_wait_seconds",
    kind: "number",
    help: "seconds after which version folders are listed again; 0 lists them once, less never",
    fallback: 1,
  },
  { name: "max_num_load_retries", kind: "number", help: "retries when a version fails to load", fallback: 5 },
  {
    name: "load_retry_interval_micros",
    kind: "number",
    help: "microseconds between retries",
    fallback: 60_000_000,
  },
  {
    name: "num_load_threads",
    kind: "number",
    help: "versions loaded at a time after the start; 0 for one",
    fallback: 0,
  },
  {
    name: "allow_version_labels_for_unavailable_models",
    kind: "boolean",
    help: "a label may name a version that is not loaded yet",
    fallback: false,
  },
  {
    name: "saved_model_tags",
    kind: "text",
    help: "tags of the meta graph, separated by commas",
    fallback: "serve",
  },
  {
    name: "ssl_config_file",
    kind: "text",
    help: "file with an SSLConfig in text format; both ports use TLS",
  },
  {
    name: "monitoring_config_file",
    kind: "text",
    help: "file with a MonitoringConfig in text format; turns on the metrics page",
  },
  { name: "enable_grpc_healthcheck_service", kind: "boolean", help: "serve grpc.health.v1", fallback: true },
  {
    name: "grpc_channel_arguments",
    kind: "text",
    help: "grpc-js channel options, key=value separated by commas: grpc.max_receive_message_length=4194304",
  },
  {
    name: "enable_batching",
    kind: "boolean",
    help:
      "true: batching with TensorFlow Serving's limits; false: each request runs by itself; left out: requests are " +
      "batched only where that cannot make one fail",
  },
  { name: "batching_parameters_file", kind: "text", help: "file with BatchingParameters in text format" },
  {
    name: "enable_per_model_batching_parameters",
    kind: "boolean",
    help: "use each version's own batching_params.pbtxt",
    fallback: false,
  },
  {
    name: "enable_model_warmup",
    kind: "boolean",
    help: "send a new version its recorded requests, or one of zeros, before it is available",
    fallback: true,
  },
  {
    name: "num_request_iterations_for_warmup",
    kind: "number",
    help: "how often each recorded request is sent; 0 for once",
    fallback: 0,
  },
  {
    name: "enable_serialization_as_tensor_content",
    kind: "boolean",
    help: "gRPC answers carry packed bytes instead of lists of values",
    fallback: false,
  },
  {
    name: "rest_api_list_models",
    kind: "boolean",
    help: "GET /v1/models lists the models (not in TensorFlow Serving)",
    fallback: true,
  },
  {
    name: "rest_api_binary",
    kind: "boolean",
    help: "predict also takes raw tensors, images and forms, by their content type (not in TensorFlow Serving)",
    fallback: false,
  },
  {
    name: "rest_api_max_body_bytes",
    kind: "number",
    help: "largest body of a REST request, in bytes (not in TensorFlow Serving)",
    fallback: 256 * 2 ** 20,
  },
  {
    name: "rest_api_max_total_body_bytes",
    kind: "number",
    help: "largest sum of all bodies in memory, in bytes (not in TensorFlow Serving)",
    fallback: 2 ** 30,
  },
  {
    name: "rest_api_receive_timeout_in_ms",
    kind: "number",
    help: "milliseconds for a request to arrive completely (not in TensorFlow Serving)",
    fallback: 60_000,
  },
  {
    name: "rest_api_max_connections",
    kind: "number",
    help: "largest number of REST connections (not in TensorFlow Serving)",
    fallback: 10_000,
  },
  {
    name: "max_tensor_bytes",
    kind: "number",
    help: "largest tensor of a gRPC request, in bytes (not in TensorFlow Serving)",
    fallback: 2 ** 30,
  },
  {
    name: "shutdown_grace_in_ms",
    kind: "number",
    help: "milliseconds for requests in flight after SIGTERM (not in TensorFlow Serving)",
    fallback: 10_000,
  },
  {
    name: "log_format",
    kind: "text",
    help: "text, or json for one object per line (not in TensorFlow Serving)",
    fallback: "text",
  },
  {
    name: "sessions",
    kind: "number",
    help: "size of each signature's session pool: requests that run at the same time; 0 for one per core (not in TensorFlow Serving)",
    fallback: 0,
  },
];

/** Accepted so that existing scripts work: they tune parts that this server does not have. */
export const FLAGS_WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  "rest_api_num_threads",
  "num_unload_threads",
  "flush_filesystem_caches",
  "tensorflow_session_parallelism",
  "tensorflow_intra_op_parallelism",
  "tensorflow_inter_op_parallelism",
  "per_process_gpu_memory_fraction",
  "grpc_max_threads",
  "remove_unused_fields_from_bundle_metagraph",
  "xla_cpu_compilation_enabled",
  "xla_gpu_compilation_enabled",
  "enable_profiler",
  "num_tflite_pools",
  "num_tflite_interpreters_per_pool",
  "skip_initialize_tpu",
  "tensorflow_session_config_file",
  "thread_pool_factory_config_file",
]);

/** Flags that are refused unless they have their default value, and the reason. */
export const REFUSED_FLAGS: ReadonlyMap<string, string> = new Map([
  ["use_alts_credentials", "ALTS works in Google's cloud only; use --ssl_config_file"],
  ["platform_config_file", "only SavedModels are served; leave the flag out"],
  ["prefer_tflite_model", "TensorFlow Lite models are not served; leave the flag out"],
  ["mixed_precision", "models run in the precision they were exported in; leave the flag out"],
  ["enable_signature_method_name_check", "method names are not checked; leave the flag out"],
]);

/** Old names of flags, accepted for one version. */
const RENAMED_FLAGS: ReadonlyMap<string, string> = new Map([["lanes", "sessions"]]);

const spelled = (flag: string) => flag.replaceAll("-", "_");

/**
 * Spells all flags with dashes, whether they came with underscores or dashes, and removes those without effect.
 * @returns the arguments, the flags without effect, and the renamed ones as pairs of old and new name.
 * @throws FaceError `CONFIG_INVALID` for a flag that asks for something unsupported.
 */
export function normalizeFlags(argv: readonly string[]): {
  readonly argv: string[];
  readonly withoutEffect: string[];
  readonly renamed: (readonly [old: string, current: string])[];
} {
  const kept: string[] = [];
  const withoutEffect: string[] = [];
  const renamed: (readonly [string, string])[] = [];
  for (let i = 0; i < argv.length; i++) {
    const [flag, value] = split(argv[i]!);
    if (flag === undefined) {
      kept.push(argv[i]!);
    } else if (FLAGS_WITHOUT_EFFECT.has(flag) || REFUSED_FLAGS.has(flag)) {
      const isSeparate = value === undefined && argv[i + 1]?.startsWith("--") === false;
      refuse(flag, isSeparate ? argv[i + 1] : value);
      withoutEffect.push(`--${flag}`);
      if (isSeparate) i++;
    } else {
      const name = RENAMED_FLAGS.get(flag) ?? flag;
      if (name !== flag) renamed.push([flag, name]);
      kept.push(argv[i]!.replace(/^--[^=]+/, `--${name.replaceAll("_", "-")}`));
    }
  }
  return { argv: kept, withoutEffect, renamed };
}

function refuse(flag: string, value: string | undefined): void {
  const reason = REFUSED_FLAGS.get(flag);
  if (reason === undefined || value === "" || value === "false" || value === "0") return;
  throw new FaceError("CONFIG_INVALID", `--${flag} is not supported`, { hint: reason });
}

function split(argument: string): [flag: string | undefined, value: string | undefined] {
  if (!argument.startsWith("--") || argument === "--") return [undefined, undefined];
  const equals = argument.indexOf("=");
  if (equals < 0) return [spelled(argument.slice(2)), undefined];
  return [spelled(argument.slice(2, equals)), argument.slice(equals + 1)];
}
