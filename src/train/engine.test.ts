/** @file The engine: a step shared by replicas is the step that one of them would make. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import type { TensorMap } from "../base/tensor.ts";
import { initialWeights } from "../nn/network-builder.ts";
import { defaultReplicas, TrainingEngine } from "./engine.ts";
import type { StepBatch } from "./replica.ts";
import { type StepSettings, trainingGraphs } from "./step.ts";

const image = { height: 96, width: 96 };
const settings = {
  model: { network: "compact", input: image },
  loss: { name: "bce" },
  optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
  weightDecay: 0.001,
} as const;
const common = { step: settings, threads: 1 } as const;

const RATE = 0.05;

/** Two pairs, written down `times` times, so that every replica sees the same batch statistics. */
function repeatedPairs(times: number): StepBatch {
  const random = new Random(5);
  const pixels = Float32Array.from({ length: 2 * image.height * image.width * 3 }, () => random.uniform());
  const repeat = (values: Float32Array) => {
    const all = new Float32Array(values.length * times);
    for (let i = 0; i < times; i++) all.set(values, i * values.length);
    return all;
  };
  return {
    count: 2 * times,
    inputs: {
      anchor_img: repeat(pixels),
      verification_img: repeat(pixels.toReversed()),
      same: repeat(Float32Array.of(1, 0)),
    },
  };
}

async function stateAfter(
  steps: number,
  replicas: number,
  changes: Partial<StepSettings> = {},
): Promise<TensorMap> {
  const graphs = trainingGraphs(settings, 1);
  await using engine = await TrainingEngine.open({
    ...common,
    step: { ...settings, ...changes },
    batchSize: 4,
    replicas,
  });
  await engine.load(initialWeights(graphs.weights, new Random(1)));
  for (let step = 1; step <= steps; step++) {
    await engine.step(repeatedPairs(2), { learningRate: RATE, step, seed: 1 });
  }
  return await engine.state();
}

function expectAlike(state: TensorMap, expected: TensorMap): void {
  expect(new Set(state.keys())).toEqual(new Set(expected.keys()));
  for (const [name, { data }] of expected) {
    expect(state.get(name)!.data as Float32Array, name).toBeAllClose(data as Float32Array, {
      absolute: 1e-5,
      relative: 1e-4,
    });
  }
}

describe("the training engine", () => {
  it("makes the same step with two replicas as with one", async () => {
    const one = await stateAfter(2, 1);
    const two = await stateAfter(2, 2);
    expectAlike(two, one);
  });

  it("clips the derivatives of both replicas together, and leaves both with the same weights", async () => {
    const one = await stateAfter(2, 1, { clipNorm: 0.01 });
    const two = await stateAfter(2, 2, { clipNorm: 0.01 });
    expectAlike(two, one);
    await using engine = await TrainingEngine.open({ ...common, batchSize: 4, replicas: 2 });
    await engine.load(one);
    await engine.step(repeatedPairs(2), { learningRate: RATE, step: 3, seed: 1 });
    const size = image.height * image.width * 3;
    const passes = [0, 1].map(() => engine.embed(repeatedPairs(1).inputs.anchor_img!.slice(0, size), 1));
    const [first, second] = await Promise.all(passes);
    expect(first).toEqual(second);
  });

  it("changes every trainable weight but the shift that a distance cannot see", async () => {
    const before = await stateAfter(0, 1);
    const after = await stateAfter(1, 1);
    const still = [...before.keys()].filter((name) => {
      const [a, b] = [before.get(name)!.data, after.get(name)!.data];
      return a.every((value, i) => value === b[i]);
    });
    expect(still).toEqual(["embedding_bn/beta", "sgd/velocity/embedding_bn/beta"]);
  });

  it("makes a step as long as the clipping allows, and no other where it is shorter anyway", async () => {
    const before = await stateAfter(0, 1);
    const lengthOfStep = async (clipNorm: number) => {
      const after = await stateAfter(1, 1, { clipNorm, weightDecay: 0 });
      const trained = [...before].filter(([name]) => !/^sgd|moving/.test(name));
      const squares = trained.flatMap(([name, { data }]) =>
        Array.from(data as Float32Array, (value, i) => (value - Number(after.get(name)!.data[i])) ** 2),
      );
      return Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
    };
    const free = await lengthOfStep(0);
    expect(await lengthOfStep(1e6)).toBeCloseTo(free, 6);
    const limit = free / RATE / 10;
    expect(await lengthOfStep(limit)).toBeCloseTo(limit * RATE, 5);
  });

  it("takes as many replicas as there are cores and the batch can feed evenly", () => {
    expect([
      defaultReplicas(16, 2),
      defaultReplicas(15, 2),
      defaultReplicas(12, 8),
      defaultReplicas(1, 4),
    ]).toEqual([2, 1, 6, 1]);
  });

  it("refuses a batch that cannot be shared evenly", async () => {
    await expect(TrainingEngine.open({ ...common, batchSize: 5, replicas: 2 })).rejects.toThrow(
      "a batch of 5 cannot be split evenly among 2 replicas",
    );
  });
});
