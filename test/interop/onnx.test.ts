/** @file Our ONNX files before ONNX's own checker and in Python's ONNX Runtime, training graphs included. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { float32, floats, sizeOf, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { signaturesOf } from "../../src/jobs/export.ts";
import { NETWORKS } from "../../src/model/networks.ts";
import { siamese } from "../../src/model/siamese.ts";
import { initialWeights } from "../../src/nn/network-builder.ts";
import { type LoweredModel, lower } from "../../src/onnx/lower/lower.ts";
import { ParameterStore } from "../../src/onnx/runtime/parameter-store.ts";
import { Session } from "../../src/onnx/runtime/session.ts";
import { trainingGraphs } from "../../src/train/step.ts";
import { openPython, readFloats, temporaryFolder, writeFloats } from "./python-environment.ts";

const python = await openPython();
const SIDE = 112;
const BATCH = 2;
const IMAGE = { height: SIDE, width: SIDE };

const random = new Random(12);
const uniform = (shape: readonly number[]) =>
  float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.uniform()),
  );

interface Case {
  readonly title: string;
  readonly model: LoweredModel;
  /** First values of what the model reads beside its inputs. */
  readonly state: TensorMap;
}

/** The exported pair, the step in one graph, and the step in two. */
function casesOf(network: string): Case[] {
  const config = { network, input: IMAGE };
  const { net } = siamese(config, { mode: "training", batch: BATCH });
  const weights = initialWeights(net.weights, new Random(5));
  const { outputs } = signaturesOf(config).serving_default!;
  const settings = { model: config, loss: { name: "bce" }, weightDecay: 1e-2 } as const;
  const sgd = { name: "sgd", momentum: 0.9, nesterov: true } as const;
  const whole = trainingGraphs({ ...settings, optimizer: sgd }, BATCH);
  const halves = trainingGraphs({ ...settings, optimizer: { name: "adam" } }, BATCH);
  // Gradients for the update alone, not near zero, where Adam's result depends on their sign.
  const gradients = net.weights.map(({ name, shape }): [string, Tensor] => [
    `gradient/${name}`,
    float32(
      shape,
      floats(uniform(shape)).map((value) => value + 0.1),
    ),
  ]);
  const state = new Map([...weights, ...gradients]);
  return [
    { title: "exported", model: lower({ outputs }, { frozen: weights, runtimeOps: false }), state },
    { title: "whole step", model: lower(whole.whole), state },
    { title: "gradients", model: lower(halves.gradients), state },
    { title: "update", model: lower(halves.update(new Set(halves.weights.map(({ name }) => name)))), state },
  ];
}

/** Runs a model here; returns what it read and wrote, by the names of the file's inputs and outputs. */
async function ours({ model, state }: Case): Promise<{ inputs: TensorMap; outputs: TensorMap }> {
  const store = new ParameterStore();
  await using session = await Session.open(model, store, { blockedLayouts: false });
  store.load(state);
  const inputs = new Map(
    model.inputs.map(({ name, shape }): [string, Tensor] => [
      name,
      name === "step"
        ? float32([], [3])
        : uniform(shape.map((side) => (typeof side === "number" ? side : BATCH))),
    ]),
  );
  const copy = (value: Tensor): Tensor => float32(value.shape, floats(value as Tensor<"float32">).slice());
  const reads = [...store.tensors(model.parameters).reads].map(
    ([name, value]) => [name, copy(value)] as const,
  );
  const results = await session.run(inputs);
  const written = model.parameters.flatMap(({ name, output }): [string, Tensor][] =>
    output === undefined ? [] : [[output, float32([store.elements(name).length], store.elements(name))]],
  );
  return { inputs: new Map([...inputs, ...reads]), outputs: new Map([...results, ...written]) };
}

interface Answer {
  readonly outputs: readonly string[];
  readonly domains: Record<string, number>;
}

describe.skipIf("unavailable" in python)("ONNX", () => {
  const cases = NETWORKS.flatMap(({ name }) =>
    ["exported", "whole step", "gradients", "update"].map((title) => ({ network: name, title })),
  );
  const wanted = new Map<string, TensorMap>();
  const answers = new Map<string, Answer & { work: string }>();
  const keyOf = ({ network, title }: (typeof cases)[number]) => `${network} ${title}`;

  beforeAll(async () => {
    if ("unavailable" in python) return;
    const jobs: { key: string; file: string; work: string; inputs: [string, readonly number[]][] }[] = [];
    for (const { name: network } of NETWORKS) {
      for (const each of casesOf(network)) {
        const work = temporaryFolder("onnx");
        const key = keyOf({ network, title: each.title });
        const { inputs, outputs } = await ours(each);
        wanted.set(key, outputs);
        writeFileSync(join(work, "model.onnx"), each.model.bytes);
        [...inputs.values()].forEach((value, i) => {
          writeFloats(join(work, `${i}.bin`), floats(value as Tensor<"float32">));
        });
        const described = [...inputs].map(([name, { shape }]): [string, readonly number[]] => [name, shape]);
        jobs.push({ key, file: join(work, "model.onnx"), work, inputs: described });
      }
    }
    const list = join(temporaryFolder("onnx"), "jobs.json");
    writeFileSync(list, JSON.stringify(jobs));
    const { results } = (await python.run("check_onnx.py", list)) as { results: Answer[] };
    results.forEach((result, i) => {
      answers.set(jobs[i]!.key, { ...result, work: jobs[i]!.work });
    });
  });

  it.each(cases)("accepts the $network's $title and runs it to our numbers", (each) => {
    const { outputs, work, domains } = answers.get(keyOf(each))!;
    const expected = wanted.get(keyOf(each))!;
    expect([...expected.keys()].sort()).toEqual([...outputs].sort());
    expect(expected.size).toBeGreaterThan(0);
    // An exported file is for any runtime, so it must do with ONNX's own operators.
    if (each.title === "exported") expect(Object.keys(domains)).toEqual([""]);
    outputs.forEach((name, i) => {
      const theirs = readFloats(join(work, `out.${i}.bin`));
      const scale = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const got = floats(expected.get(name) as Tensor<"float32">);
      expect(got, name).toBeAllClose(theirs, { absolute: 1e-5 * scale, relative: 1e-5 });
    });
  });
});
