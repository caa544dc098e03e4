/** @file Classify and Regress over REST, over gRPC and in the same process, on a genuine SavedModel: the same answers and errors. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../src/base/log.ts";
import { ExampleSchema, type Feature } from "../src/proto/tensorflow/example_pb.ts";
import {
  ClassificationRequestSchema,
  PredictionService,
  RegressionRequestSchema,
} from "../src/proto/tensorflow_serving/prediction_service_pb.ts";
import { classesOf } from "../src/serving/classifications.ts";
import { classify } from "../src/serving/classify.ts";
import { regress } from "../src/serving/regress.ts";
import { savedModelLoader } from "../src/serving/repository/loader.ts";
import { singleModelConfig } from "../src/serving/repository/model-config.ts";
import { Repository } from "../src/serving/repository/repository.ts";
import { type RunningServer, startServer } from "../src/serving/server.ts";
import { STATUS, type StatusError } from "../src/serving/status.ts";
import { type GrpcCaller, grpcCaller } from "./support/grpc-client.ts";
import { writeHalfPlusTwo } from "./support/saved-models.ts";

type Values = readonly number[] | readonly string[];

interface Question {
  readonly action: "classify" | "regress";
  readonly model: string;
  readonly signature: string;
  /** Features of each example: numbers are floats. */
  readonly examples: readonly Readonly<Record<string, Values>>[];
  readonly context?: Readonly<Record<string, Values>>;
}

type Outcome = { readonly results: unknown } | { readonly code: number; readonly message: string };

let folder: string;
let server: RunningServer;
let models: Repository;
let caller: GrpcCaller;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "faceid-examples-"));
  await writeHalfPlusTwo(join(folder, "1"));
  const config = singleModelConfig("half", folder);
  const loader = savedModelLoader({ sessions: 1 });
  server = await startServer({ models: config, loader, log: silentLog, grpcPort: 0, restPort: 0 });
  models = new Repository({
    loader,
    log: silentLog,
    pollWaitSeconds: 0,
    maxLoadRetries: 0,
    loadRetryIntervalMs: 1,
    loadThreads: 0,
    allowLabelsForUnavailable: false,
  });
  await models.start(config);
  caller = grpcCaller(`localhost:${server.grpcPort}`);
});

afterAll(async () => {
  caller[Symbol.dispose]();
  await server.close();
  await models[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function featureOf(values: Values): Feature["kind"] {
  return typeof values[0] === "string"
    ? { case: "bytesList", value: { value: values.map((text) => Buffer.from(String(text))) } as never }
    : { case: "floatList", value: { value: values.map(Number) } as never };
}

const exampleOf = (features: Readonly<Record<string, Values>>) =>
  create(ExampleSchema, {
    features: {
      feature: Object.fromEntries(
        Object.entries(features).map(([name, values]) => [name, { kind: featureOf(values) }]),
      ),
    },
  });

async function inProcess({ action, model, signature, examples, context }: Question): Promise<Outcome> {
  const shared = context ? toBinary(ExampleSchema, exampleOf(context)) : new Uint8Array(0);
  const call = {
    model: { name: model, version: { by: "latest" } as const },
    signatureName: signature,
    examples: examples.map((features) =>
      Buffer.concat([shared, toBinary(ExampleSchema, exampleOf(features))]),
    ),
  };
  try {
    if (action === "regress") return { results: [...(await regress(models, call)).values] };
    const answer = await classify(models, call);
    const rows = Array.from({ length: answer.batch }, (_, row) => classesOf(answer, row));
    return { results: rows.map((classes) => classes.map(({ label, score }) => [label, score])) };
  } catch (error) {
    const { status, message } = error as StatusError;
    return { code: STATUS[status].grpc, message };
  }
}

async function overGrpc({ action, model, signature, examples, context }: Question): Promise<Outcome> {
  const list = examples.map(exampleOf);
  const request = {
    modelSpec: { name: model, signatureName: signature },
    input: {
      kind: context
        ? {
            case: "exampleListWithContext" as const,
            value: { examples: list, context: exampleOf(context) },
          }
        : { case: "exampleList" as const, value: { examples: list } },
    },
  };
  try {
    if (action === "regress") {
      const message = create(RegressionRequestSchema, request);
      const { result } = await caller.call(PredictionService.method.regress, message);
      return { results: result!.regressions.map(({ value }) => value) };
    }
    const message = create(ClassificationRequestSchema, request);
    const { result } = await caller.call(PredictionService.method.classify, message);
    return {
      results: result!.classifications.map(({ classes }) =>
        classes.map(({ label, score }) => [label, score]),
      ),
    };
  } catch (error) {
    const { code, details } = error as { code: number; details: string };
    return { code, message: details };
  }
}

const HTTP_TO_CODE: Readonly<Record<number, number>> = { 400: 3, 404: 5 };

/** Whole numbers are written with a point, since without one they are no floats. */
function jsonOf(features: Readonly<Record<string, Values>>): string {
  const members = Object.entries(features).map(([name, values]) => {
    const texts = values.map((value) =>
      typeof value === "number" && Number.isInteger(value) ? `${value}.0` : JSON.stringify(value),
    );
    return `${JSON.stringify(name)}: [${texts.join(", ")}]`;
  });
  return `{${members.join(", ")}}`;
}

async function overRest({ action, model, signature, examples, context }: Question): Promise<Outcome> {
  const shared = context ? `"context": ${jsonOf(context)}, ` : "";
  const body = `{"signature_name": "${signature}", ${shared}"examples": [${examples.map(jsonOf).join(", ")}]}`;
  const url = `http://localhost:${server.restPort}/v1/models/${model}:${action}`;
  const response = await fetch(url, { method: "POST", body });
  const answer = (await response.json()) as { results?: unknown; error?: string };
  if (answer.error === undefined) return { results: answer.results };
  return { code: HTTP_TO_CODE[response.status]!, message: answer.error };
}

const question = (
  action: Question["action"],
  examples: Question["examples"],
  more: Partial<Question> = {},
) => ({
  action,
  model: "half",
  signature: `${action}_x_to_y`,
  examples,
  ...more,
});

const CASES: readonly [string, Question, Outcome][] = [
  ["regresses", question("regress", [{ x: [2] }, { x: [0.5] }]), { results: [3, 2.25] }],
  ["classifies", question("classify", [{ x: [2] }, { x: [4] }]), { results: [[["", 3]], [["", 4]]] }],
  ["ignores other features", question("regress", [{ x: [2], name: ["a", "b"] }]), { results: [3] }],
  ["fills in what is missing with the model's default", question("regress", [{}]), { results: [2] }],
  [
    "puts the context in front of each example",
    question("regress", [{}, { x: [8] }], { context: { x: [2] } }),
    { results: [3, 6] },
  ],
  [
    "refuses features of another type",
    question("regress", [{ x: ["a"] }]),
    {
      code: 3,
      message:
        "Name: <unknown>, Key: x, Index: 0.  Data types don't match. Data type: string but expected type: float",
    },
  ],
  [
    "refuses features of another size",
    question("classify", [{ x: [1] }, { x: [1, 2] }]),
    {
      code: 3,
      message:
        "Name: <unknown>, Key: x, Index: 1.  Number of float values != expected.  Values size: 2 but output shape: [1]",
    },
  ],
  [
    "refuses a model that is not there",
    question("regress", [{ x: [1] }], { model: "nobody" }),
    { code: 5, message: "Servable not found for request: Latest(nobody)" },
  ],
  [
    "refuses a signature that is not there",
    question("classify", [{ x: [1] }], { signature: "no" }),
    { code: 3, message: "No signature was found with the name: no" },
  ],
  [
    "refuses a signature that takes no examples",
    question("regress", [{ x: [1] }], { signature: "" }),
    { code: 3, message: "No regression inputs found in SignatureDef: inputs {x} outputs {y}" },
  ],
  [
    "refuses to classify with a signature that regresses",
    question("classify", [{ x: [1] }], { signature: "regress_x_to_y" }),
    {
      code: 3,
      message:
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ' +
        "inputs {inputs} outputs {outputs}",
    },
  ],
];

describe.each([
  ["in process", inProcess],
  ["over gRPC", overGrpc],
  ["over REST", overRest],
])("%s", (_, ask) => {
  it.each(CASES)("%s", async (_what, asked, expected) => {
    expect(await ask(asked)).toEqual(expected);
  });
});
