/** @file Optimisers against Keras' arithmetic in plain loops, over several steps. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { float32, floats } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import { ADAMW_DECAY, adam, adamw, decayed, type Optimizer, sgd } from "./optimizers.ts";

const GRADIENTS = [0.5, -0.25, 2, 1e-3, -1];
const LEARNING_RATE = 0.1;

/** The weight after each of five steps from 1. */
function run(optimizer: Optimizer, decay = 0): number[] {
  const slotNodes = Object.fromEntries(optimizer.slots.map((slot) => [slot, g.parameter(slot, [])]));
  const inputs = { learningRate: g.input("rate", []), step: g.input("step", []) };
  const weight = g.parameter("weight", []);
  const shrunk = decay === 0 ? weight : decayed(weight, inputs.learningRate, decay);
  const next = optimizer.update(shrunk, g.input("gradient", []), slotNodes, inputs);
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

describe("adamw", () => {
  it("shrinks the weight by rate times decay, then goes Adam's step", () => {
    // By hand. The first steps of Adam: the derivatives 0.5 and −0.25 leave m = 0.05 and 0.02, v = 2.5e-4 and 3.1225e-4;
    // 0.1 · √0.001 / 0.1 · 0.05 / √2.5e-4 = 0.1 and 0.1 · √0.001999 / 0.19 · 0.02 / √3.1225e-4 = 0.0266336.
    // Each time before that, the weight loses a hundredth: 1 · 0.99 − 0.1 = 0.89, and 0.89 · 0.99 − 0.0266336 = 0.8544664.
    expect(run(adamw(), 0.1).slice(0, 2)).toBeAllClose([0.89, 0.8544664], { absolute: 2e-6, relative: 0 });
  });

  it("is Keras' AdamW", () => {
    let [weight, m, v] = [1, 0, 0];
    const expected = GRADIENTS.map((gradient, i) => {
      weight -= weight * ADAMW_DECAY * LEARNING_RATE;
      m += (gradient - m) * 0.1;
      v += (gradient ** 2 - v) * 0.001;
      const size = (LEARNING_RATE * Math.sqrt(1 - 0.999 ** (i + 1))) / (1 - 0.9 ** (i + 1));
      weight -= (m * size) / (Math.sqrt(v) + 1e-7);
      return weight;
    });
    expect(run(adamw(), ADAMW_DECAY)).toBeAllClose(expected, { relative: 1e-5 });
    expect(run(adam(), ADAMW_DECAY)).toEqual(run(adamw(), ADAMW_DECAY));
  });

  it("keeps its running values under its own name", () => {
    expect(adamw()).toMatchObject({ name: "adamw", slots: ["m", "v"] });
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
