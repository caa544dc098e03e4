/** @file Values computed by hand, for the ops and element types where a slip is easy. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { plainNumbers } from "../../test/support/op-case.ts";
import { type DType, float32, int64, type Tensor } from "../base/tensor.ts";
import * as g from "./build.ts";
import { makeNode } from "./build.ts";
import { fromNumbers } from "./numbers.ts";
import type { ConvAttrs, Node, PoolAttrs } from "./ops.ts";

const value = (node: Node): Tensor => evaluate([node])[0]!;
const numbers = (node: Node): number[] => plainNumbers(value(node));
const of = (dtype: DType, shape: number[], values: number[]) => g.constant(fromNumbers(dtype, shape, values));
const vector = (...values: number[]) => of("float32", [values.length], values);
const bools = (...values: number[]) => of("bool", [values.length], values);
const ints = (...values: number[]) => g.constant(int64([values.length], values));
const bigints = (node: Node) => [...(value(node).data as BigInt64Array)];

/** 1, 2, 3 … in a shape. */
function counting(...shape: number[]): Node {
  const size = shape.reduce((a, b) => a * b, 1);
  return of(
    "float32",
    shape,
    Array.from({ length: size }, (_, i) => i + 1),
  );
}

const ones = (...shape: number[]) =>
  of("float32", shape, new Array(shape.reduce((a, b) => a * b, 1)).fill(1));

describe("conv2d", () => {
  const column = (length: number) => counting(1, length, 1, 1);
  const conv = (x: Node, kernel: Node, attrs: Partial<ConvAttrs> = {}) => numbers(g.conv2d(x, kernel, attrs));

  it("puts SAME's odd margin at the end, in both directions", () => {
    expect(conv(counting(1, 4, 4, 1), ones(3, 3, 1, 1), { strides: [2, 2] })).toEqual([54, 45, 72, 54]);
  });

  it("splits SAME's margin by size, window and stride", () => {
    expect(conv(column(7), ones(3, 1, 1, 1), { strides: [2, 1] })).toEqual([3, 9, 15, 13]);
    expect(conv(column(8), ones(3, 1, 1, 1), { strides: [2, 1] })).toEqual([6, 12, 18, 15]);
    expect(conv(column(8), ones(5, 1, 1, 1), { strides: [2, 1] })).toEqual([10, 20, 30, 21]);
  });

  it("takes every other element where it is dilated", () => {
    const dilated = { dilations: [2, 1], padding: "valid" } as const;
    expect(conv(column(6), counting(3, 1, 1, 1), dilated)).toEqual([1 + 6 + 15, 2 + 8 + 18]);
  });

  it("takes explicit margins on one side only", () => {
    const padding = [
      [2, 0],
      [0, 0],
    ] as const;
    expect(conv(column(3), ones(3, 1, 1, 1), { padding })).toEqual([1, 3, 6]);
  });

  it("keeps groups of channels apart", () => {
    const kernel = of("float32", [1, 1, 2, 2], [1, 10, 100, 1000]);
    expect(conv(counting(1, 1, 1, 4), kernel, { groups: 2 })).toEqual([201, 4030]);
  });

  it("gives each channel its own outputs where it is depthwise", () => {
    const kernel = of("float32", [1, 1, 1, 4], [1, 10, 100, 1000]);
    expect(conv(counting(1, 1, 1, 2), kernel, { groups: 2 })).toEqual([1, 10, 200, 2000]);
  });
});

describe("pools", () => {
  const pool = { size: [3, 1], strides: [2, 1], padding: "same" } as const satisfies PoolAttrs;
  const pairs = { size: [2, 1], strides: [2, 1], padding: "valid" } as const satisfies PoolAttrs;
  const column = (...values: number[]) => of("float32", [1, values.length, 1, 1], values);

  it("never take a margin for a maximum", () => {
    expect(numbers(g.maxPool(column(-5, -3, -4, -1), pool))).toEqual([-3, -1]);
  });

  it("average only what lies inside the image", () => {
    expect(numbers(g.avgPool(column(1, 2, 3, 4), pool))).toEqual([2, 3.5]);
  });

  it("share a maximum's derivative among equals", () => {
    const x = column(1, 1, 0, 2, 7);
    const grad = makeNode("maxPoolGrad", [column(10, 20), x, g.maxPool(x, pairs)], pairs);
    expect(numbers(grad)).toEqual([5, 5, 0, 20, 0]);
  });

  it("add up derivatives where windows overlap", () => {
    const x = column(1, 2, 9, 4);
    const max = makeNode("maxPoolGrad", [column(10, 20), x, g.maxPool(x, pool)], pool);
    expect(numbers(max)).toEqual([0, 0, 30, 0]);
    const mean = makeNode("avgPoolGrad", [column(3, 4)], { ...pool, inputSize: [4, 1] });
    expect(numbers(mean)).toEqual([1, 1, 3, 2]);
  });
});

describe("ops that move elements", () => {
  it("slice backwards, through the first element only where the end lies before it", () => {
    const x = vector(0, 1, 2, 3, 4);
    expect(numbers(g.slice(x, [4], [0], [-2]))).toEqual([4, 2]);
    expect(numbers(g.slice(x, [4], [-6], [-2]))).toEqual([4, 2, 0]);
    expect(numbers(g.slice(x, [-2], [-6], [-1]))).toEqual([3, 2, 1, 0]);
    expect(numbers(g.slice(x, [1], [-1]))).toEqual([1, 2, 3]);
  });

  it("slice, transpose and pad several axes at once", () => {
    const x = counting(2, 3);
    expect(numbers(g.slice(x, [0, 2], [2, -4], [1, -2]))).toEqual([3, 1, 6, 4]);
    expect(numbers(g.transpose(x, [1, 0]))).toEqual([1, 4, 2, 5, 3, 6]);
    expect(numbers(g.pad(x, [1, 0], [0, 1], 9))).toEqual([9, 9, 9, 9, 1, 2, 3, 9, 4, 5, 6, 9]);
  });

  it("gather along an axis, from its end where an index is negative", () => {
    const x = counting(2, 3);
    const picked = value(g.gather(x, of("int32", [2, 1], [-1, 0]), 1));
    expect(picked.shape).toEqual([2, 2, 1]);
    expect(plainNumbers(picked)).toEqual([3, 1, 6, 4]);
    expect(() => numbers(g.gather(x, ints(3), 1))).toThrow("index 3 lies outside an axis of length 3");
  });

  it("add up what several indices gathered from one place", () => {
    const grad = makeNode("gatherGrad", [counting(3, 2), ints(2, 0, 2)], { axis: 0, length: 4 });
    expect(numbers(grad)).toEqual([3, 4, 0, 0, 6, 8, 0, 0]);
  });

  it("repeat, join and choose elements of any type", () => {
    expect(bigints(g.broadcastTo(ints(1, 2), [2, 1]))).toEqual([1n, 2n, 1n, 2n]);
    expect(bigints(g.concat([ints(1), ints(2, 3)], 0))).toEqual([1n, 2n, 3n]);
    expect(bigints(g.select(bools(1, 0), ints(5), ints(7)))).toEqual([5n, 7n]);
    expect(numbers(g.select(bools(1, 0), bools(0), bools(1)))).toEqual([0, 1]);
    expect(numbers(g.transpose(of("float16", [1, 2], [1, 2]), [1, 0]))).toEqual([0x3c00, 0x4000]);
  });

  it("keep sides of 0 in a reshape, and infer what is left", () => {
    expect(value(g.reshape(counting(2, 3, 2), [0, -1])).shape).toEqual([2, 6]);
    expect(value(g.reshape(of("float32", [0, 3], []), [-1, 3])).shape).toEqual([0, 3]);
  });
});

describe("reductions", () => {
  it("keep sides of 1 where asked to", () => {
    const x = counting(2, 2, 2);
    expect(value(g.reduceSum(x, { axes: [0, 2], keepDims: true })).shape).toEqual([1, 2, 1]);
    expect(numbers(g.reduceSum(x, { axes: [0, 2] }))).toEqual([14, 22]);
    expect(numbers(g.reduceMean(x, { axes: [-1] }))).toEqual([1.5, 3.5, 5.5, 7.5]);
    expect(numbers(g.reduceProd(x))).toEqual([40320]);
    expect(numbers(g.reduceMax(x, { axes: [1] }))).toEqual([3, 4, 7, 8]);
    expect(numbers(g.reduceMin(x, { axes: [] }))).toEqual(numbers(x));
  });

  it("find the first of several greatest elements", () => {
    expect(bigints(g.argMax(of("float32", [2, 3], [1, 5, 5, 2, 1, 2]), 1))).toEqual([1n, 0n]);
  });

  it("do not overflow in a softmax", () => {
    expect(numbers(g.softmax(vector(1000, 1000)))).toEqual([0.5, 0.5]);
    const columns = g.softmax(of("float32", [2, 2], [0, 5, Math.log(3), 5]), 0);
    expect(numbers(columns)).toBeAllClose([0.25, 0.5, 0.75, 0.5]);
  });

  it("take the variance over all positions, in population form", () => {
    const { mean, variance } = g.channelMoments(of("float32", [2, 2], [1, 10, 3, 30]));
    expect([numbers(mean), numbers(variance)]).toEqual([
      [2, 20],
      [1, 100],
    ]);
  });
});

describe("matmul", () => {
  it("transposes either side", () => {
    const [a, b] = [counting(2, 3), counting(2, 2)];
    expect(numbers(g.matmul(a, b, { transposeA: true }))).toEqual([13, 18, 17, 24, 21, 30]);
    expect(numbers(g.matmul(b, a, { transposeB: false }))).toEqual([9, 12, 15, 19, 26, 33]);
    expect(numbers(g.matmul(b, counting(3, 2), { transposeB: true }))).toEqual([5, 11, 17, 11, 25, 39]);
  });

  it("broadcasts batches of matrices", () => {
    const product = value(g.matmul(counting(2, 1, 2), counting(2, 1)));
    expect(product.shape).toEqual([2, 1, 1]);
    expect(plainNumbers(product)).toEqual([5, 11]);
  });
});

describe("functions of one element", () => {
  it("know their limits", () => {
    expect(numbers(g.sigmoid(vector(-1000, 0, 1000)))).toEqual([0, 0.5, 1]);
    expect(numbers(g.softplus(vector(-1000, 0, 1000)))).toBeAllClose([0, Math.LN2, 1000]);
    expect(numbers(g.erf(of("float64", [6], [0, 0.5, 1, 2, -3, 7])))).toBeAllClose(
      [0, 0.5204998778130465, 0.8427007929497149, 0.9953222650189527, -0.9999779095030014, 1],
      { absolute: 1e-15, relative: 1e-14 },
    );
    expect(numbers(g.round(vector(0.5, 1.5, 2.5, -1.5)))).toEqual([0, 2, 2, -2]);
    expect(numbers(g.sign(vector(-2, 0, 3)))).toEqual([-1, 0, 1]);
  });

  it("treat 0 as the rules of each op say", () => {
    expect(numbers(g.prelu(vector(-2, 0, 2), vector(3, 3, 3)))).toEqual([-6, 0, 2]);
    expect(numbers(makeNode("reluGrad", [vector(5, 5, 5), vector(-1, 0, 1)], {}))).toEqual([0, 0, 5]);
    const slopes = vector(3, 3, 3);
    expect(numbers(makeNode("preluGrad", [vector(5, 5, 5), vector(-1, 0, 1), slopes], {}))).toEqual([
      15, 15, 5,
    ]);
  });
});

describe("whole numbers", () => {
  const huge = 2n ** 53n + 1n;
  const exact = g.constant({ dtype: "int64", shape: [1], data: BigInt64Array.of(huge) });

  it("of 64 bits stay exact", () => {
    expect(bigints(g.add(exact, 1))).toEqual([huge + 1n]);
    expect(bigints(g.reduceSum(g.concat([exact, exact], 0)))).toEqual([2n * huge]);
    expect(bigints(g.reduceProd(ints(2 ** 31, 2 ** 31)))).toEqual([2n ** 62n]);
    expect(numbers(g.equal(exact, g.constant(int64([1], [2 ** 53]))))).toEqual([0]);
    expect(bigints(g.reduceMax(ints(-3, -2)))).toEqual([-2n]);
    expect(bigints(g.reduceMin(ints(-3, -2)))).toEqual([-3n]);
  });

  it("wrap around where they do not fit", () => {
    const most = g.constant({ dtype: "int64", shape: [1], data: BigInt64Array.of(2n ** 63n - 1n) });
    expect(bigints(g.add(most, 1))).toEqual([-(2n ** 63n)]);
    expect([...(value(g.cast(most, "int32")).data as Int32Array)]).toEqual([-1]);
    expect(numbers(g.mul(of("uint8", [1], [200]), of("uint8", [1], [2])))).toEqual([144]);
  });

  it("lose the fraction of a quotient or a mean", () => {
    expect(bigints(g.div(ints(7, -7), 2))).toEqual([3n, -3n]);
    expect(numbers(g.div(of("int32", [2], [7, -7]), 2))).toEqual([3, -3]);
    expect(numbers(g.reduceMean(of("int32", [2], [1, 2])))).toEqual([1]);
    expect(bigints(g.reduceMean(ints(1, 2)))).toEqual([1n]);
    expect(bigints(g.pow(ints(2, -1, 5), ints(10, -3, -1)))).toEqual([1024n, -1n, 0n]);
  });

  it("cannot be divided by zero", () => {
    expect(() => value(g.div(ints(1), 0))).toThrow("an integer is divided by zero");
    expect(() => value(g.div(of("int32", [1], [1]), 0))).toThrow("an integer is divided by zero");
    expect(numbers(g.div(vector(1), 0))).toEqual([Infinity]);
  });

  it("come from floats without their fraction", () => {
    expect(bigints(g.cast(vector(1.9, -1.9), "int64"))).toEqual([1n, -1n]);
    expect(numbers(g.cast(vector(0, 0.1, Number.NaN), "bool"))).toEqual([0, 1, 1]);
    expect(numbers(g.cast(ints(3, -4), "float32"))).toEqual([3, -4]);
    expect(numbers(g.cast(bools(1, 0), "float32"))).toEqual([1, 0]);
  });

  it("have no exponential", () => {
    expect(() => value(g.exp(ints(1)))).toThrow("exp of int64 numbers is not available");
  });
});

it("computes in double precision and rounds to the type", () => {
  const tiny = 2 ** -24;
  expect(numbers(g.reduceSum(vector(1, tiny, tiny)))).toEqual([1 + 2 * tiny]);
  expect(numbers(g.add(vector(1), vector(tiny)))).toEqual([1]);
  expect(numbers(g.cast(g.add(of("float16", [1], [1]), of("float16", [1], [2 ** -12])), "float32"))).toEqual([
    1,
  ]);
});

describe("leaves", () => {
  const x = g.input("x", ["batch", 2]);

  it("take the values that are given by their names", () => {
    const y = g.add(x, g.parameter("w", [2]));
    const result = evaluate([y], {
      inputs: new Map([["x", float32([1, 2], [1, 2])]]),
      parameters: new Map([["w", float32([2], [10, 20])]]),
    });
    expect(plainNumbers(result[0]!)).toEqual([11, 22]);
  });

  it("refuse a missing value and one that does not fit", () => {
    expect(() => evaluate([x])).toThrow("no value was given for input x");
    const given = (t: Tensor) => () => evaluate([x], { inputs: new Map([["x", t]]) });
    expect(given(float32([1, 3], [1, 2, 3]))).toThrow("input x takes float32[batch, 2], got float32[1, 3]");
    expect(given(int64([1, 2], [1, 2]))).toThrow("got int64[1, 2]");
    expect(() => evaluate([g.parameter("w", [2])])).toThrow("no value was given for parameter w");
    expect(() => evaluate([g.randomUniform("noise", [2])])).toThrow("no random numbers were given");
  });

  it("draw each stream once a run, however often it is declared", () => {
    let draws = 0;
    const random = () => Float32Array.of(++draws, draws);
    const [a, b] = [g.randomUniform("noise", [2]), g.randomUniform("noise", [2])];
    expect(plainNumbers(evaluate([g.sub(a, b)], { random })[0]!)).toEqual([0, 0]);
    expect(draws).toBe(1);
  });
});
