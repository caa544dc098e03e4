/** @file Models made by TensorFlow and Keras run here and give their numbers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { int64, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { numbersOf } from "../../src/graph/numbers.ts";
import { lower } from "../../src/onnx/lower.ts";
import { Session } from "../../src/onnx/session.ts";
import { importers } from "../../src/savedmodel/from-tensorflow.ts";
import { sliceOf } from "../../src/savedmodel/import-graph.ts";
import { inspectSavedModel } from "../../src/savedmodel/inspect.ts";
import { readSavedModel } from "../../src/savedmodel/read.ts";
import { openPython, temporaryFolder } from "./python-environment.ts";

const python = await openPython();

/** Largest difference from TensorFlow, as a part of the output's largest element. */
const TOLERANCE = 1e-4;

const MODELS = {
  "variables as TensorFlow keeps them": [
    "graph_variables",
    "graph_resources",
    "fed_in_the_middle",
    "nested_functions",
    "two_shards",
  ],
  "every operation": ["elementwise", "shapes", "reductions", "images", "embeddings"],
  "networks by Keras": [
    "original_free",
    "original_fixed",
    "siamese_exported",
    "siamese_saved",
    "channels_first",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "resnet50",
    "efficientnet_b0",
    "inception_v3",
    "densenet121",
  ],
} as const;

/** A tensor in a file beside the model. */
interface Stored {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32" | "int64" | "bool";
  readonly file: string;
}

interface Case {
  readonly signature: string;
  readonly inputs: Readonly<Record<string, Stored>>;
  readonly outputs: Readonly<Record<string, Stored>>;
}

function load(folder: string, { shape, dtype, file }: Stored): Tensor {
  const bytes = readFileSync(join(folder, file));
  const { buffer } = new Uint8Array(bytes);
  // The script writes whole numbers of 64 bits as doubles.
  if (dtype === "int64") return int64(shape, new Float64Array(buffer));
  if (dtype === "int32") return { dtype, shape, data: new Int32Array(buffer) };
  if (dtype === "bool") return { dtype, shape, data: new Uint8Array(buffer) };
  return { dtype, shape, data: new Float32Array(buffer) };
}

const loadAll = (folder: string, stored: Case["inputs"]): TensorMap =>
  new Map(Object.entries(stored).map(([alias, each]) => [alias, load(folder, each)]));

/** Whole numbers and truth values are equal; floats are to the tolerance, not-a-number where TensorFlow has it. */
function expectAlike(got: Tensor | undefined, wanted: Tensor, place: string): void {
  expect(got?.dtype, place).toBe(wanted.dtype);
  expect(got?.shape, place).toEqual(wanted.shape);
  const [ours, theirs] = [Array.from(numbersOf(got!)), Array.from(numbersOf(wanted))];
  const scale = theirs.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
  const tolerance = wanted.dtype === "float32" ? TOLERANCE * scale : 0;
  const worst = ours.findIndex(
    (value, i) => !(Object.is(value, theirs[i]) || Math.abs(value - theirs[i]!) <= tolerance),
  );
  expect(
    worst,
    `${place}: element ${worst} is ${ours[worst]}, TensorFlow's is ${theirs[worst]}, scale ${scale}`,
  ).toBe(-1);
}

/** Operators that a test has run, over all models. */
const run = new Set<string>();

async function checkModel(folder: string): Promise<void> {
  const model = await readSavedModel(join(folder, "1"));
  const cases = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")) as Case[];
  expect(cases.length).toBeGreaterThan(0);
  for (const name of new Set(cases.map(({ signature }) => signature))) {
    for (const { def } of sliceOf(model.graph, model.signatures.get(name)!).nodes) run.add(def.op);
    const { outputs } = await model.program(name);
    await using session = await Session.open(lower({ outputs }));
    for (const each of cases.filter(({ signature }) => signature === name)) {
      const got = await session.run(loadAll(folder, each.inputs));
      for (const [alias, stored] of Object.entries(each.outputs)) {
        expectAlike(
          got.get(alias),
          load(folder, stored),
          `${name}/${alias} of ${JSON.stringify(stored.shape)}`,
        );
      }
    }
  }
}

describe.skipIf("unavailable" in python)("models by TensorFlow", () => {
  const work = temporaryFolder("import");
  beforeAll(async () => {
    if (!("unavailable" in python)) await python.run("make_models.py", work);
  });
  for (const [title, names] of Object.entries(MODELS)) {
    describe(title, () => {
      it.each(names)("%s gives TensorFlow's numbers", (name) => checkModel(join(work, name)));
    });
  }

  it("leave no operator unrun", () => {
    const unrun = Object.keys(importers).filter((op) => !run.has(op));
    // What a signature feeds is never read, and what it does not feed is refused.
    expect(unrun).toEqual(["Placeholder"]);
  });

  it("are inspected with all their parameters, and no optimizer's", async () => {
    const folder = join(work, "original_fixed/1");
    const port = { dtype: "float32", shape: [10, 112, 112, 3] };
    expect(await inspectSavedModel(folder)).toMatchObject({
      tags: ["serve"],
      parameters: 1_711_169,
      variables: 40,
      signatures: [
        {
          name: "serving_default",
          inputs: [
            { name: "anchor_img", ...port },
            { name: "verification_img", ...port },
          ],
          outputs: [{ name: "classifier", dtype: "float32", shape: [10, 1] }],
        },
      ],
    });
    const { operations } = await inspectSavedModel(join(work, "siamese_saved/1"));
    expect(operations.filter(({ supported }) => !supported)).toEqual([]);
  });
});
