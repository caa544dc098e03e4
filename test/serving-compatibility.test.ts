/** @file docs/serving-compatibility.md says the truth: each route is asked, RPCs and flags are compared with the code. */
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { Health } from "../src/proto/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../src/proto/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as OldReflection } from "../src/proto/grpc/reflection/v1alpha/reflection_pb.ts";
import { GRPCInferenceService } from "../src/proto/inference/grpc_service_pb.ts";
import { ModelServerConfigSchema, ModelService } from "../src/proto/tensorflow_serving/model_service_pb.ts";
import { PredictionService } from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { FLAGS_WITHOUT_EFFECT, REFUSED_FLAGS, SERVER_FLAGS } from "../src/serving/flags.ts";
import { parseTextProto } from "../src/serving/repository/text-proto.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { loadProgram, type ModelFolder, modelFolder } from "./support/servables.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../docs/serving-compatibility.md"), "utf8");
const SERVICES: readonly DescService[] = [
  PredictionService,
  ModelService,
  GRPCInferenceService,
  Health,
  ServerReflection,
  OldReflection,
];

/** The flags of tensorflow_model_server 2.20. */
const THEIR_FLAGS = [
  "port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support",
  "enable_batching batching_parameters_file enable_per_model_batching_parameters",
  "allow_version_labels_for_unavailable_models model_config_file model_config_file_poll_wait_seconds model_name",
  "model_base_path num_load_threads num_unload_threads max_num_load_retries load_retry_interval_micros",
  "file_system_poll_wait_seconds flush_filesystem_caches tensorflow_session_parallelism",
  "tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism tensorflow_session_config_file",
  "use_alts_credentials ssl_config_file platform_config_file per_process_gpu_memory_fraction saved_model_tags",
  "grpc_channel_arguments grpc_max_threads enable_model_warmup num_request_iterations_for_warmup version",
  "monitoring_config_file remove_unused_fields_from_bundle_metagraph prefer_tflite_model num_tflite_pools",
  "num_tflite_interpreters_per_pool enable_signature_method_name_check xla_cpu_compilation_enabled",
  "xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file mixed_precision skip_initialize_tpu",
  "enable_grpc_healthcheck_service enable_serialization_as_tensor_content",
].flatMap((line) => line.split(" "));

/** Rows of the table under a heading, their cells without marks of code. */
function rows(heading: string): string[][] {
  const section = PAGE.slice(PAGE.indexOf(`## ${heading}\n`));
  const end = section.indexOf("\n## ", 1);
  return section
    .slice(0, end < 0 ? undefined : end)
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("`", "")),
    );
}

describe("routes", () => {
  let folder: ModelFolder;
  let server: RunningServer;

  beforeAll(async () => {
    folder = await modelFolder();
    await folder.add("M", 7, "half_plus_two");
    server = await startServer({
      models: parseTextProto(
        ModelServerConfigSchema,
        `model_config_list { config { name: "M" base_path: "${folder.path}/M" model_platform: "tensorflow"
           version_labels { key: "L" value: 7 } } }`,
      ),
      loader: loadProgram,
      log: silentLog,
      grpcPort: undefined,
      restPort: 0,
      metricsPath: "/monitoring/prometheus/metrics",
      allowLabelsForUnavailable: true,
    });
  });

  afterAll(async () => {
    await server.close();
    await folder[Symbol.asyncDispose]();
  });

  const BODIES: Readonly<Record<string, string>> = {
    predict: '{"instances": [1]}',
    classify: '{"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}]}',
    regress: '{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}',
  };

  /** The status of a request whose path goes out as it stands. */
  function statusOf(method: string, path: string): Promise<number | undefined> {
    const action = path.split(":")[1] ?? "";
    return new Promise((resolve, reject) => {
      const headers = { origin: "http://elsewhere" };
      const asked = httpRequest({ port: server.restPort, method, path, headers, agent: false });
      asked.once("response", (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.once("error", reject);
      asked.end(method === "POST" ? (BODIES[action] ?? "{}") : undefined);
    });
  }

  const listed = rows("Routes");

  it("are all there", () => {
    expect(listed.length).toBeGreaterThan(20);
  });

  it.each(listed)("%s: %s", async (request, status) => {
    const [method = "", path = ""] = request.split(" ");
    expect(await statusOf(method, path.replace("/versions/V", "/versions/7"))).toBe(Number(status));
  });
});

describe("RPCs", () => {
  const listed = rows("RPCs");
  const here = SERVICES.flatMap(({ typeName, methods }) => methods.map(({ name }) => `${typeName}/${name}`));

  it("that are here are listed, and no others are said to be", () => {
    const said = listed.filter(([, state]) => state !== "not supported").map(([rpc]) => rpc);
    expect(said.toSorted()).toEqual(here.toSorted());
  });

  it("are named once", () => {
    expect(new Set(listed.map(([rpc]) => rpc)).size).toBe(listed.length);
  });
});

describe("flags", () => {
  const listed = rows("Flags").map(([flag = "", fallback = "", state = ""]) => ({ flag, fallback, state }));
  const stateOf = (flag: string) => listed.filter((row) => row.flag === flag).map(({ state }) => state);

  it.each(THEIR_FLAGS)("--%s of TensorFlow Serving is listed once, with its state", (flag) => {
    const [state, ...more] = stateOf(flag);
    expect(more).toEqual([]);
    if (FLAGS_WITHOUT_EFFECT.has(flag)) expect(state).toBe("no effect");
    else if (REFUSED_FLAGS.has(flag)) expect(state).toBe("refused");
    else expect(["supported", "differs"]).toContain(state);
    const isTaken = SERVER_FLAGS.some(({ name }) => name === flag) || flag === "version";
    expect(isTaken).toBe(state === "supported" || state === "differs");
  });

  it.each(SERVER_FLAGS.map(({ name, fallback }) => [name, fallback]))(
    "--%s has its default",
    (name, fallback) => {
      expect(listed.filter(({ flag }) => flag === name)).toEqual([
        {
          flag: name,
          fallback: fallback === undefined ? "" : String(fallback),
          state: THEIR_FLAGS.includes(String(name)) ? expect.stringMatching(/^(supported|differs)$/) : "ours",
        },
      ]);
    },
  );

  it("are not invented", () => {
    const known = new Set([...SERVER_FLAGS.map(({ name }) => name), ...THEIR_FLAGS]);
    expect(listed.filter(({ flag }) => !known.has(flag))).toEqual([]);
  });
});
