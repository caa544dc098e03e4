/** @file Layers against Keras' formulas in plain loops, and that each of them can learn. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { Random } from "../base/random.ts";
import { float32, floats, type Tensor, type TensorMap } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import { gradient } from "../graph/gradient.ts";
import type { Node } from "../graph/ops.ts";
import {
  batchNormalization,
  conv2D,
  dense,
  depthwiseConv2D,
  dropout,
  flatten,
  maxPooling2D,
  prelu,
} from "./layers.ts";
import { countValues, initialWeights, NetworkBuilder } from "./network-builder.ts";

const noise = (shape: number[], seed = 1): Tensor<"float32"> => {
  const random = new Random(seed);
  return float32(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );
};

interface LayerCase {
  readonly name: string;
  readonly input: number[];
  readonly output: number[];
  readonly weights: Record<string, number[]>;
  build(net: NetworkBuilder, x: Node): Node;
}

const CASES: readonly LayerCase[] = [
  {
    name: "conv2D",
    input: [2, 6, 5, 3],
    output: [2, 3, 3, 4],
    weights: { "layer/kernel": [3, 3, 3, 4], "layer/bias": [4] },
    build: (net, x) =>
      conv2D(net, "layer", x, { filters: 4, kernelSize: [3, 3], strides: [2, 2], activation: "relu" }),
  },
  {
    name: "depthwiseConv2D",
    input: [2, 5, 5, 3],
    output: [2, 5, 5, 3],
    weights: { "layer/kernel": [3, 3, 1, 3], "layer/bias": [3] },
    build: (net, x) => depthwiseConv2D(net, "layer", x, { kernelSize: [3, 3] }),
  },
  {
    name: "dense",
    input: [3, 4],
    output: [3, 2],
    weights: { "layer/kernel": [4, 2], "layer/bias": [2] },
    build: (net, x) => dense(net, "layer", x, { units: 2 }),
  },
  {
    name: "batchNormalization",
    input: [4, 2, 2, 3],
    output: [4, 2, 2, 3],
    weights: {
      "layer/gamma": [3],
      "layer/beta": [3],
      "layer/moving_mean": [3],
      "layer/moving_variance": [3],
    },
    build: (net, x) => batchNormalization(net, "layer", x),
  },
  {
    name: "prelu",
    input: [2, 3, 3, 4],
    output: [2, 3, 3, 4],
    weights: { "layer/alpha": [4] },
    build: (net, x) => prelu(net, "layer", x),
  },
  {
    name: "maxPooling2D",
    input: [1, 5, 4, 2],
    output: [1, 2, 2, 2],
    weights: {},
    build: (net, x) => maxPooling2D(net, "layer", x, [2, 2]),
  },
  {
    name: "flatten",
    input: [2, 3, 4, 5],
    output: [2, 60],
    weights: {},
    build: (net, x) => flatten(net, "layer", x),
  },
];

describe.each(CASES)("$name", ({ input, output, weights, build }) => {
  it("has Keras' shapes and weights", () => {
    const net = new NetworkBuilder("training");
    expect(build(net, g.input("x", input)).shape).toEqual(output);
    expect(Object.fromEntries(net.weights.map(({ name, shape }) => [name, shape]))).toEqual(weights);
    expect(net.layers.map(({ name }) => name)).toEqual(["layer"]);
  });

  it("learns: a step against the derivative lowers the loss", () => {
    const net = new NetworkBuilder("training");
    const y = build(net, g.input("x", input));
    const trainable = net.weights.filter((weight) => weight.trainable);
    if (trainable.length === 0) return;
    const target = g.constant(noise(output, 7));
    const loss = g.reduceMean(g.square(g.sub(y, target)));
    const values = initialWeights(net.weights, new Random(3));
    const inputs = new Map([["x", noise(input)]]);
    const derivatives = evaluate(
      gradient(
        loss,
        trainable.map(({ name }) => net.nodeOf(name)),
      ),
      { inputs, parameters: values },
    );
    const stepped = new Map<string, Tensor>(values);
    trainable.forEach(({ name, shape }, i) => {
      const slope = floats(derivatives[i]!);
      stepped.set(
        name,
        float32(
          shape,
          floats(values.get(name)!).map((value, k) => value - 0.01 * slope[k]!),
        ),
      );
    });
    const lossWith = (parameters: TensorMap) => floats(evaluate([loss], { inputs, parameters })[0]!)[0]!;
    expect(lossWith(stepped)).toBeLessThan(lossWith(values));
  });
});

describe("batchNormalization", () => {
  const x = noise([6, 2]);
  const moments = (values: Float32Array, channel: number) => {
    const own = [...values].filter((_, i) => i % 2 === channel);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    return { mean, variance: own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length };
  };

  it("normalises with the batch's statistics and moves the running ones once for each use", () => {
    const net = new NetworkBuilder("training");
    const first = batchNormalization(net, "bn", g.input("x", [6, 2]));
    batchNormalization(net, "bn", g.input("x", [6, 2]));
    const parameters = new Map([
      ["bn/gamma", float32([2], [2, 3])],
      ["bn/beta", float32([2], [0.5, -1])],
      ["bn/moving_mean", float32([2], [1, 2])],
      ["bn/moving_variance", float32([2], [4, 5])],
    ]);
    const outputs = [first, net.updates.get("bn/moving_mean")!, net.updates.get("bn/moving_variance")!];
    const [y, mean, variance] = evaluate(outputs, { inputs: new Map([["x", x]]), parameters }).map(floats);
    for (const channel of [0, 1]) {
      const batch = moments(x.data, channel);
      const [gamma, beta] = [[2, 3][channel]!, [0.5, -1][channel]!];
      const expected = (gamma * (x.data[channel]! - batch.mean)) / Math.sqrt(batch.variance + 1e-3) + beta;
      expect(y![channel]).toBeCloseTo(expected, 5);
      const moved = (old: number, now: number) => 0.99 * (0.99 * old + 0.01 * now) + 0.01 * now;
      expect(mean![channel]).toBeCloseTo(moved([1, 2][channel]!, batch.mean), 5);
      expect(variance![channel]).toBeCloseTo(moved([4, 5][channel]!, batch.variance), 5);
    }
  });

  it.each([
    ["at inference", () => new NetworkBuilder("inference")],
    ["in a training that keeps them", () => new NetworkBuilder("training", { keepsStatistics: true })],
  ])("uses the running statistics %s", (_, open) => {
    const net = open();
    const y = batchNormalization(net, "bn", g.input("x", [1, 1]));
    const parameters = new Map([
      ["bn/gamma", float32([1], [2])],
      ["bn/beta", float32([1], [1])],
      ["bn/moving_mean", float32([1], [3])],
      ["bn/moving_variance", float32([1], [4])],
    ]);
    const [value] = evaluate([y], { inputs: new Map([["x", float32([1, 1], [5])]]), parameters });
    expect(floats(value!)[0]).toBeCloseTo((2 * (5 - 3)) / Math.sqrt(4 + 1e-3) + 1, 5);
    expect(net.updates.size).toBe(0);
  });
});

describe("dropout", () => {
  it("does nothing at inference and keeps the mean in training", () => {
    const x = float32([1, 2000], new Float32Array(2000).fill(1));
    const inference = dropout(new NetworkBuilder("inference"), "drop", g.input("x", [1, 2000]), 0.5);
    expect(evaluate([inference], { inputs: new Map([["x", x]]) })[0]).toEqual(x);
    const training = dropout(new NetworkBuilder("training"), "drop", g.input("x", [1, 2000]), 0.25);
    const random = new Random(1);
    const [dropped] = evaluate([training], {
      inputs: new Map([["x", x]]),
      random: (_, shape) =>
        Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform()),
    });
    const values = floats(dropped!);
    expect(new Set([...values].map((value) => value.toFixed(4)))).toEqual(new Set(["0.0000", "1.3333"]));
    expect(values.reduce((a, b) => a + b, 0) / values.length).toBeCloseTo(1, 1);
  });
});

it("shares weights by name and refuses to share them in another shape", () => {
  const net = new NetworkBuilder("training");
  dense(net, "shared", g.input("a", [1, 3]), { units: 2 });
  dense(net, "shared", g.input("b", [1, 3]), { units: 2 });
  expect(countValues(net.weights)).toBe(8);
  expect(() => dense(net, "shared", g.input("c", [1, 4]), { units: 2 })).toThrow("cannot be shared");
});
