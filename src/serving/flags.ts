/** @file tensorflow_model_server's flags: which mean something here, and what becomes of the others. */

import { FaceError } from "../base/errors.ts";

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
  { name: "enable_grpc_healthcheck_service", kind: "boolean", help: "serve grpc.health.v1", fallback: true },
  {
    name: "grpc_channel_arguments",
    kind: "text",
    help: "grpc-js channel options, key=value by commas, such as grpc.max_receive_message_length=4194304",
  },
  {
    name: "enable_batching",
    kind: "boolean",
    help:
      "true: TensorFlow Serving's batching with its limits; false: every request by itself; left out: requests are " +
      "gathered where that cannot make one fail",
  },
  { name: "batching_parameters_file", kind: "text", help: "BatchingParameters in text format" },
  {
    name: "enable_per_model_batching_parameters",
    kind: "boolean",
    help: "take each version's own batching_params.pbtxt",
    fallback: false,
  },
  { name: "enable_model_warmup", kind: "boolean", help: "answer recorded requests first", fallback: true },
  {
    name: "num_request_iterations_for_warmup",
    kind: "number",
    help: "times that each recorded request is sent",
    fallback: 0,
  },
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
    help: "predict takes raw tensors, images and forms by their content type too (not in TensorFlow Serving)",
    fallback: false,
  },
  {
    name: "rest_api_max_body_bytes",
    kind: "number",
    help: "largest body of a REST request (not in TensorFlow Serving)",
    fallback: 256 * 2 ** 20,
  },
  {
    name: "rest_api_max_total_body_bytes",
    kind: "number",
    help: "largest sum of all bodies in memory (not in TensorFlow Serving)",
    fallback: 2 ** 30,
  },
  {
    name: "rest_api_receive_timeout_in_ms",
    kind: "number",
    help: "time for a request to arrive completely (not in TensorFlow Serving)",
    fallback: 60_000,
  },
  {
    name: "rest_api_max_connections",
    kind: "number",
    help: "connections at once (not in TensorFlow Serving)",
    fallback: 10_000,
  },
  {
    name: "max_tensor_bytes",
    kind: "number",
    help: "largest tensor that a gRPC request may claim (not in TensorFlow Serving)",
    fallback: 2 ** 30,
  },
  {
    name: "shutdown_grace_in_ms",
    kind: "number",
    help: "time for requests in flight after SIGTERM (not in TensorFlow Serving)",
    fallback: 10_000,
  },
  {
    name: "log_format",
    kind: "text",
    help: "text, or json for one object a line (not in TensorFlow Serving)",
    fallback: "text",
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
  "tensorflow_session_config_file",
  "thread_pool_factory_config_file",
]);

/** Flags that ask for something this server does not do: why it cannot be had. Their defaults are taken. */
export const REFUSED_FLAGS: ReadonlyMap<string, string> = new Map([
  ["use_alts_credentials", "ALTS exists in Google's cloud only; use --ssl_config_file"],
  ["platform_config_file", "only SavedModels are served; leave the flag out"],
  ["prefer_tflite_model", "TensorFlow Lite models are not served; leave the flag out"],
  ["mixed_precision", "models run in the precision they were exported in; leave the flag out"],
  ["enable_signature_method_name_check", "method names are not checked; leave the flag out"],
]);

const spelled = (flag: string) => flag.replaceAll("-", "_");

/**
 * Brings both spellings (`--rest_api_port`, `--rest-api-port`) and both forms (`--flag=value`, `--flag value`) to the
 * one with dashes, and takes out the flags that have no effect.
 * @throws FaceError `CONFIG_INVALID` for a flag that asks for what cannot be had.
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
    } else if (FLAGS_WITHOUT_EFFECT.has(flag) || REFUSED_FLAGS.has(flag)) {
      const isSeparate = value === undefined && argv[i + 1]?.startsWith("--") === false;
      refuse(flag, isSeparate ? argv[i + 1] : value);
      withoutEffect.push(`--${flag}`);
      if (isSeparate) i++;
    } else {
      kept.push(`--${flag.replaceAll("_", "-")}${value === undefined ? "" : `=${value}`}`);
    }
  }
  return { argv: kept, withoutEffect };
}

/** @throws FaceError `CONFIG_INVALID` when a flag asks for what cannot be had. */
function refuse(flag: string, value: string | undefined): void {
  const reason = REFUSED_FLAGS.get(flag);
  if (reason === undefined || value === "" || value === "false" || value === "0") return;
  throw new FaceError("CONFIG_INVALID", `--${flag} cannot be had here`, { hint: reason });
}

function split(argument: string): [flag: string | undefined, value: string | undefined] {
  if (!argument.startsWith("--") || argument === "--") return [undefined, undefined];
  const equals = argument.indexOf("=");
  if (equals < 0) return [spelled(argument.slice(2)), undefined];
  return [spelled(argument.slice(2, equals)), argument.slice(equals + 1)];
}
