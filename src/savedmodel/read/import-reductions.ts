/** @file Imports TensorFlow's reductions and products. */
import { isFloat } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import type { Dim, Node } from "../../graph/ops.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

type Reduction = typeof g.reduceSum;

function axesOf(call: OpCall): number[] {
  const x = call.input(0);
  return call.placesOf(call.constants(1), x);
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

const matmul: Importer = (call) =>
  g.matmul(call.input(0), call.input(1), {
    transposeA: call.bool("transpose_a", call.bool("adj_x", false)),
    transposeB: call.bool("transpose_b", call.bool("adj_y", false)),
  });

/** The longest axis of a Cumsum: a square matrix of that size must fit into memory. */
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

/** The largest elements one after the other: each is found, stored, and masked. */
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
  const places = g.range("int64", length);
  const [values, indices]: [Node[], Node[]] = [[], []];
  for (let i = 0; i < count; i++) {
    const place = g.expandDims(g.argMax(rest, last), -1);
    values.push(g.reduceMax(rest, { axes: [last], keepDims: true }));
    indices.push(place);
    rest = g.select(g.equal(place, places), g.scalar(Number.NEGATIVE_INFINITY, rest.dtype), rest);
  }
  return [g.concat(values, -1), g.cast(g.concat(indices, -1), call.type("index_type", "int32"))];
};

// Einstein sums of two tensors: one matrix product between transpositions.

/** The letters of an equation such as `bij,bjk->bik`, by their part in the product. */
interface Letters {
  readonly left: string;
  readonly right: string;
  readonly result: string;
}

function lettersOf(call: OpCall): Letters {
  const equation = call.text("equation").replaceAll(" ", "");
  const match = /^([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]*)$/.exec(equation);
  const [, left = "", right = "", result = ""] = match ?? [];
  const isPlain = [left, right, result].every((word) => new Set(word).size === word.length);
  const isKnown = [...result].every((letter) => left.includes(letter) || right.includes(letter));
  if (match === null || !isPlain || !isKnown) throw call.unsupported(`the equation ${equation}`);
  return { left, right, result };
}

/** Axes in the order of `wanted`; axes that the result and the other tensor lack are summed. */
function arranged(x: Node, letters: string, wanted: readonly string[]): Node {
  const extra = [...letters].flatMap((letter, axis) => (wanted.includes(letter) ? [] : [axis]));
  const summed = extra.length > 0 ? g.reduceSum(x, { axes: extra }) : x;
  const rest = [...letters].filter((letter) => wanted.includes(letter));
  return g.transpose(
    summed,
    wanted.map((letter) => rest.indexOf(letter)),
  );
}

/** The side of several axes flattened into one. */
function merged(sides: readonly Dim[]): Dim {
  if (sides.length === 1) return sides[0]!;
  return sides.every((side) => typeof side === "number") ? sides.reduce((a, b) => a * b, 1) : "?";
}

const einsum: Importer = (call) => {
  const { left, right, result } = lettersOf(call);
  const [a, b] = [call.input(0), call.input(1)];
  if (a.shape.length !== left.length || b.shape.length !== right.length) {
    throw call.invalid(
      `the equation ${call.text("equation")} is not for tensors of rank ${a.shape.length} and ${b.shape.length}`,
    );
  }
  const both = [...result].filter((letter) => left.includes(letter) && right.includes(letter));
  const rows = [...result].filter((letter) => left.includes(letter) && !both.includes(letter));
  const columns = [...result].filter((letter) => right.includes(letter) && !both.includes(letter));
  const inner = [...left].filter((letter) => right.includes(letter) && !result.includes(letter));
  const sideOf = (letter: string): Dim => {
    const sides = [a.shape[left.indexOf(letter)], b.shape[right.indexOf(letter)]];
    return sides.find((side) => typeof side === "number") ?? sides.find((side) => side !== undefined)!;
  };
  const sides = (letters: readonly string[]) => letters.map(sideOf);
  const x = arranged(a, left, [...both, ...rows, ...inner]);
  const y = arranged(b, right, [...both, ...inner, ...columns]);
  const product = g.matmul(
    call.reshapeTo(x, [...sides(both), merged(sides(rows)), merged(sides(inner))]),
    call.reshapeTo(y, [...sides(both), merged(sides(inner)), merged(sides(columns))]),
  );
  const letters = [...both, ...rows, ...columns];
  const apart = call.reshapeTo(product, sides(letters));
  return g.transpose(
    apart,
    [...result].map((letter) => letters.indexOf(letter)),
  );
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
  LogSoftmax: (call) => g.logSoftmax(call.input(0)),
  MatMul: matmul,
  BatchMatMul: matmul,
  BatchMatMulV2: matmul,
  BatchMatMulV3: matmul,
  Einsum: einsum,
};
