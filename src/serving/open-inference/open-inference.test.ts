/** @file The Open Inference Protocol on real ports, over REST and gRPC. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GrpcCaller, grpcCaller } from "../../../test/support/grpc-client.ts";
import { loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { type DType, tensor } from "../../base/tensor.ts";
import {
  GRPCInferenceService,
  ModelInferRequestSchema,
  ModelInferResponseSchema,
} from "../../proto/inference/grpc_service_pb.ts";
import { DataType } from "../../proto/inference/model_config_pb.ts";
import { ModelServerConfigSchema, ModelService } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { readTensors } from "../json/codec-calls.ts";
import { parseTextProto } from "../repository/text-proto.ts";
import { type RunningServer, startServer } from "../server.ts";
import { readInferMessage } from "./messages.ts";
import type { VersionStatistics } from "./statistics.ts";
import { DATATYPES, rawBytes } from "./tensors.ts";

let folder: ModelFolder;
let server: RunningServer;
let caller: GrpcCaller;
const rpc = GRPCInferenceService.method;

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 3, "half_plus_two");
  await folder.add("half", 12, "half_plus_two");
  await folder.add("two", 1, "two_inputs");
  await folder.add("echoes", 1, "echoes");
  const configs = ["half", "two", "echoes"].map((name) => {
    const all = name === "half" ? "model_version_policy { all {} }" : "";
    return `config { name: "${name}" base_path: "${folder.path}/${name}" model_platform: "tensorflow" ${all} }`;
  });
  server = await startServer({
    models: parseTextProto(ModelServerConfigSchema, `model_config_list { ${configs.join("\n")} }`),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    metricsPath: "/metrics",
    maxLoadRetries: 0,
    pollWaitSeconds: 0,
  });
  caller = grpcCaller(`localhost:${server.grpcPort}`);
});

afterAll(async () => {
  caller[Symbol.dispose]();
  await server.close();
  await folder[Symbol.asyncDispose]();
});

async function rest(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(`http://localhost:${server.restPort}${path}`, {
    method,
    headers,
    ...(body === undefined
      ? {}
      : { body: isBytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
  });
  return response;
}

async function restJson(method: string, path: string, body?: unknown) {
  const response = await rest(method, path, body);
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

const inputX = (rest: object) => ({ inputs: [{ name: "x", datatype: "FP32", shape: [2, 1], ...rest }] });

describe("questions about server and models", () => {
  it("answers them over REST", async () => {
    expect(await restJson("GET", "/v2")).toMatchObject({
      status: 200,
      json: {
        name: "faceid",
        extensions: ["binary_tensor_data", "model_repository", "model_configuration", "statistics"],
      },
    });
    expect((await restJson("GET", "/v2/health/live")).json).toEqual({ live: true });
    expect((await restJson("GET", "/v2/health/ready")).json).toEqual({ ready: true });
    expect((await restJson("GET", "/v2/models")).json).toEqual({ models: ["half", "two", "echoes"] });
    expect((await restJson("GET", "/v2/models/half")).json).toEqual({
      name: "half",
      versions: ["12", "3"],
      platform: "tensorflow_savedmodel",
      inputs: [{ name: "x", datatype: "FP32", shape: [-1, 1] }],
      outputs: [{ name: "y", datatype: "FP32", shape: [-1, 1] }],
    });
    expect(await restJson("GET", "/v2/models/half/versions/3/ready")).toEqual({
      status: 200,
      json: { name: "half", ready: true },
    });
    expect(await restJson("GET", "/v2/models/half/versions/4/ready")).toEqual({
      status: 404,
      json: { name: "half", ready: false },
    });
    expect((await restJson("GET", "/v2/models/none")).status).toBe(404);
  });

  it("answers them over gRPC", async () => {
    expect(await caller.call(rpc.serverLive, create(rpc.serverLive.input))).toMatchObject({ live: true });
    expect(await caller.call(rpc.serverReady, create(rpc.serverReady.input))).toMatchObject({ ready: true });
    const ready = (version: string) =>
      caller.call(rpc.modelReady, create(rpc.modelReady.input, { name: "half", version }));
    expect(await ready("12")).toMatchObject({ ready: true });
    expect(await ready("4")).toMatchObject({ ready: false });
    const metadata = create(rpc.modelMetadata.input, { name: "two" });
    expect(await caller.call(rpc.modelMetadata, metadata)).toMatchObject({
      versions: ["1"],
      inputs: [
        { name: "a", datatype: "FP32", shape: [-1n] },
        { name: "b", datatype: "FP32", shape: [-1n] },
      ],
    });
  });

  it("says which routes there are when a path or method is wrong", async () => {
    expect(await restJson("GET", "/v2/models/half/infer")).toEqual({
      status: 400,
      json: { error: "/v2/models/half/infer takes POST, got GET" },
    });
    expect((await restJson("POST", "/v2/modls/half/infer", {})).status).toBe(404);
  });
});

describe("settings and statistics", () => {
  const settings = {
    name: "half",
    platform: "tensorflow_savedmodel",
    version_policy: { all: {} },
    max_batch_size: 64,
    input: [{ name: "x", data_type: "TYPE_FP32", dims: [1] }],
    output: [{ name: "y", data_type: "TYPE_FP32", dims: [1] }],
    dynamic_batching: { preferred_batch_size: [], max_queue_delay_microseconds: 0 },
  };

  it("answers a model's settings over both protocols", async () => {
    expect(await restJson("GET", "/v2/models/half/config")).toEqual({ status: 200, json: settings });
    const request = create(rpc.modelConfig.input, { name: "half", version: "3" });
    expect((await caller.call(rpc.modelConfig, request)).config).toMatchObject({
      name: "half",
      versionPolicy: { policyChoice: { case: "all" } },
      maxBatchSize: 64,
      input: [{ name: "x", dataType: DataType.TYPE_FP32, dims: [1n] }],
    });
    expect((await restJson("GET", "/v2/models/none/config")).status).toBe(404);
  });

  it("says that a model has no batches of Triton's form where rows are its only side", async () => {
    expect((await restJson("GET", "/v2/models/two/versions/1/config")).json).toMatchObject({
      version_policy: { latest: { num_versions: 1 } },
      max_batch_size: 0,
      input: [
        { name: "a", dims: [-1] },
        { name: "b", dims: [-1] },
      ],
    });
  });

  const figuresOf = async (path: string) =>
    (await restJson("GET", path)).json.model_stats as VersionStatistics[];

  it("counts requests, rows and runs of a version", async () => {
    const [before] = await figuresOf("/v2/models/half/versions/3/stats");
    const ask = (data: number[], shape: number[]) =>
      restJson("POST", "/v2/models/half/versions/3/infer", inputX({ shape, data }));
    const beganMs = Date.now();
    await ask([1, 2], [2, 1]);
    await ask([1, 2, 3], [3, 1]);
    const [after] = await figuresOf("/v2/models/half/versions/3/stats");
    const grown = (name: keyof VersionStatistics["inference_stats"]) => {
      const [old, now] = [before!.inference_stats[name], after!.inference_stats[name]];
      return { count: now.count - old.count, hasTime: now.ns > old.ns };
    };
    expect(after).toMatchObject({ name: "half", version: "3", batch_stats: [] });
    expect(after!.inference_count - before!.inference_count).toBe(5);
    expect(after!.execution_count - before!.execution_count).toBe(2);
    for (const name of ["success", "queue", "compute_infer"] as const) {
      expect([name, grown(name)]).toEqual([name, { count: 2, hasTime: true }]);
    }
    for (const name of ["fail", "compute_input", "compute_output"] as const) {
      expect([name, grown(name)]).toEqual([name, { count: 0, hasTime: false }]);
    }
    expect(after!.last_inference).toBeGreaterThanOrEqual(beganMs);
  });

  it("lists all versions, over both protocols", async () => {
    const named = (stats: readonly { name: string; version: string }[]) =>
      stats.map(({ name, version }) => `${name} ${version}`).sort();
    const all = ["echoes 1", "half 12", "half 3", "two 1"];
    expect(named(await figuresOf("/v2/models/stats"))).toEqual(all);
    expect(named(await figuresOf("/v2/models/half/stats"))).toEqual(["half 12", "half 3"]);
    const ask = (name: string, version = "") =>
      caller.call(rpc.modelStatistics, create(rpc.modelStatistics.input, { name, version }));
    expect(named((await ask("")).modelStats)).toEqual(all);
    const [overRest] = await figuresOf("/v2/models/half/versions/3/stats");
    const [overGrpc] = (await ask("half", "3")).modelStats;
    expect(overGrpc).toMatchObject({
      inferenceCount: BigInt(overRest!.inference_count),
      inferenceStats: { success: { ns: BigInt(overRest!.inference_stats.success.ns) } },
    });
    expect((await restJson("GET", "/v2/models/none/stats")).status).toBe(404);
    await expect(ask("none")).rejects.toMatchObject({ code: 5 });
    await expect(ask("", "3")).rejects.toMatchObject({ code: 3 });
  });
});

describe("infer over REST", () => {
  it.each([
    ["a flat list", [1, 2]],
    ["nested lists", [[1], [2]]],
  ])("takes %s, and answers with name, version and id", async (_what, data) => {
    expect(await restJson("POST", "/v2/models/half/infer", { id: "é7", ...inputX({ data }) })).toEqual({
      status: 200,
      json: {
        model_name: "half",
        model_version: "12",
        id: "é7",
        parameters: { signature_name: "serving_default" },
        outputs: [{ name: "y", datatype: "FP32", shape: [2, 1], data: [2.5, 3] }],
      },
    });
  });

  it("asks the version of the path, and only for the outputs that are named", async () => {
    const older = await restJson("POST", "/v2/models/half/versions/3/infer", inputX({ data: [1, 2] }));
    expect(older.json.model_version).toBe("3");
    const ab = ["a", "b"].map((name) => ({ name, datatype: "FP32", shape: [1], data: [3] }));
    const two = await restJson("POST", "/v2/models/two/infer", {
      inputs: ab,
      outputs: [{ name: "product" }],
    });
    expect(two.json.outputs).toEqual([{ name: "product", datatype: "FP32", shape: [1], data: [9] }]);
  });

  it("takes and gives raw bytes behind the JSON", async () => {
    const json = JSON.stringify(inputX({ parameters: { binary_data_size: 8 } }).inputs);
    const head = Buffer.from(`{"parameters": {"binary_data_output": true}, "inputs": ${json}}`);
    const body = Buffer.concat([head, new Uint8Array(new Float32Array([1, 2]).buffer)]);
    const response = await rest("POST", "/v2/models/half/infer", new Uint8Array(body), {
      "Inference-Header-Content-Length": String(head.length),
    });
    const answer = Buffer.from(await response.arrayBuffer());
    const length = Number(response.headers.get("inference-header-content-length"));
    expect(JSON.parse(answer.subarray(0, length).toString()).outputs).toEqual([
      { name: "y", datatype: "FP32", shape: [2, 1], parameters: { binary_data_size: 8 } },
    ]);
    expect([...new Float32Array(new Uint8Array(answer.subarray(length)).buffer)]).toEqual([2.5, 3]);
  });

  it("takes large tensors, which are read in a thread", async () => {
    const data = Array.from({ length: 50_000 }, (_, i) => i);
    const large = await restJson("POST", "/v2/models/half/infer", inputX({ shape: [50_000, 1], data }));
    expect((large.json.outputs as { data: number[] }[])[0]!.data.at(-1)).toBe(49_999 / 2 + 2);
  });

  it("answers a shape without elements with one", async () => {
    const none = await restJson("POST", "/v2/models/half/infer", inputX({ shape: [100_000, 0], data: [] }));
    expect(none.json.outputs).toMatchObject([{ shape: [100_000, 0], data: [] }]);
  });

  const wrong: [string, object, RegExp][] = [
    ["another number of values", inputX({ data: [1, 2, 3] }), /a shape of 2 elements, but 3 were sent/],
    ["a negative side", inputX({ shape: [-1, 1], data: [1] }), /sides are whole numbers/],
    ["a side that is no number", inputX({ shape: ["2", 1], data: [1, 2] }), /sides are whole numbers/],
    ["an enormous shape", inputX({ shape: [2 ** 40, 2 ** 40], data: [1] }), /too many elements/],
    ["an enormous shape without elements", inputX({ shape: [2 ** 40, 0], data: [] }), /has no elements, but/],
    ["an unknown datatype", inputX({ datatype: "float", data: [1, 2] }), /the protocol has FP32, FP64/],
    ["another datatype", inputX({ datatype: "INT32", data: [1, 2] }), /to be float but int32 is provided/],
    ["text for numbers", inputX({ data: ["a", 2] }), /input "x": JSON Value: "a"/],
    ["no data", inputX({}), /neither "data" nor/],
    ["no inputs", {}, /"inputs" is missing or empty/],
    ["inputs of another kind", { inputs: [1] }, /must be a list of objects, got 1 in it/],
    ["an input without a name", { inputs: [{ shape: [1] }] }, /"name" is missing in an element of "inputs"/],
    ["an unknown input", { inputs: [{ ...inputX({}).inputs[0], name: "z", data: [1, 2] }] }, /z/],
    ["an unknown output", { ...inputX({ data: [1, 2] }), outputs: [{ name: "z" }] }, /alias not found.*z/],
    [
      "raw bytes that are not there",
      inputX({ parameters: { binary_data_size: 8 } }),
      /takes 8 raw bytes, but 0/,
    ],
    [
      "an extension",
      { ...inputX({ data: [1, 2] }), parameters: { sequence_id: 1 } },
      /"sequence_id" is not supported/,
    ],
    ["shared memory", inputX({ parameters: { shared_memory_region: "a" } }), /not supported/],
  ];
  it.each(wrong)("refuses %s", async (_what, body, message) => {
    const { status, json } = await restJson("POST", "/v2/models/half/infer", body);
    expect([status, json.error]).toEqual([400, expect.stringMatching(message)]);
  });

  it.each([
    ["int8", 128],
    ["uint8", -1],
    ["int16", 40_000],
    ["uint16", 65_536],
  ] as const)("refuses a value outside of %s instead of wrapping it", async (dtype, value) => {
    const body = {
      parameters: { signature_name: dtype },
      inputs: [{ name: "x", datatype: DATATYPES[dtype], shape: [1, 1], data: [value] }],
    };
    const { status, json } = await restJson("POST", "/v2/models/echoes/infer", body);
    expect([status, json.error]).toEqual([400, expect.stringContaining(`${value} is outside of`)]);
  });

  it("refuses a length of the JSON that is beyond the body", async () => {
    const response = await rest("POST", "/v2/models/half/infer", inputX({ data: [1, 2] }), {
      "Inference-Header-Content-Length": "100000",
    });
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining("gives the length"),
    ]);
  });
});

const VALUES = {
  float32: tensor("float32", [1, 2], new Float32Array([1.5, -2])),
  float64: tensor("float64", [1, 2], new Float64Array([1.5, -2])),
  float16: tensor("float16", [1, 2], new Uint16Array([0x3c00, 0xc000])),
  bfloat16: tensor("bfloat16", [1, 2], new Uint16Array([0x3f80, 0xc000])),
  int8: tensor("int8", [1, 2], new Int8Array([-128, 127])),
  int16: tensor("int16", [1, 2], new Int16Array([-32_768, 32_767])),
  int32: tensor("int32", [1, 2], new Int32Array([-(2 ** 31), 2 ** 31 - 1])),
  int64: tensor("int64", [1, 2], new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n])),
  uint8: tensor("uint8", [1, 2], new Uint8Array([0, 255])),
  uint16: tensor("uint16", [1, 2], new Uint16Array([0, 65_535])),
  uint32: tensor("uint32", [1, 2], new Uint32Array([0, 2 ** 32 - 1])),
  uint64: tensor("uint64", [1, 2], new BigUint64Array([0n, 2n ** 64n - 1n])),
  bool: tensor("bool", [1, 2], new Uint8Array([1, 0])),
  string: tensor("string", [1, 2], [Buffer.from("añb"), Buffer.from("")]),
} as const;
const TYPES = Object.entries(VALUES) as [DType, (typeof VALUES)[DType]][];

describe("infer over gRPC", () => {
  const LISTS: Partial<Record<DType, string>> = {
    float32: "fp32Contents",
    float64: "fp64Contents",
    int8: "intContents",
    int16: "intContents",
    int32: "intContents",
    int64: "int64Contents",
    uint8: "uintContents",
    uint16: "uintContents",
    uint32: "uintContents",
    uint64: "uint64Contents",
    bool: "boolContents",
    string: "bytesContents",
  };
  const request = (dtype: DType, more: object) =>
    create(ModelInferRequestSchema, {
      modelName: "echoes",
      id: "7",
      parameters: { signature_name: { parameterChoice: { case: "stringParam", value: dtype } } },
      inputs: [{ name: "x", datatype: DATATYPES[dtype], shape: [1n, 2n] }],
      ...more,
    });
  const listed = (dtype: DType, values: unknown[], shape = [1n, 2n]) =>
    request(dtype, {
      inputs: [{ name: "x", datatype: DATATYPES[dtype], shape, contents: { [LISTS[dtype]!]: values } }],
    });

  it.each(TYPES)("passes raw bytes of %s unchanged", async (dtype, value) => {
    const raw = rawBytes(value);
    const answer = await caller.call(rpc.modelInfer, request(dtype, { rawInputContents: [raw] }));
    expect(answer).toMatchObject({ modelName: "echoes", modelVersion: "1", id: "7" });
    expect(answer.outputs[0]).toMatchObject({ name: "y", datatype: DATATYPES[dtype], shape: [1n, 2n] });
    expect(Buffer.from(answer.rawOutputContents[0]!)).toEqual(Buffer.from(raw));
  });

  it.each(TYPES.filter(([dtype]) => LISTS[dtype] !== undefined))(
    "passes lists of %s",
    async (dtype, value) => {
      const values = dtype === "bool" ? [true, false] : [...(value.data as Float32Array)];
      const answer = await caller.call(rpc.modelInfer, listed(dtype, values));
      expect(answer.outputs[0]!.contents).toMatchObject({ [LISTS[dtype]!]: values });
    },
  );

  it("reads lists that are not packed", () => {
    const whole = toBinary(ModelInferRequestSchema, listed("float32", [1.5, -2]));
    // The packed list: field 6, of 8 bytes. One by one, each float has a tag of its own.
    const at = Buffer.from(whole).indexOf(Buffer.from([0x32, 0x08]));
    const [first, second] = [whole.subarray(at + 2, at + 6), whole.subarray(at + 6, at + 10)];
    const bytes = Buffer.concat(
      [whole.subarray(0, at), [0x35], first, [0x35], second, whole.subarray(at + 10)].map((part) =>
        Buffer.from(part),
      ),
    );
    const { plans } = readInferMessage(bytes, {});
    expect([...(readTensors(bytes, plans).get("x")!.data as Float32Array)]).toEqual([1.5, -2]);
  });

  const broken: [string, ReturnType<typeof request>, RegExp][] = [
    ["too few values", listed("float32", [1]), /2 elements, but 1 were sent/],
    ["too many values", listed("int32", [1, 2, 3]), /2 elements, but 3 were sent/],
    ["too few strings", listed("string", [Buffer.from("a")]), /2 elements, but 1 were sent/],
    ["a value beyond its type", listed("int8", [1, 300]), /300 is outside of INT8, -128 to 127/],
    ["a negative value beyond its type", listed("int16", [1, -40_000]), /-40000 is outside of INT16/],
    [
      "raw bytes too short",
      request("float32", { rawInputContents: [new Uint8Array(7)] }),
      /takes 8 bytes, but .* 7/,
    ],
    [
      "a raw string cut off",
      request("string", { rawInputContents: [new Uint8Array([9, 0, 0, 0, 1])] }),
      /ends inside/,
    ],
    [
      "a list for a half",
      request("float16", { inputs: [{ name: "x", datatype: "FP16", shape: [1n, 2n] }] }),
      /send raw_input_contents/,
    ],
    [
      "the list of another type",
      request("float32", {
        inputs: [{ name: "x", datatype: "FP32", shape: [1n, 2n], contents: { fp64Contents: [1, 2] } }],
      }),
      /list of another type/,
    ],
    [
      "raw contents of some inputs",
      request("float32", { rawInputContents: [new Uint8Array(8), new Uint8Array(8)] }),
      /1 inputs and 2 raw_input_contents/,
    ],
  ];
  it.each(broken)("refuses %s", async (_what, message, text) => {
    await expect(caller.call(rpc.modelInfer, message)).rejects.toMatchObject({
      code: 3,
      details: expect.stringMatching(text),
    });
  });

  it("says which model is unknown", async () => {
    const message = create(ModelInferRequestSchema, { modelName: "none", inputs: [] });
    await expect(caller.call(rpc.modelInfer, message)).rejects.toMatchObject({ code: 5 });
  });

  it("answers bytes that a standard reader decodes", async () => {
    const answer = await caller.call(rpc.modelInfer, listed("float32", [1, 2]));
    const again = fromBinary(ModelInferResponseSchema, toBinary(ModelInferResponseSchema, answer));
    expect(again.outputs[0]!.contents!.fp32Contents).toEqual([1, 2]);
  });
});

describe("the repository", () => {
  const index = async () => (await rest("POST", "/v2/repository/index", {})).json() as Promise<unknown[]>;

  it("lists, unloads and loads models over both protocols", async () => {
    expect(await index()).toContainEqual({ name: "two", version: "1", state: "READY", reason: "" });
    const unloaded = await restJson("POST", "/v2/repository/models/two/unload", {});
    expect(unloaded).toEqual({ status: 200, json: { model_name: "two", isUnloaded: true } });
    expect((await restJson("GET", "/v2/models/two/ready")).status).toBe(404);
    expect((await restJson("GET", "/v2/models/half/ready")).status).toBe(200);
    await expect
      .poll(index)
      .toContainEqual({ name: "two", version: "1", state: "UNAVAILABLE", reason: "unloaded" });
    await caller.call(rpc.repositoryModelLoad, create(rpc.repositoryModelLoad.input, { modelName: "two" }));
    const ready = create(rpc.repositoryIndex.input, { ready: true });
    const { models } = await caller.call(rpc.repositoryIndex, ready);
    expect(models).toContainEqual(expect.objectContaining({ name: "two", version: "1", state: "READY" }));
  });

  it("takes the name where KServe sends it", async () => {
    const kserve = create(rpc.repositoryModelUnload.input, { repositoryName: "two" });
    expect(await caller.call(rpc.repositoryModelUnload, kserve)).toMatchObject({
      modelName: "two",
      isUnloaded: true,
    });
    await restJson("POST", "/v2/repository/models/two/load", {});
    expect((await restJson("GET", "/v2/models/two/ready")).status).toBe(200);
  });

  it("says why a model cannot be loaded, and loads it when that is mended", async () => {
    await restJson("POST", "/v2/repository/models/two/unload", {});
    await folder.add("two", 1, "damaged");
    const failed = await restJson("POST", "/v2/repository/models/two/load", {});
    expect(failed).toEqual({ status: 500, json: { error: expect.stringContaining("two") } });
    await folder.add("two", 1, "two_inputs");
    expect((await restJson("POST", "/v2/repository/models/two/load", {})).status).toBe(200);
  });

  it("changes nothing for a page of another site", async () => {
    const path = "/v2/repository/models/half/unload";
    for (const headers of [{ origin: "https://example.org" }, { "sec-fetch-site": "cross-site" }]) {
      expect((await rest("POST", path, {}, headers)).status).toBe(403);
    }
    expect((await restJson("GET", "/v2/models/half/ready")).status).toBe(200);
  });

  it("refuses models that the configuration never had", async () => {
    for (const verb of ["load", "unload"]) {
      const { status, json } = await restJson("POST", `/v2/repository/models/none/${verb}`, {});
      expect([status, json.error]).toEqual([404, expect.stringContaining('no model "none"')]);
    }
  });
});

describe("a model that comes back", () => {
  const start = async (config: string) =>
    await startServer({
      models: parseTextProto(ModelServerConfigSchema, `model_config_list { ${config} }`),
      loader: loadProgram,
      log: silentLog,
      grpcPort: 0,
      restPort: 0,
      metricsPath: "/metrics",
      pollWaitSeconds: 0,
      maxLoadRetries: 5,
      loadRetryIntervalMs: 3_600_000,
    });
  const ask = async ({ restPort }: RunningServer, path: string) => {
    const method = path.startsWith("/v2/repository") ? "POST" : "GET";
    return (await fetch(`http://localhost:${restPort}${path}`, { method })).status;
  };

  it("has its labels again", async () => {
    await using models = await modelFolder();
    await models.add("half", 3, "half_plus_two");
    const half = `name: "half" base_path: "${models.path}/half" model_platform: "tensorflow"`;
    const one = await start(`config { ${half} }`);
    using caller = grpcCaller(`localhost:${one.grpcPort}`);
    try {
      const { handleReloadConfigRequest } = ModelService.method;
      const labelled = `config { ${half} version_labels { key: "stable" value: 3 } }`;
      const config = parseTextProto(ModelServerConfigSchema, `model_config_list { ${labelled} }`);
      await caller.call(handleReloadConfigRequest, create(handleReloadConfigRequest.input, { config }));
      expect(await ask(one, "/v2/repository/models/half/unload")).toBe(200);
      expect(await ask(one, "/v2/repository/models/half/load")).toBe(200);
      expect(await ask(one, "/v2/models/half/versions/stable/ready")).toBe(200);
    } finally {
      await one.close();
    }
  });

  it("fails with its first try, without its retries, and does not hold up others", async () => {
    await using models = await modelFolder();
    await models.add("half", 3, "half_plus_two");
    await models.add("two", 1, "two_inputs");
    const configs = ["half", "two"].map(
      (name) => `config { name: "${name}" base_path: "${models.path}/${name}" model_platform: "tensorflow" }`,
    );
    const one = await start(configs.join("\n"));
    try {
      for (const name of ["half", "two"]) await ask(one, `/v2/repository/models/${name}/unload`);
      await models.add("two", 1, "damaged");
      const answers = ["two", "two", "half"].map((name) => ask(one, `/v2/repository/models/${name}/load`));
      expect(await Promise.all(answers)).toEqual([500, 500, 200]);
      await models.add("two", 1, "two_inputs");
      expect(await ask(one, "/v2/repository/models/two/load")).toBe(200);
    } finally {
      await one.close();
    }
  });
});

describe("metrics", () => {
  it("count infer requests by model", async () => {
    await restJson("POST", "/v2/models/half/infer", inputX({ data: [1, 2] }));
    const page = await (await rest("GET", "/metrics")).text();
    expect(page).toMatch(/:request_count\{[^}]*model_name="half"[^}]*status="OK"\} [1-9]/);
  });
});
