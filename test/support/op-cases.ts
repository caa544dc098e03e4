/** @file How each op is tried: one entry per op, so that an op without a test does not compile. */
import fc from "fast-check";
import { float32, int64, sizeOf } from "../../src/base/tensor.ts";
import * as g from "../../src/graph/build.ts";
import { channelMoments, makeNode } from "../../src/graph/build.ts";
import { loop } from "../../src/graph/loops.ts";
import type { Node, OpName } from "../../src/graph/ops.ts";
import { anyPools, convs } from "./arbitrary-windows.ts";
import {
  bools,
  broadcastable,
  draws,
  floats,
  integers,
  type OpCase,
  type OpTry,
  shapeAndAxes,
  shapeAndAxis,
  shapes,
} from "./op-case.ts";

const compared = (tries: fc.Arbitrary<OpTry>): OpCase => ({ tries, derivative: "compared" });
const unavailable = (tries: fc.Arbitrary<OpTry>): OpCase => ({ tries, derivative: "unavailable" });

const unary = (build: (x: Node) => Node, range: { low?: number; high?: number } = {}) =>
  compared(
    shapes().map((shape) => ({
      inputs: [floats(shape, { ...range, batch: shape.length > 0 })],
      build: ([x]) => build(x!),
    })),
  );

const binary = (
  build: (a: Node, b: Node) => Node,
  first: { low?: number; high?: number } = {},
  second: { low?: number; high?: number } = {},
) =>
  compared(
    broadcastable(2).map(([a, b]) => ({
      inputs: [floats(a!, first), floats(b!, { ...second, phase: 1 })],
      build: ([x, y]) => build(x!, y!),
    })),
  );

const logical = (build: (a: Node, b: Node) => Node) =>
  compared(
    broadcastable(2).map(([a, b]) => ({
      inputs: [bools(a!), bools(b!)],
      build: ([x, y]) => build(x!, y!),
    })),
  );

type Reduction = typeof g.reduceSum;

const reduction = (reduce: Reduction, wrap: (tries: fc.Arbitrary<OpTry>) => OpCase) =>
  wrap(
    fc.tuple(shapeAndAxes, fc.boolean()).map(([{ shape, axes }, keepDims]) => ({
      inputs: [floats(shape, { batch: shape.length > 0 })],
      build: ([x]) => reduce(x!, { axes, keepDims }),
    })),
  );

const perChannel = (shape: readonly number[], phase: number) => floats(shape.slice(-1), { phase });

const matmuls = fc
  .record({
    batches: broadcastable(2, 2),
    rows: fc.integer({ min: 1, max: 4 }),
    inner: fc.integer({ min: 1, max: 4 }),
    columns: fc.integer({ min: 1, max: 4 }),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
  })
  .map(({ batches: [left, right], rows, inner, columns, transposeA, transposeB }): OpTry => {
    const a = transposeA ? [inner, rows] : [rows, inner];
    const b = transposeB ? [columns, inner] : [inner, columns];
    return {
      inputs: [floats([...left!, ...a]), floats([...right!, ...b], { phase: 1 })],
      build: ([x, y]) => g.matmul(x!, y!, { transposeA, transposeB }),
    };
  });

// Moving elements.

/** A target shape for a reshape: the sides regrouped, one perhaps left to be inferred. */
const reshapes = shapes(0, 4).chain((shape) =>
  fc
    .record({ cuts: fc.subarray(shape.map((_, i) => i)), infer: fc.boolean(), keepFirst: fc.boolean() })
    .map(({ cuts, infer, keepFirst }): OpTry => {
      const bounds = [...new Set([0, ...cuts, shape.length])];
      const grouped = bounds.slice(1).map((end, i) => sizeOf(shape.slice(bounds[i]!, end)));
      const target = grouped.map((side, i) => (infer && i === grouped.length - 1 ? -1 : side));
      if (keepFirst && shape.length > 0 && shape[0] === target[0]) target[0] = 0;
      return { inputs: [floats(shape)], build: ([x]) => g.reshape(x!, target) };
    }),
);

const slices = shapes(1, 4).chain((shape) =>
  fc
    .tuple(
      ...shape.map((side) =>
        fc.record({
          start: fc.integer({ min: -side - 1, max: side + 1 }),
          end: fc.integer({ min: -side - 2, max: side + 1 }),
          step: fc.constantFrom(1, 1, 2, -1, -2, 3),
        }),
      ),
    )
    .map((axes) => ({
      starts: axes.map((axis) => axis.start),
      ends: axes.map((axis) => axis.end),
      steps: axes.map((axis) => axis.step),
    }))
    .filter(({ starts, ends, steps }) => {
      const node = g.slice(g.input("x", shape), starts, ends, steps);
      return node.shape.every((side) => side !== 0);
    })
    .map(
      ({ starts, ends, steps }): OpTry => ({
        inputs: [floats(shape)],
        build: ([x]) => g.slice(x!, starts, ends, steps),
      }),
    ),
);

/** A layer applied so many times: the last state, and all states. */
function recurrence(x: Node, kernel: Node, rounds: number): Node[] {
  const round = g.input("round", [], "int32");
  const state = g.input("state", x.shape, x.dtype);
  const next = g.tanh(g.add(g.matmul(state, kernel), x));
  const results = loop({
    states: [
      { state: round, first: g.scalar(0, "int32") },
      { state, first: x },
    ],
    condition: g.less(round, g.scalar(rounds, "int32")),
    next: [g.add(round, 1), next],
    items: [next],
    rounds,
    mostRounds: 10,
  });
  return [results.states[1]!, results.items[0]!];
}

const indexShapes = shapes(0, 2);

/** One case per op. */
export const opCases: { readonly [K in OpName]: OpCase } = {
  input: unary((x) => x),
  parameter: compared(
    shapes(0, 4).map((shape) => ({
      inputs: [],
      build: () => g.parameter("p", shape),
      parameters: new Map([["p", float32(shape, draws("p", shape))]]),
    })),
  ),
  constant: compared(
    shapes(0, 4).map((shape) => ({
      inputs: [],
      build: () => g.constant(float32(shape, draws("c", shape))),
    })),
  ),
  randomUniform: compared(
    shapes(0, 4).map((shape) => ({ inputs: [], build: () => g.randomUniform("noise", shape) })),
  ),
  neg: unary(g.neg),
  abs: unary(g.abs),
  sign: unary(g.sign),
  exp: unary(g.exp),
  log: unary(g.log, { low: 0.1, high: 3 }),
  sqrt: unary(g.sqrt, { low: 0.1, high: 3 }),
  sin: unary(g.sin),
  cos: unary(g.cos),
  tanh: unary(g.tanh),
  sigmoid: unary(g.sigmoid, { low: -6, high: 6 }),
  softplus: unary(g.softplus, { low: -6, high: 6 }),
  erf: unary(g.erf),
  relu: unary(g.relu),
  floor: unary(g.floor, { low: -4, high: 4 }),
  ceil: unary(g.ceil, { low: -4, high: 4 }),
  round: unary(g.round, { low: -4, high: 4 }),
  not: compared(shapes().map((shape) => ({ inputs: [bools(shape)], build: ([x]) => g.not(x!) }))),
  cast: compared(
    fc
      .tuple(
        shapes(),
        fc.constantFrom("float64" as const, "int32" as const, "int64" as const, "bool" as const),
      )
      .map(([shape, to]) => ({ inputs: [floats(shape)], build: ([x]) => g.cast(x!, to) })),
  ),
  add: binary(g.add),
  sub: binary(g.sub),
  mul: binary(g.mul),
  div: binary(g.div, {}, { low: 0.4, high: 2 }),
  pow: binary(g.pow, { low: 0.2, high: 2 }),
  max: binary(g.max),
  min: binary(g.min),
  equal: logicalOfIntegers(g.equal),
  less: binary(g.less),
  lessEqual: binary(g.lessEqual),
  and: logical(g.and),
  or: logical(g.or),
  select: compared(
    broadcastable(3).map(([c, a, b]) => ({
      inputs: [bools(c!), floats(a!), floats(b!, { phase: 1 })],
      build: ([condition, x, y]) => g.select(condition!, x!, y!),
    })),
  ),
  affine: compared(
    shapes(1, 4).map((shape) => ({
      inputs: [floats(shape, { batch: shape.length > 1 }), perChannel(shape, 1), perChannel(shape, 2)],
      build: ([x, scale, shift]) => g.affine(x!, scale!, shift!),
    })),
  ),
  channelVariance: compared(
    shapes(2, 4).map((shape) => ({
      inputs: [floats(shape)],
      build: ([x]) => channelMoments(x!).variance,
    })),
  ),
  prelu: compared(
    shapes(1, 4).map((shape) => ({
      inputs: [floats(shape, { batch: shape.length > 1 }), perChannel(shape, 1)],
      build: ([x, slope]) => g.prelu(x!, slope!),
    })),
  ),
  reluGrad: compared(
    shapes().map((shape) => ({
      inputs: [floats(shape), floats(shape, { phase: 1 })],
      build: ([dy, y]) => makeNode("reluGrad", [dy!, y!], {}),
    })),
  ),
  preluGrad: unavailable(
    shapes(1, 4).map((shape) => ({
      inputs: [floats(shape), floats(shape, { phase: 1 }), perChannel(shape, 2)],
      build: (inputs) => makeNode("preluGrad", inputs, {}),
    })),
  ),
  reduceSum: reduction(g.reduceSum, compared),
  reduceMean: reduction(g.reduceMean, compared),
  reduceMax: reduction(g.reduceMax, compared),
  reduceMin: reduction(g.reduceMin, compared),
  reduceProd: reduction(g.reduceProd, unavailable),
  argMax: compared(
    shapeAndAxis.map(({ shape, axis }) => ({
      inputs: [floats(shape)],
      build: ([x]) => g.argMax(x!, axis),
    })),
  ),
  side: compared(
    shapeAndAxis.map(({ shape, axis }) => ({
      inputs: [floats(shape, { batch: true })],
      build: ([x]) => g.side(x!, axis),
    })),
  ),
  softmax: compared(
    shapeAndAxis.map(({ shape, axis }) => ({
      inputs: [floats(shape, { batch: true })],
      build: ([x]) => g.softmax(x!, axis),
    })),
  ),
  matmul: compared(matmuls),
  conv2d: compared(
    convs.map(({ image, kernel, attrs }) => ({
      inputs: [floats(image, { batch: true }), floats(kernel, { phase: 1 })],
      build: ([x, k]) => g.conv2d(x!, k!, attrs),
    })),
  ),
  conv2dInputGrad: compared(
    convs.map(({ image, kernel, out, attrs }) => ({
      inputs: [floats(out), floats(kernel, { phase: 1 })],
      build: (inputs) => makeNode("conv2dInputGrad", inputs, { ...attrs, inputSize: [image[1]!, image[2]!] }),
    })),
  ),
  conv2dKernelGrad: compared(
    convs.map(({ image, kernel, out, attrs }) => ({
      inputs: [floats(image), floats(out, { phase: 1 })],
      build: (inputs) =>
        makeNode("conv2dKernelGrad", inputs, { ...attrs, kernelSize: [kernel[0]!, kernel[1]!] }),
    })),
  ),
  maxPool: compared(
    anyPools.map(({ image, attrs }) => ({
      inputs: [floats(image, { batch: true })],
      build: ([x]) => g.maxPool(x!, attrs),
    })),
  ),
  maxPoolGrad: unavailable(
    anyPools.map(({ image, out, attrs }) => ({
      inputs: [floats(out), floats(image, { phase: 1 })],
      build: ([dy, x]) => makeNode("maxPoolGrad", [dy!, x!, g.maxPool(x!, attrs)], attrs),
    })),
  ),
  avgPool: compared(
    anyPools.map(({ image, attrs }) => ({
      inputs: [floats(image, { batch: true })],
      build: ([x]) => g.avgPool(x!, attrs),
    })),
  ),
  avgPoolGrad: compared(
    anyPools.map(({ image, out, attrs }) => ({
      inputs: [floats(out)],
      build: (inputs) => makeNode("avgPoolGrad", inputs, { ...attrs, inputSize: [image[1]!, image[2]!] }),
    })),
  ),
  reshape: compared(reshapes),
  transpose: compared(
    shapes().chain((shape) =>
      fc
        .shuffledSubarray(
          shape.map((_, i) => i),
          { minLength: shape.length },
        )
        .map((perm) => ({
          inputs: [floats(shape)],
          build: ([x]) => g.transpose(x!, perm),
        })),
    ),
  ),
  broadcastTo: compared(
    broadcastable(2).map(([a, b]) => ({
      inputs: [floats(a!)],
      build: ([x]) => g.broadcastTo(x!, b!),
    })),
  ),
  concat: compared(
    fc
      .tuple(shapeAndAxis, fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 3 }))
      .map(([{ shape, axis }, lengths]) => ({
        inputs: lengths.map((length, phase) => floats(shape.with(axis, length), { phase })),
        build: (parts) => g.concat(parts, axis),
      })),
  ),
  slice: compared(slices),
  pad: compared(
    shapes(1, 4).chain((shape) =>
      fc
        .record({
          before: fc.array(fc.integer({ min: 0, max: 2 }), {
            minLength: shape.length,
            maxLength: shape.length,
          }),
          after: fc.array(fc.integer({ min: 0, max: 2 }), {
            minLength: shape.length,
            maxLength: shape.length,
          }),
          value: fc.constantFrom(0, 0, -1.5),
        })
        .map(({ before, after, value }) => ({
          inputs: [floats(shape)],
          build: ([x]) => g.pad(x!, before, after, value),
        })),
    ),
  ),
  gather: compared(
    fc
      .tuple(shapeAndAxis, indexShapes, fc.constantFrom("int32" as const, "int64" as const))
      .map(([{ shape, axis }, indices, dtype]) => ({
        inputs: [floats(shape), integers(indices, 0, shape[axis]! - 1, dtype)],
        build: ([x, i]) => g.gather(x!, i!, axis),
      })),
  ),
  loop: unavailable(
    fc
      .record({
        rows: fc.integer({ min: 1, max: 3 }),
        rounds: fc.integer({ min: 1, max: 4 }),
        output: fc.nat(1),
      })
      .map(({ rows, rounds, output }) => ({
        inputs: [floats([rows, 2]), floats([2, 2], { phase: 1 })],
        build: ([x, kernel]) => recurrence(x!, kernel!, rounds)[output]!,
      })),
  ),
  lookup: compared(
    shapes().map((shape) => ({
      inputs: [integers(shape, -2, 4)],
      build: ([x]) =>
        g.lookup(x!, {
          keys: int64([4], [3, -1, 0, 7]),
          values: float32([4], [0.5, -2, 4, 8]),
          fallback: float32([], [-1]),
        }),
    })),
  ),
  gatherGrad: compared(
    fc.tuple(shapeAndAxis, indexShapes).map(([{ shape, axis }, indices]) => {
      const length = shape[axis]!;
      return {
        inputs: [
          floats([...shape.slice(0, axis), ...indices, ...shape.slice(axis + 1)]),
          integers(indices, 0, length - 1),
        ],
        build: (inputs) => makeNode("gatherGrad", inputs, { axis, length }),
      };
    }),
  ),
};

/** Comparisons for equality are tried on whole numbers, which are equal now and then. */
function logicalOfIntegers(build: (a: Node, b: Node) => Node): OpCase {
  return compared(
    broadcastable(2).map(([a, b]) => ({
      inputs: [integers(a!, 0, 2), integers(b!, 0, 2)],
      build: ([x, y]) => build(x!, y!),
    })),
  );
}
