/** @file The running average of weights: its arithmetic, its beginning, and what is used of it. */
import { describe, expect, it } from "vitest";
import { float32, floats } from "../base/tensor.ts";
import { zeros } from "../nn/initializers.ts";
import { NetworkBuilder } from "../nn/network-builder.ts";
import { ParameterStore } from "../onnx/runtime/parameter-store.ts";
import { averagedState, averageName, decayAt, WeightAverages } from "./weight-averages.ts";

function averagesOf(decay: number) {
  const net = new NetworkBuilder("training");
  net.weight("layer/bias", [2], { initializer: zeros });
  const store = new ParameterStore();
  store.admit([{ name: "layer/bias", shape: [2], perm: undefined, input: "in", output: undefined }]);
  return { store, averages: new WeightAverages(store, net.weights, decay) };
}

const biasOf = (values: readonly number[]) => new Map([["layer/bias", float32([2], values)]]);

describe("the average of weights", () => {
  it("keeps the decay's share of what it was, less in the first steps", () => {
    expect(decayAt(0.9, 1)).toBeCloseTo(2 / 11, 12);
    expect(decayAt(0.9, 1000)).toBe(0.9);
    const { store, averages } = averagesOf(0.5);
    averages.load(biasOf([1, -2]));
    store.load(biasOf([2, 2]));
    averages.follow(1);
    const kept = 2 / 11;
    const read = () => floats(averages.read().get(averageName("layer/bias"))!);
    expect([...read()]).toEqual([1 * kept + 2 * (1 - kept), -2 * kept + 2 * (1 - kept)].map(Math.fround));
    store.load(biasOf([0, 0]));
    const before = read();
    averages.follow(100);
    expect([...read()]).toEqual([...before].map((value) => Math.fround(value / 2)));
  });

  it("is what a state is used with, where it holds one", () => {
    const state = new Map([
      ["layer/bias", float32([1], [1])],
      ["other/bias", float32([1], [2])],
      [averageName("layer/bias"), float32([1], [3])],
    ]);
    const used = averagedState(state);
    expect([...floats(used.get("layer/bias")!), ...floats(used.get("other/bias")!)]).toEqual([3, 2]);
  });

  it("begins where a state without averages stands", () => {
    const { averages } = averagesOf(0.9);
    averages.load(biasOf([4, 5]));
    expect([...floats(averages.read().get(averageName("layer/bias"))!)]).toEqual([4, 5]);
  });
});
