/** @file Shape rules on symbolic shapes, and the errors for inputs that do not fit. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as g from "./build.ts";
import { makeNode } from "./build.ts";
import type { Node } from "./ops.ts";
import { broadcastShapes, sliceRange } from "./shape-rules.ts";

const x = (...shape: (number | string)[]) => g.input("x", shape);

describe("broadcasting", () => {
  it("aligns at the last axis and takes unknown sides along", () => {
    expect(broadcastShapes([2, 1, 3], [4, 1])).toEqual([2, 4, 3]);
    expect(broadcastShapes(["batch", 3], [3])).toEqual(["batch", 3]);
    expect(broadcastShapes(["batch", 1], ["batch", 5])).toEqual(["batch", 5]);
    expect(broadcastShapes(["batch"], [1])).toEqual(["batch"]);
  });

  it("takes the known side where an unknown one can only be that", () => {
    expect(broadcastShapes(["batch"], [4])).toEqual([4]);
    expect(broadcastShapes(["n"], ["m"])).toEqual(["?"]);
  });

  it("names both shapes where they do not fit", () => {
    expect(() => g.add(x(2, 3), x(2, 4))).toThrow("add: [2, 3] and [2, 4] do not broadcast");
  });
});

describe("reshape", () => {
  it.each([
    { from: ["batch", 2, 3], to: [-1, 6], gives: ["batch", 6] },
    { from: ["batch", 2, 3], to: [0, -1], gives: ["batch", 6] },
    { from: ["?", 2, 3], to: [0, -1], gives: ["?", 6] },
    { from: ["batch", 4], to: [-1, 2], gives: ["?", 2] },
    { from: ["n", "m"], to: [-1, 1], gives: ["?", 1] },
    { from: [4, 6], to: [2, -1, 3], gives: [2, 4, 3] },
    { from: [], to: [1, 1], gives: [1, 1] },
    { from: [0, 3], to: [-1, 3], gives: [0, 3] },
  ])("of $from to $to gives $gives", ({ from, to, gives }) => {
    expect(g.reshape(x(...from), to).shape).toEqual(gives);
  });

  it.each([
    { from: [4], to: [3] },
    { from: [4], to: [-1, 3] },
    { from: [4], to: [-1, -1] },
    { from: [4], to: [-2, -2] },
    { from: [4], to: [4, 0] },
  ])("of $from to $to is refused", ({ from, to }) => {
    expect(() => g.reshape(x(...from), to)).toThrow("reshape: expected a tensor that can take the shape");
  });
});

describe("slices", () => {
  /** Python's rule, element by element. */
  function picked(length: number, start: number, end: number, step: number): number[] {
    const from = start < 0 ? start + length : start;
    const to = end < 0 ? end + length : end;
    const indices: number[] = [];
    for (let i = Math.min(Math.max(from, step > 0 ? 0 : -1), step > 0 ? length : length - 1); ; i += step) {
      if (step > 0 ? i >= Math.min(to, length) : i <= Math.max(to, -1)) return indices;
      indices.push(i);
    }
  }

  it("take the elements that NumPy's take", () => {
    const bound = fc.integer({ min: -8, max: 8 });
    const step = fc.integer({ min: -3, max: 3 }).filter((n) => n !== 0);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6 }), bound, bound, step, (length, start, end, by) => {
        const { first, count } = sliceRange(length, start, end, by);
        expect(Array.from({ length: count }, (_, i) => first + i * by)).toEqual(
          picked(length, start, end, by),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("keep the name of an unknown side that is not cut", () => {
    expect(g.slice(x("batch", 5), [0, 1], [Number.MAX_SAFE_INTEGER, 3]).shape).toEqual(["batch", 2]);
    expect(g.slice(x("batch", 5), [1], []).shape).toEqual(["?", 5]);
  });
});

it("adds sides and keeps names in concat", () => {
  expect(g.concat([x("batch", 2), x("batch", 3)], 1).shape).toEqual(["batch", 5]);
  expect(g.concat([x("batch", 2), x(4, 2)], 1).shape).toEqual([4, 4]);
  expect(g.concat([x("n", 2), x("n", 2)], 0).shape).toEqual(["?", 2]);
});

const image = (...shape: number[]) => g.input("image", shape);
const pool = { size: [2, 2], strides: [2, 2], padding: "valid" } as const;
const convAttrs = { strides: [1, 1], padding: "same", dilations: [1, 1], groups: 1 } as const;

describe("an op says what it wants and what came", () => {
  const ints = g.input("ints", [3], "int64");
  const cases: Record<string, { make: () => Node; says: string }> = {
    "types of add": {
      make: () => g.add(x(3), ints),
      says: "add: expected two tensors of one type, got float32[3], int64[3]",
    },
    "type of and": { make: () => g.and(x(3), x(3)), says: "and: expected bool tensors" },
    "type of not": { make: () => g.not(ints), says: "not: expected bool tensors, got int64[3]" },
    "condition of select": {
      make: () => g.select(x(3), x(3), x(3)),
      says: "select: expected a bool tensor and two of one type",
    },
    "vectors of affine": {
      make: () => g.affine(x(2, 3), x(3), x(2)),
      says: "affine: expected a tensor and vectors of one number per channel, got float32[2, 3], float32[3], float32[2]",
    },
    "slope of prelu": { make: () => g.prelu(x(2, 3), x(1)), says: "prelu: expected a tensor and vectors" },
    "axes of reduceSum": { make: () => g.reduceSum(x(2, 3), { axes: [2] }), says: "a tensor with axes 2" },
    "axis of softmax": { make: () => g.softmax(x(2, 3), 2), says: "softmax: expected a tensor with axes 2" },
    "axis of argMax": { make: () => g.argMax(x(3), 1), says: "argMax: expected a tensor with axes 1" },
    "rank of matmul": { make: () => g.matmul(x(3), x(3, 2)), says: "of rank 2 or more, got float32[3]" },
    "inner sides of matmul": {
      make: () => g.matmul(x(2, 3), x(4, 2)),
      says: "matmul: expected equal inner sides, got float32[2, 3], float32[4, 2]",
    },
    "channels of conv2d": {
      make: () => g.conv2d(image(1, 5, 5, 3), image(3, 3, 4, 8)),
      says: "conv2d: expected [batch, height, width, in] and [height, width, in / 1, out]",
    },
    "groups of conv2d": {
      make: () => g.conv2d(image(1, 5, 5, 4), image(3, 3, 2, 3), { groups: 2 }),
      says: "[height, width, in / 2, out]",
    },
    "size of conv2d": {
      make: () => g.conv2d(image(1, 2, 5, 3), image(3, 3, 3, 8), { padding: "valid" }),
      says: "conv2d: a window that spans 3 does not fit a side of 2",
    },
    "derivative of conv2d by its input": {
      make: () =>
        makeNode("conv2dInputGrad", [image(1, 4, 4, 8), image(3, 3, 3, 8)], {
          ...convAttrs,
          inputSize: [5, 5],
        }),
      says: "conv2dInputGrad: expected a derivative of height 5 and width 5",
    },
    "derivative of conv2d by its kernel": {
      make: () =>
        makeNode("conv2dKernelGrad", [image(1, 4, 4, 3), image(2, 4, 4, 8)], {
          ...convAttrs,
          kernelSize: [3, 3],
        }),
      says: "conv2dKernelGrad: expected two batches of images of one size",
    },
    "rank of maxPool": { make: () => g.maxPool(x(4, 4), pool), says: "[batch, height, width, channels]" },
    "derivative of maxPool": {
      make: () => makeNode("maxPoolGrad", [image(1, 2, 2, 3), image(1, 4, 4, 3), image(1, 4, 4, 3)], pool),
      says: "maxPoolGrad: expected a derivative, the pool's input and its output",
    },
    "derivative of avgPool": {
      make: () => makeNode("avgPoolGrad", [image(1, 3, 2, 3)], { ...pool, inputSize: [4, 4] }),
      says: "avgPoolGrad: expected a derivative of height 2 and width 2",
    },
    "derivative of relu": {
      make: () => makeNode("reluGrad", [x(3), x(4)], {}),
      says: "reluGrad: expected two tensors of one type and shape",
    },
    "permutation of transpose": {
      make: () => g.transpose(x(2, 3), [0, 0]),
      says: "transpose: expected a permutation of the tensor's axes instead of [0, 0], got float32[2, 3]",
    },
    "target of broadcastTo": { make: () => g.broadcastTo(x(3), [2]), says: "[3] and [2] do not broadcast" },
    "sides of concat": {
      make: () => g.concat([x(2, 3), x(3, 3)], 1),
      says: "concat: expected tensors of one type that differ only along axis 1",
    },
    "rank of slice": {
      make: () => makeNode("slice", [x(3)], { starts: [0, 0], ends: [1, 1], steps: [1, 1] }),
      says: "slice: expected a tensor of rank 2, got float32[3]",
    },
    "steps of slice": {
      make: () => g.slice(x(3), [0], [2], [0]),
      says: "slice: expected steps other than 0",
    },
    "margins of pad": { make: () => g.pad(x(3), [0, 0], [1, 1]), says: "pad: expected a tensor of rank 2" },
    "indices of gather": {
      make: () => g.gather(x(3), x(2)),
      says: "gather: expected a tensor with axis 0 and int32 or int64 indices",
    },
    "derivative of gather": {
      make: () => makeNode("gatherGrad", [x(4, 2), ints], { axis: 0, length: 5 }),
      says: "gatherGrad: expected a derivative that holds the indices' shape from axis 0 on",
    },
  };

  it.each(Object.entries(cases))("%s", (_, { make, says }) => {
    expect(make).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
    expect(make).toThrow(says);
  });
});
