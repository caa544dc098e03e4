/** @file Request logging: what is recorded over both protocols, its replay as a warm-up, sampling, and what is refused. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { grpcCaller } from "../../../test/support/grpc-client.ts";
import { halfPlusTwo, loadProgram, type ModelFolder, modelFolder } from "../../../test/support/servables.ts";
import { silentLog } from "../../base/log.ts";
import { float32 } from "../../base/tensor.ts";
import { ModelServerConfigSchema } from "../../proto/tensorflow_serving/model_service_pb.ts";
import {
  ClassificationRequestSchema,
  MultiInferenceRequestSchema,
  PredictionLogSchema,
  PredictionService,
  PredictRequestSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorToProto } from "../../savedmodel/format/tensor-proto.ts";
import { readRecords } from "../../savedmodel/format/tfrecord.ts";
import { parseTextProto } from "../repository/text-proto.ts";
import { warmUp } from "../repository/warmup.ts";
import { type RunningServer, type ServerOptions, startServer } from "../server.ts";
import { RequestLog } from "./request-log.ts";

let folder: ModelFolder;
let server: RunningServer | undefined;
let logs: string;
let count = 0;

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 1, "half_plus_two");
  return () => folder[Symbol.asyncDispose]();
});

afterEach(async () => {
  await server?.close(1000);
  server = undefined;
});

const configOf = (logging: string) =>
  parseTextProto(
    ModelServerConfigSchema,
    `model_config_list { config { name: "half" base_path: "${folder.path}/half" model_platform: "tensorflow" ${logging} } }`,
  );
const logging = (prefix = "half", rate = 1, type = "") =>
  `logging_config { log_collector_config { ${type} filename_prefix: "${prefix}" } sampling_config { sampling_rate: ${rate} } }`;

async function started(config: string, options: Partial<ServerOptions> = {}): Promise<RunningServer> {
  logs = join(folder.path, `logs-${count++}`);
  server = await startServer({
    models: configOf(config),
    loader: loadProgram,
    log: silentLog,
    grpcPort: 0,
    restPort: 0,
    maxLoadRetries: 0,
    requestLogDir: logs,
    ...options,
  });
  return server;
}

const post = async (verb: string, body: string) => {
  const answer = await fetch(`http://127.0.0.1:${server!.restPort}/v1/models/half:${verb}`, {
    method: "POST",
    body,
  });
  return [answer.status, await answer.text()];
};

/** The files when the server has closed, with their records. */
async function recorded() {
  await server?.close(1000);
  server = undefined;
  const names = readdirSync(logs, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith("tfrecord"),
  );
  return names.map((name) => {
    const path = join(logs, name);
    const records = readRecords(readFileSync(path), name).map((record) =>
      fromBinary(PredictionLogSchema, record),
    );
    return { name, path, records };
  });
}

describe("logging_config", () => {
  it("records requests with answers over both protocols, and a warm-up replays them", async () => {
    const { grpcPort } = await started(logging("half", 1, 'type: "file"'));
    expect((await post("predict", '{"instances": [1, 2]}'))[0]).toBe(200);
    expect((await post("predict", '{"instances": ["wrong"]}'))[0]).toBe(400);
    expect((await post("regress", '{"signature_name": "regress_x_to_y", "examples": [{"x": 3}]}'))[0]).toBe(
      200,
    );
    using caller = grpcCaller(`127.0.0.1:${grpcPort}`);
    const { method } = PredictionService;
    const x = tensorToProto(float32([1], [4]));
    await caller.call(
      method.predict,
      create(PredictRequestSchema, { modelSpec: { name: "half" }, inputs: { x } }),
    );
    const feature = { x: { kind: { case: "floatList" as const, value: { value: [5] } } } };
    const input = {
      kind: { case: "exampleList" as const, value: { examples: [{ features: { feature } }] } },
    };
    const modelSpec = { name: "half", signatureName: "classify_x_to_y" };
    await caller.call(method.classify, create(ClassificationRequestSchema, { modelSpec, input }));
    const tasks = [{ modelSpec, methodName: "tensorflow/serving/classify" }];
    await caller.call(method.multiInference, create(MultiInferenceRequestSchema, { tasks, input }));

    const [file, ...others] = await recorded();
    expect(others).toEqual([]);
    expect(file!.name).toMatch(/^half-\d{8}T\d{6}\.\d{3}Z-\d+\.tfrecord$/);
    if (process.platform !== "win32") expect(statSync(file!.path).mode & 0o777).toBe(0o600);
    const kinds = file!.records.map(({ logType }) => logType.case);
    expect(kinds.toSorted()).toEqual(
      ["classifyLog", "multiInferenceLog", "predictLog", "predictLog", "regressLog"].toSorted(),
    );
    for (const { logType } of file!.records) {
      const { request, response } = logType.value as { request: object; response: object };
      expect(request).toBeDefined();
      expect(response).toBeDefined();
    }
    const answers = file!.records.flatMap(({ logType }) =>
      logType.case === "predictLog"
        ? [[logType.value.request!.inputs.x, logType.value.response!.outputs.y]]
        : [],
    );
    const bytes = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
    expect(answers.map((pair) => pair.map((each) => [...each!.tensorContent]))).toEqual([
      [[...bytes(1, 2)], [...bytes(2.5, 3)]],
      [[...bytes(4)], [...bytes(4)]],
    ]);

    const version = join(folder.path, "next/1");
    mkdirSync(join(version, "assets.extra"), { recursive: true });
    writeFileSync(join(version, "assets.extra/tf_serving_warmup_requests"), readFileSync(file!.path));
    const inner = halfPlusTwo({ name: "half", version: 2n });
    const run = vi.fn(inner.run.bind(inner));
    expect(await warmUp({ ...inner, run }, version, { iterations: 0 })).toBe(5);
    expect(run).toHaveBeenCalledTimes(5);
    expect([...run.mock.calls[0]![1].values()][0]).toMatchObject({
      shape: [2],
      data: Float32Array.from([1, 2]),
    });
  });

  it("takes a sample, and begins a file after as many records as a warm-up takes", async () => {
    const log = new RequestLog(join(folder.path, "sample"), silentLog);
    const model = (rate: number) =>
      configOf(logging("sample", rate)).config.value as never as { config: never[] };
    const record = (rate: number) => {
      const recorder = log.recorder(model(rate).config[0]!);
      return recorder?.begin("predict", 0, () => new Uint8Array(1)) !== undefined;
    };
    const taken = (rate: number) => Array.from({ length: 4000 }, () => record(rate)).filter(Boolean).length;
    expect(taken(0)).toBe(0);
    expect(taken(1)).toBe(4000);
    // Six standard deviations of a binomial distribution.
    expect(Math.abs(taken(0.25) - 1000)).toBeLessThan(6 * Math.sqrt(4000 * 0.25 * 0.75));
    const recorder = log.recorder(model(1).config[0]!)!;
    for (let i = 0; i < 2500; i++)
      recorder.begin("predict", 0, () => new Uint8Array(0))!(() => new Uint8Array(0));
    expect(recorder.begin("predict", 5 * 2 ** 20, () => new Uint8Array(0))).toBeUndefined();
    await log.close();
    const files = readdirSync(join(folder.path, "sample")).toSorted();
    const sizes = files.map(
      (name) => readRecords(readFileSync(join(folder.path, "sample", name)), name).length,
    );
    expect(sizes.toSorted((a, b) => a - b)).toEqual([500, 1000, 1000]);
  });

  it.each([
    [logging("../outside"), /filename_prefix "\.\.\/outside" is no name within --request_log_dir/],
    [logging("/etc/passwd"), /is no name within/],
    [logging("a/../../b"), /is no name within/],
    [logging(""), /is no name within/],
    [logging("."), /is no name within/],
    [logging("half", 1.5), /sampling_rate 1\.5, expected 0 to 1/],
    [logging("half", -1), /sampling_rate -1/],
    [logging("half", 1, 'type: "pubsub"'), /no log collector of type "pubsub"; there is "file"/],
    ['logging_config { log_collector_config { filename_prefix: "half" } }', /sampling_rate \(none\)/],
    ["logging_config { }", /filename_prefix "" is no name/],
  ])("refuses %s", async (config, message) => {
    await expect(started(config)).rejects.toThrow(message);
    await started("");
    await expect(server!.reload(configOf(config))).rejects.toMatchObject({
      status: "INVALID_ARGUMENT",
      message: expect.stringMatching(message),
    });
  });

  it("is refused where the server has no folder for it", async () => {
    await expect(started(logging(), { requestLogDir: undefined })).rejects.toThrow(
      /No request-logger-creator provided/,
    );
  });

  it.skipIf(process.platform === "win32")(
    "loses records that cannot be written, says so once, and answers",
    async () => {
      const error = vi.fn();
      const blocked = join(folder.path, "blocked");
      writeFileSync(blocked, "a file");
      await started(logging(), { requestLogDir: blocked, log: { ...silentLog, error } });
      for (let i = 0; i < 3; i++) expect((await post("predict", '{"instances": [1]}'))[0]).toBe(200);
      await server!.close();
      expect(error.mock.calls.filter(([text]) => text === "requests cannot be recorded")).toHaveLength(1);
    },
  );

  it("begins and ends with a reloaded configuration", async () => {
    await started("");
    await post("predict", '{"instances": [1]}');
    await server!.reload(configOf(logging("later/half")));
    await post("predict", '{"instances": [2]}');
    await server!.reload(configOf(""));
    await post("predict", '{"instances": [3]}');
    const [file] = await recorded();
    expect(file!.name).toMatch(/^later[/\\]half-/);
    expect(file!.records).toHaveLength(1);
  });
});
