/** @file Models made by TensorFlow and Keras run here and give their numbers. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { silentLog } from "../../src/base/log.ts";
import { float32, type Tensor } from "../../src/base/tensor.ts";
import { lower } from "../../src/onnx/lower/lower.ts";
import { Session } from "../../src/onnx/runtime/session.ts";
import { inspectSavedModel } from "../../src/savedmodel/inspect.ts";
import { importers } from "../../src/savedmodel/read/from-tensorflow.ts";
import { sliceOf } from "../../src/savedmodel/read/import-graph.ts";
import { readSavedModel } from "../../src/savedmodel/read/read.ts";
import { savedModelLoader } from "../../src/serving/repository/loader.ts";
import { singleModelConfig } from "../../src/serving/repository/model-config.ts";
import { startServer } from "../../src/serving/server.ts";
import { expectAlike, readCases } from "../support/recorded-cases.ts";
import { openPython, temporaryFolder } from "./python-environment.ts";

const python = await openPython();

const MODELS = {
  "variables as TensorFlow keeps them": [
    "graph_variables",
    "graph_resources",
    "fed_in_the_middle",
    "nested_functions",
    "two_shards",
  ],
  "every operation": ["elementwise", "shapes", "reductions", "images", "embeddings"],
  "loops, and recurrent layers by Keras": [
    "branches",
    "loops",
    "lstm",
    "lstm_sequences",
    "lstm_states",
    "lstm_fixed",
    "lstm_unrolled",
    "gru",
    "gru_before",
    "simple_rnn",
    "backwards",
    "bidirectional",
    "stacked",
    "masked_lstm",
    "tokens",
  ],
  "preprocessing layers by Keras, and tables": [
    "normalization",
    "rescaling",
    "resizing",
    "discretization",
    "discretization_one_hot",
    "category_encoding",
    "category_one_hot",
    "category_count",
    "string_lookup",
    "string_lookup_mask",
    "string_lookup_known",
    "string_lookup_one_hot",
    "string_lookup_multi_hot",
    "string_lookup_inverted",
    "integer_lookup",
    "vocabulary_file",
    "file_tables",
    "embedded_words",
  ],
  "networks by Keras": [
    "tiny_exported",
    "tiny_saved",
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

/** A tensor as JSON writes it: lists within lists. */
function nested({ shape, data }: Tensor): unknown {
  const sides = shape.slice(1).toReversed();
  return sides.reduce<unknown[]>(
    (rows, side) =>
      Array.from({ length: rows.length / side }, (_, i) => rows.slice(i * side, (i + 1) * side)),
    Array.from(data as Float32Array),
  );
}

/** Operators that a test has run, over all models. */
const run = new Set<string>();

async function checkModel(folder: string): Promise<void> {
  const model = await readSavedModel(join(folder, "1"));
  const cases = readCases(folder);
  expect(cases.length).toBeGreaterThan(0);
  for (const name of new Set(cases.map(({ signature }) => signature))) {
    const { nodes, inLoops } = sliceOf(model.graph, model.signatures.get(name)!);
    for (const { def } of [...nodes, ...inLoops]) run.add(def.op);
    const { outputs } = await model.program(name);
    await using session = await Session.open(lower({ outputs }));
    for (const each of cases.filter(({ signature }) => signature === name)) {
      const got = await session.run(each.inputs);
      for (const [alias, wanted] of each.outputs) expectAlike(got.get(alias), wanted, `${name}/${alias}`);
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

  it.each(["siamese_saved", "original_fixed", "graph_variables"])(
    "%s is served with TensorFlow's numbers",
    async (name) => {
      const folder = join(work, name);
      const server = await startServer({
        models: singleModelConfig(name, folder),
        loader: savedModelLoader({ sessions: 1 }),
        log: silentLog,
        grpcPort: 0,
        restPort: 0,
      });
      try {
        for (const { inputs, outputs } of readCases(folder)) {
          const response = await fetch(`http://localhost:${server.restPort}/v1/models/${name}:predict`, {
            method: "POST",
            body: JSON.stringify({
              inputs: Object.fromEntries([...inputs].map(([alias, each]) => [alias, nested(each)])),
            }),
          });
          const answer = (await response.json()) as { outputs: unknown };
          const [[alias, wanted]] = [...outputs] as [[string, Tensor]];
          const numbers = float32(wanted.shape, [answer.outputs].flat(9) as number[]);
          expectAlike(numbers, wanted, `${name}/${alias} over REST`);
        }
      } finally {
        await server.close();
      }
    },
  );

  it.each([
    ["hashing", "StringToHashBucketFast"],
    ["hashing_salted", "StringToHashBucketStrong"],
    ["text_vectorization", "StringSplitV2"],
  ])("%s, which cannot run, is refused at load with the name of its operator", async (name, operator) => {
    const id = { name, version: 1n };
    const loading = savedModelLoader({ sessions: 1 })(
      join(work, name, "1"),
      id,
      new AbortController().signal,
    );
    await expect(loading).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      message: expect.stringContaining(operator),
    });
  });

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
