/** @file tensorflow_model_server's flags: which mean something here, and what becomes of the others. */

/** A flag that is understood. */
export interface ServerFlag {
  readonly name: string;
  readonly kind: "text" | "number" | "boolean";
  readonly help: string;
  readonly fallback?: string | number | boolean;
}

/** In the spelling of TensorFlow Serving; dashes may stand for underscores. */
export const SERVER_FLAGS: readonly ServerFlag[] = [
  { name: "port", kind: "number", help: "gRPC port; 0 for none", fallback: 8500 },
  { name: "grpc_socket_path", kind: "text", help: "unix socket for gRPC beside the port" },
  { name: "rest_api_port", kind: "number", help: "REST port; 0 for none", fallback: 0 },
  {
    name: "rest_api_timeout_in_ms",
    kind: "number",
    help: "time for a REST request; 0 for no limit",
    fallback: 30_000,
  },
  { name: "rest_api_enable_cors_support", kind: "boolean", help: "send CORS headers", fallback: false },
  { name: "model_name", kind: "text", help: "name of the one model to serve", fallback: "default" },
  { name: "model_base_path", kind: "text", help: "folder of the model's versions" },
  {
    name: "model_config_file",
    kind: "text",
    help: "ModelServerConfig in text format; replaces the two above",
  },
  {
    name: "model_config_file_poll_wait_seconds",
    kind: "number",
    help: "seconds between looks at that file; 0 never looks again",
    fallback: 0,
  },
  {
    name: "file_system_poll_wait_seconds",
    kind: "number",
    help: "seconds between looks for versions",
    fallback: 1,
  },
  { name: "max_num_load_retries", kind: "number", help: "further tries to load a version", fallback: 5 },
  { name: "load_retry_interval_micros", kind: "number", help: "pause between tries", fallback: 60_000_000 },
  { name: "num_load_threads", kind: "number", help: "versions loaded at once after the start", fallback: 0 },
  {
    name: "allow_version_labels_for_unavailable_models",
    kind: "boolean",
    help: "labels may point to versions that are not loaded yet",
    fallback: false,
  },
  { name: "saved_model_tags", kind: "text", help: "tags of the meta graph, by commas", fallback: "serve" },
  { name: "ssl_config_file", kind: "text", help: "SSLConfig in text format; secures both ports" },
  { name: "monitoring_config_file", kind: "text", help: "MonitoringConfig in text format" },
  { name: "enable_grpc_healthcheck_service", kind: "boolean", help: "serve grpc.health.v1", fallback: false },
  {
    name: "enable_serialization_as_tensor_content",
    kind: "boolean",
    help: "answer gRPC with packed bytes instead of lists",
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
    help: "predict takes raw tensors, images and forms too (not in TensorFlow Serving)",
    fallback: true,
  },
  {
    name: "lanes",
    kind: "number",
    help: "requests of a signature that run side by side (not in TensorFlow Serving); 0 for one per core",
    fallback: 0,
  },
];

/** Taken for the sake of existing scripts; they tune parts that this server does not have. */
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
]);

const spelled = (flag: string) => flag.replaceAll("-", "_");

/**
 * Brings both spellings (`--rest_api_port`, `--rest-api-port`) and both forms (`--flag=value`, `--flag value`) to the
 * one with dashes, and takes out the flags that have no effect.
 */
export function normalizeFlags(argv: readonly string[]): {
  readonly argv: string[];
  readonly withoutEffect: string[];
} {
  const kept: string[] = [];
  const withoutEffect: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const [flag, value] = split(argv[i]!);
    if (flag === undefined) {
      kept.push(argv[i]!);
    } else if (FLAGS_WITHOUT_EFFECT.has(flag)) {
      withoutEffect.push(`--${flag}`);
      if (value === undefined && argv[i + 1]?.startsWith("--") === false) i++;
    } else {
      kept.push(`--${flag.replaceAll("_", "-")}${value === undefined ? "" : `=${value}`}`);
    }
  }
  return { argv: kept, withoutEffect };
}

function split(argument: string): [flag: string | undefined, value: string | undefined] {
  if (!argument.startsWith("--") || argument === "--") return [undefined, undefined];
  const equals = argument.indexOf("=");
  if (equals < 0) return [spelled(argument.slice(2)), undefined];
  return [spelled(argument.slice(2, equals)), argument.slice(equals + 1)];
}
