/** @file TensorFlow's operators over whole axes, and its products. */
import { isFloat } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import type { Node } from "../../graph/ops.ts";
import { einsum } from "./import-einsum.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

type Reduction = typeof g.reduceSum;

function axesOf(call: OpCall): number[] {
  const x = call.input(0);
  return [...new Set(call.constants(1).map((axis) => call.placeOf(axis, x)))];
}

const reduce =
  (build: Reduction): Importer =>
  (call) =>
    build(call.input(0), { axes: axesOf(call), keepDims: call.bool("keep_dims", false) });

/** Truth values are reduced as the numbers 0 and 1. */
const reduceTruth =
  (build: Reduction): Importer =>
  (call) => {
    const numbers = g.cast(call.input(0), "int32");
    return g.cast(build(numbers, { axes: axesOf(call), keepDims: call.bool("keep_dims", false) }), "bool");
  };

const argExtreme =
  (prepare: (x: Node) => Node): Importer =>
  (call) => {
    const x = call.input(0);
    return g.cast(g.argMax(prepare(x), call.axis(1, x)), call.type("output_type", "int64"));
  };

function logSoftmax(x: Node): Node {
  const last = { axes: [-1], keepDims: true };
  const shifted = g.sub(x, g.reduceMax(x, last));
  return g.sub(shifted, g.log(g.reduceSum(g.exp(shifted), last)));
}

const matmul: Importer = (call) =>
  g.matmul(call.input(0), call.input(1), {
    transposeA: call.bool("transpose_a", call.bool("adj_x", false)),
    transposeB: call.bool("transpose_b", call.bool("adj_y", false)),
  });

/** A matrix of the longest axis must fit into memory. */
const LONGEST_SUM = 1 << 11;

/** Running sums along an axis: a product with a triangle of ones. */
const cumsum: Importer = (call) => {
  const x = call.input(0);
  const axis = call.axis(1, x);
  const length = x.shape[axis];
  if (typeof length !== "number" || length > LONGEST_SUM)
    throw call.unsupported("an axis of unknown or very great length");
  const [isReverse, isExclusive] = [call.bool("reverse", false), call.bool("exclusive", false)];
  const counts = (from: number, to: number) =>
    (isReverse ? from >= to : from <= to) && !(isExclusive && from === to);
  const ones = Array.from({ length: length * length }, (_, i) =>
    counts(Math.floor(i / length), i % length) ? 1 : 0,
  );
  const triangle = g.constant(fromNumbers(x.dtype, [length, length], ones));
  const last = x.shape.length - 1;
  const swap = x.shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
  if (last === 0) return g.reshape(g.matmul(g.reshape(x, [1, length]), triangle), [length]);
  return g.transpose(g.matmul(g.transpose(x, swap), triangle), swap);
};

const MOST_TOP = 64;

/** The greatest elements one after the other: each is found, noted, and taken out. */
const topK: Importer = (call) => {
  const count = call.constant(1);
  let rest = call.input(0);
  const [last, length] = [rest.shape.length - 1, rest.shape.at(-1)];
  if (
    !isFloat(rest.dtype) ||
    typeof length !== "number" ||
    !(count >= 1 && count <= Math.min(length, MOST_TOP))
  ) {
    throw call.unsupported(`the ${count} greatest of ${length} elements of type ${rest.dtype}`);
  }
  const places = g.constant(
    fromNumbers(
      "int64",
      [length],
      Array.from({ length }, (_, i) => i),
    ),
  );
  const [values, indices]: [Node[], Node[]] = [[], []];
  for (let i = 0; i < count; i++) {
    const place = g.expandDims(g.argMax(rest, last), -1);
    values.push(g.reduceMax(rest, { axes: [last], keepDims: true }));
    indices.push(place);
    rest = g.select(g.equal(place, places), g.scalar(Number.NEGATIVE_INFINITY, rest.dtype), rest);
  }
  return [g.concat(values, -1), g.cast(g.concat(indices, -1), call.type("index_type", "int32"))];
};

export const reductionImporters: Importers = {
  Sum: reduce(g.reduceSum),
  Mean: reduce(g.reduceMean),
  Max: reduce(g.reduceMax),
  Min: reduce(g.reduceMin),
  Prod: reduce(g.reduceProd),
  All: reduceTruth(g.reduceMin),
  Any: reduceTruth(g.reduceMax),
  L2Loss: (call) => g.mul(g.reduceSum(g.square(call.input(0))), 0.5),
  ArgMax: argExtreme((x) => x),
  ArgMin: argExtreme(g.neg),
  TopKV2: topK,
  Cumsum: cumsum,
  Softmax: (call) => g.softmax(call.input(0)),
  LogSoftmax: (call) => logSoftmax(call.input(0)),
  MatMul: matmul,
  BatchMatMul: matmul,
  BatchMatMulV2: matmul,
  BatchMatMulV3: matmul,
  Einsum: einsum,
};
