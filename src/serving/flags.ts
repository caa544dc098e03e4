/** @file tensorflow_model_server's flags: those with an effect, those without, and those that are refused. */
import { FaceError } from "../base/errors.ts";

/** A flag with an effect. */
export interface ServerFlag {
  readonly name: string;
  /** A list is given by repeating the flag. */
  readonly kind: "text" | "number" | "boolean" | "list";
  readonly help: string;
  readonly fallback?: Value;
}

type Value = string | number | boolean;
/** Without a kind, a flag has the kind of its default value; without a default value, it is text. */
type FlagRow = readonly [name: string, help: string, fallback?: Value | undefined, kind?: ServerFlag["kind"]];

const OURS = "(not in TensorFlow Serving)";

const FLAGS: readonly FlagRow[] = [
  ["port", "gRPC port; 0 for none", 8500],
  ["bind_address", `address that both ports listen on, such as 127.0.0.1; all without it ${OURS}`],
  [
    "admin_port",
    `port of metrics, reload and reflection, which the others then leave out; 0 for none ${OURS}`,
    0,
  ],
  ["admin_bind_address", `address that --admin_port listens on ${OURS}`, "127.0.0.1"],
  ["grpc_socket_path", "path of a unix socket for gRPC, beside the port"],
  ["rest_api_port", "REST port; 0 for none", 0],
  ["rest_api_timeout_in_ms", "milliseconds for a run by REST; 0 for no limit", 30_000],
  ["rest_api_enable_cors_support", "send CORS headers", false],
  ["model_name", "name of the model at --model_base_path", "default"],
  [
    "model_base_path",
    "folder that holds the model's version folders, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX",
  ],
  ["model_config_file", "ModelServerConfig in text format; replaces the two flags above"],
  ["model_config_file_poll_wait_seconds", "seconds between reads of that file; 0 for one read", 0],
  [
    "file_system_poll_wait_seconds",
    "seconds between listings of version folders; 0 for one listing, less for none",
    1,
  ],
  [
    "model_cache_dir",
    `folder for copies of models at s3:// and gs://; in the system's cache folder without it ${OURS}`,
  ],
  ["remote_poll_wait_seconds", `seconds between listings of s3:// and gs:// ${OURS}`, 30],
  ["max_num_load_retries", "retries when a version fails to load", 5],
  ["load_retry_interval_micros", "microseconds between retries", 60_000_000],
  ["num_load_threads", "versions loaded at a time after the start; 0 for one", 0],
  ["allow_version_labels_for_unavailable_models", "a label may name a version not loaded yet", false],
  ["saved_model_tags", "tags of the meta graph, separated by commas", "serve"],
  ["ssl_config_file", "SSLConfig in text format, for TLS on both ports"],
  ["monitoring_config_file", "MonitoringConfig in text format, for the metrics page"],
  ["enable_grpc_healthcheck_service", "serve grpc.health.v1", true],
  ["grpc_channel_arguments", "grpc-js options, key=value by commas: grpc.max_receive_message_length=4194304"],
  [
    "enable_batching",
    "true: TensorFlow Serving's batching and limits; false: none; left out: batching that makes no request fail",
    undefined,
    "boolean",
  ],
  ["batching_parameters_file", "BatchingParameters in text format"],
  ["enable_per_model_batching_parameters", "use each version's own batching_params.pbtxt", false],
  ["enable_model_warmup", "first send a new version its recorded requests, or zeros", true],
  ["num_request_iterations_for_warmup", "how often each recorded request is sent; 0 for once", 0],
  ["enable_serialization_as_tensor_content", "gRPC answers carry packed bytes, not lists", false],
  [
    "pack",
    `model pack that finds faces in photographs, such as opencv-sface; without other models it is served itself ${OURS}`,
  ],
  [
    "gallery",
    `NAME=FOLDER or NAME=postgres://…: a gallery that clients know as NAME; may be repeated ${OURS}`,
    undefined,
    "list",
  ],
  ["page", `serve the page for people at / ${OURS}`, false],
  ["report", `report page of the pack, as faceid report writes it, for the page of --page ${OURS}`],
  ["image_urls", `beginnings of the URLs that :verify, :detect and :embed may fetch, by commas ${OURS}`],
  ["pack_precision", `what the pack computes in: float32, or int8 for half the time ${OURS}`, "float32"],
  ["pack_profile", `how much the pack does for a face: standard, or fast ${OURS}`, "standard"],
  ["api_keys_file", `file of faceid keys; :verify, :detect, :embed and reload then take a key ${OURS}`],
  ["jwt_jwks_file", `public keys (JSON Web Key Set) of an issuer whose tokens count as keys ${OURS}`],
  ["jwt_issuer", `what the claim iss of a token must be ${OURS}`],
  ["jwt_audience", `what the claim aud of a token must be or hold ${OURS}`],
  ["jwt_scope_prefix", `what stands before the scopes of keys in the claim scope, such as faceid: ${OURS}`],
  ["require_api_key", `every request takes a key or token, but for health ${OURS}`, false],
  ["rate_limit", `requests of a key, or else of an address, in a second; 0 for any number ${OURS}`, 0],
  [
    "trusted_proxies",
    `networks of proxies, by commas, whose word on a client's address counts for --rate_limit and --access_log ${OURS}`,
  ],
  [
    "trusted_proxies_header",
    `the header that they write: x-forwarded-for or forwarded ${OURS}`,
    "x-forwarded-for",
  ],
  ["rest_api_list_models", `GET /v1/models lists the models ${OURS}`, true],
  ["rest_api_binary", `predict also takes raw tensors, images and forms ${OURS}`, false],
  ["rest_api_max_body_bytes", `largest body of a REST request, in bytes ${OURS}`, 256 * 2 ** 20],
  [
    "rest_api_max_total_body_bytes",
    `bytes that all requests, gRPC's too, may hold in memory together ${OURS}`,
    2 ** 29,
  ],
  ["rest_api_receive_timeout_in_ms", `milliseconds for a request to arrive completely ${OURS}`, 60_000],
  ["rest_api_max_connections", `largest number of REST connections ${OURS}`, 10_000],
  ["max_tensor_bytes", `largest tensor of a gRPC request, in bytes ${OURS}`, 2 ** 28],
  [
    "rest_api_keep_alive_in_ms",
    `milliseconds that an idle REST connection stays open; gRPC's: --grpc_channel_arguments ${OURS}`,
    72_000,
  ],
  [
    "shutdown_delay_in_ms",
    `milliseconds after SIGTERM in which probes fail and requests are still taken ${OURS}`,
    0,
  ],
  ["shutdown_grace_in_ms", `milliseconds for requests in flight after SIGTERM ${OURS}`, 10_000],
  ["access_log", `stdout, or a file to which a line of JSON is added for each request ${OURS}`],
  ["request_log_dir", `folder for the requests that logging_config of a model records ${OURS}`],
  ["log_format", `text, or json for one object per line ${OURS}`, "text"],
  [
    "sessions",
    `size of each signature's session pool: requests at a time; 0 for one per core, or of a container's quota ${OURS}`,
    0,
  ],
  [
    "alone_threads",
    `threads of the session that runs a request while no other runs; 0 for one per core, 1 for no such session ${OURS}`,
    0,
  ],
];

function kindOf(value: Value | undefined): ServerFlag["kind"] {
  if (typeof value === "number") return "number";
  return typeof value === "boolean" ? "boolean" : "text";
}

/** In TensorFlow Serving's spelling; dashes may replace underscores. */
export const SERVER_FLAGS: readonly ServerFlag[] = FLAGS.map(([name, help, fallback, kind]) => ({
  name,
  help,
  kind: kind ?? kindOf(fallback),
  ...(fallback !== undefined && { fallback }),
}));

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
