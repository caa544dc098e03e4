/** @file Optimisers against Keras' arithmetic in plain loops, over several steps. */
import { describe, expect, it } from "vitest";
import { float32, floats } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import { evaluate } from "../graph/evaluate.ts";
import { adam, type Optimizer, sgd } from "./optimizers.ts";

const GRADIENTS = [0.5, -0.25, 2, 1e-3, -1];
const LEARNING_RATE = 0.1;

/** The weight after each of five steps from 1. */
function run(optimizer: Optimizer): number[] {
  const slotNodes = Object.fromEntries(optimizer.slots.map((slot) => [slot, g.parameter(slot, [])]));
  const inputs = { learningRate: g.input("rate", []), step: g.input("step", []) };
  const next = optimizer.update(g.parameter("weight", []), g.input("gradient", []), slotNodes, inputs);
  const names = ["weight", ...Object.keys(next.slots)];
  let state = new Map(
    ["weight", ...optimizer.slots].map((name) => [name, float32([], [name === "weight" ? 1 : 0])]),
  );
  return GRADIENTS.map((gradient, i) => {
    const values = evaluate([next.weight, ...Object.values(next.slots)], {
      inputs: new Map([
        ["rate", float32([], [LEARNING_RATE])],
        ["step", float32([], [i + 1])],
        ["gradient", float32([], [gradient])],
      ]),
      parameters: state,
    });
    state = new Map(names.map((name, k) => [name, float32([], floats(values[k]!))]));
    return floats(state.get("weight")!)[0]!;
  });
}

describe("adam", () => {
  it("is Keras' Adam", () => {
    let [weight, m, v] = [1, 0, 0];
    const expected = GRADIENTS.map((gradient, i) => {
      m += (gradient - m) * 0.1;
      v += (gradient ** 2 - v) * 0.001;
      const size = (LEARNING_RATE * Math.sqrt(1 - 0.999 ** (i + 1))) / (1 - 0.9 ** (i + 1));
      weight -= (m * size) / (Math.sqrt(v) + 1e-7);
      return weight;
    });
    expect(run(adam())).toBeAllClose(expected, { relative: 1e-4 });
  });
});

describe("sgd", () => {
  it("goes against the derivative", () => {
    let weight = 1;
    const expected = GRADIENTS.map((gradient) => (weight -= LEARNING_RATE * gradient));
    expect(run(sgd())).toBeAllClose(expected);
  });

  it.each([false, true])("has Keras' momentum, Nesterov %s", (nesterov) => {
    let [weight, velocity] = [1, 0];
    const expected = GRADIENTS.map((gradient) => {
      velocity = 0.9 * velocity - LEARNING_RATE * gradient;
      weight += nesterov ? 0.9 * velocity - LEARNING_RATE * gradient : velocity;
      return weight;
    });
    expect(run(sgd({ momentum: 0.9, nesterov }))).toBeAllClose(expected);
  });
});
