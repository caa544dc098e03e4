/** @file The same requests over REST, over gRPC and in the same process: the same answers, the errors of the contract. */
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { float32, floats, type Tensor, tensor } from "../src/base/tensor.ts";
import { ModelServerConfigSchema } from "../src/proto/tensorflow_serving/model_service_pb.ts";
import {
  PredictionService,
  PredictRequestSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { tensorFromProto, tensorToProto } from "../src/savedmodel/format/tensor-proto.ts";
import { predict } from "../src/serving/predict.ts";
import type { ModelChoice } from "../src/serving/repository/catalog.ts";
import { Repository } from "../src/serving/repository/repository.ts";
import { parseTextProto } from "../src/serving/repository/text-proto.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { STATUS, type StatusError } from "../src/serving/status.ts";
import { type GrpcCaller, grpcCaller } from "./support/grpc-client.ts";
import { loadProgram, type ModelFolder, modelFolder } from "./support/servables.ts";

type Outcome =
  | { readonly outputs: Readonly<Record<string, readonly unknown[] | unknown>> }
  | { readonly code: number; readonly message: string };

interface Question {
  readonly model: ModelChoice;
  readonly signature: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

const LATEST = { by: "latest" } as const;
const latest = (name: string): ModelChoice => ({ name, version: LATEST });
const text = (...values: string[]): Tensor =>
  tensor(
    "string",
    [values.length],
    values.map((value) => new TextEncoder().encode(value)),
  );

let folder: ModelFolder;
let server: RunningServer;
let models: Repository;
let caller: GrpcCaller;

beforeAll(async () => {
  folder = await modelFolder();
  await folder.add("half", 123, "half_plus_two");
  await folder.add("two", 1, "two_inputs");
  const entry = (name: string, more = "") =>
    `config { name: "${name}" base_path: "${folder.path}/${name}" model_platform: "tensorflow" ${more} }`;
  const config = parseTextProto(
    ModelServerConfigSchema,
    `model_config_list { ${entry("half", 'version_labels { key: "stable" value: 123 }')} ${entry("two")} }`,
  );
  const options = { loader: loadProgram, log: silentLog, allowLabelsForUnavailable: true };
  server = await startServer({ models: config, grpcPort: 0, restPort: 0, ...options });
  models = new Repository({
    ...options,
    pollWaitSeconds: 0,
    maxLoadRetries: 0,
    loadRetryIntervalMs: 1,
    loadThreads: 0,
  });
  await models.start(config);
  caller = grpcCaller(`localhost:${server.grpcPort}`);
});

afterAll(async () => {
  caller[Symbol.dispose]();
  await server.close();
  await models[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Elements as plain numbers and texts, nested by the shape. */
function plain(value: Tensor, axis = 0, at = 0): unknown {
  if (axis === value.shape.length) {
    const element = value.data[at];
    return element instanceof Uint8Array ? new TextDecoder().decode(element) : Number(element);
  }
  const stride = value.shape.slice(axis + 1).reduce((size, side) => size * side, 1);
  return Array.from({ length: value.shape[axis]! }, (_, i) => plain(value, axis + 1, at + i * stride));
}

async function inProcess({ model, signature, inputs }: Question): Promise<Outcome> {
  try {
    const call = {
      model,
      signatureName: signature,
      inputs: new Map(Object.entries(inputs)),
      outputFilter: [],
    };
    const { outputs } = await predict(models, call);
    return { outputs: Object.fromEntries([...outputs].map(([name, value]) => [name, plain(value)])) };
  } catch (error) {
    const { status, message } = error as StatusError;
    return { code: STATUS[status].grpc, message };
  }
}

async function overGrpc({ model, signature, inputs }: Question): Promise<Outcome> {
  const { version } = model;
  const request = create(PredictRequestSchema, {
    modelSpec: {
      name: model.name,
      signatureName: signature,
      ...(version.by === "version" && {
        versionChoice: { case: "version", value: { value: version.version } },
      }),
      ...(version.by === "label" && { versionChoice: { case: "versionLabel", value: version.label } }),
    },
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, tensorToProto(value)])),
  });
  try {
    const { outputs } = await caller.call(PredictionService.method.predict, request);
    return {
      outputs: Object.fromEntries(
        Object.entries(outputs).map(([name, value]) => [name, plain(tensorFromProto(value))]),
      ),
    };
  } catch (error) {
    const { code, details } = error as { code: number; details: string };
    return { code, message: details };
  }
}

const HTTP_TO_CODES: Readonly<Record<number, readonly number[]>> = { 400: [3, 9], 404: [5] };

async function overRest({ model, signature, inputs }: Question): Promise<Outcome> {
  const { version } = model;
  const which =
    version.by === "version"
      ? `/versions/${version.version}`
      : version.by === "label"
        ? `/labels/${version.label}`
        : "";
  const body = {
    signature_name: signature,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, plain(value)])),
  };
  const response = await fetch(
    `http://localhost:${server.restPort}/v1/models/${model.name}${which}:predict`,
    {
      method: "POST",
      body: JSON.stringify(body),
    },
  );
  const answer = (await response.json()) as { outputs?: unknown; error?: string };
  if (answer.error !== undefined) return { code: response.status, message: answer.error };
  return { outputs: answer.outputs as Record<string, unknown> };
}

describe.each([
  ["in process", inProcess],
  ["over gRPC", overGrpc],
  ["over REST", overRest],
])("%s", (door, ask) => {
  const isRest = door === "over REST";
  /** REST leaves out the name of an only output. */
  const outputs = (named: Record<string, unknown>): Outcome => ({
    outputs: (isRest && Object.keys(named).length === 1 ? Object.values(named)[0] : named) as Record<
      string,
      unknown
    >,
  });

  it.each<[string, Question, Record<string, unknown>]>([
    [
      "a vector",
      { model: latest("half"), signature: "", inputs: { x: float32([3], [1, 2, 5]) } },
      { y: [2.5, 3, 4.5] },
    ],
    [
      "a matrix",
      { model: latest("half"), signature: "", inputs: { x: float32([2, 1], [1, 2]) } },
      { y: [[2.5], [3]] },
    ],
    ["a scalar", { model: latest("half"), signature: "", inputs: { x: float32([], [1]) } }, { y: 2.5 }],
    ["no rows", { model: latest("half"), signature: "", inputs: { x: float32([0], []) } }, { y: [] }],
    [
      "a version",
      {
        model: { name: "half", version: { by: "version", version: 123n } },
        signature: "serving_default",
        inputs: { x: float32([1], [0]) },
      },
      { y: [2] },
    ],
    [
      "a label",
      {
        model: { name: "half", version: { by: "label", label: "stable" } },
        signature: "",
        inputs: { x: float32([1], [0]) },
      },
      { y: [2] },
    ],
    [
      "two inputs and outputs",
      { model: latest("two"), signature: "", inputs: { a: float32([2], [1, 2]), b: float32([2], [3, 4]) } },
      { sum: [4, 6], product: [3, 8] },
    ],
  ])("answers %s", async (_, question, expected) => {
    expect(await ask(question)).toEqual(outputs(expected));
  });

  it("passes strings through", async () => {
    const answer = await ask({ model: latest("two"), signature: "echo", inputs: { name: text("é", "") } });
    const encoded = isRest ? [{ b64: "w6k=" }, { b64: "" }] : ["é", ""];
    expect(answer).toEqual(outputs({ name_bytes: encoded }));
  });

  it.each<[string, Question, { grpc: [number, string]; rest: string }]>([
    [
      "an unknown model",
      { model: latest("nobody"), signature: "", inputs: { x: float32([], [1]) } },
      {
        grpc: [5, "Servable not found for request: Latest(nobody)"],
        rest: "Servable not found for request: Latest(nobody)",
      },
    ],
    [
      "an unknown version",
      {
        model: { name: "half", version: { by: "version", version: 7n } },
        signature: "",
        inputs: { x: float32([], [1]) },
      },
      {
        grpc: [5, "Servable not found for request: Specific(half, 7)"],
        rest: "Servable not found for request: Specific(half, 7)",
      },
    ],
    [
      "an unknown label",
      {
        model: { name: "half", version: { by: "label", label: "no" } },
        signature: "",
        inputs: { x: float32([], [1]) },
      },
      {
        grpc: [3, "Unrecognized servable version label: no"],
        rest: "Unrecognized servable version label: no",
      },
    ],
    [
      "an unknown signature",
      { model: latest("half"), signature: "no", inputs: { x: float32([], [1]) } },
      {
        grpc: [9, 'Serving signature key "no" not found.'],
        rest: 'Serving signature name: "no" not found in signature def',
      },
    ],
    [
      "a missing input",
      { model: latest("two"), signature: "", inputs: { a: float32([1], [1]) } },
      {
        grpc: [
          3,
          "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
        ],
        rest: "Missing named input: b in 'inputs' object.",
      },
    ],
    [
      "a wrong name",
      { model: latest("half"), signature: "", inputs: { y: float32([1], [1]) } },
      {
        grpc: [
          3,
          "Signature input alias: x(feed name: x:0) not found in request and no default value provided. Inputs " +
            "expected to be in the request {y}, or default input alias set: ",
        ],
        rest: "Missing named input: x in 'inputs' object.",
      },
    ],
    [
      "a wrong type",
      { model: latest("half"), signature: "", inputs: { x: text("a") } },
      {
        grpc: [3, "Expects arg[0] to be float but string is provided (input alias: x)"],
        rest: 'JSON Value: "a" Type: String is not of expected type: float',
      },
    ],
  ])("refuses %s", async (_, question, { grpc: [code, message], rest }) => {
    const answer = await ask(question);
    if (!isRest) return expect(answer).toEqual({ code, message });
    expect("message" in answer && answer.message).toBe(rest);
    expect(HTTP_TO_CODES["code" in answer ? answer.code : 0]).toContain(code);
  });
});

it("computes in floats of 32 bits at every door", async () => {
  const inputs = { x: float32([1], [0.1]) };
  const question = { model: latest("half"), signature: "", inputs };
  const expected = Math.fround(Math.fround(floats(inputs.x)[0]! / 2) + 2);
  for (const ask of [inProcess, overGrpc])
    expect(await ask(question)).toEqual({ outputs: { y: [expected] } });
  expect(await overRest(question)).toEqual({ outputs: [2.05] });
});
