/** @file Builds graphs: one function per op, and compositions of them. */
import { FaceError } from "../base/errors.ts";
import { type DType, shapeText, sizeOf, type Tensor } from "../base/tensor.ts";
import { fromNumbers } from "./numbers.ts";
import type {
  BinaryOp,
  ConvAttrs,
  LookupTable,
  Node,
  OpAttrs,
  OpName,
  PoolAttrs,
  ReduceOp,
  SymbolicShape,
  UnaryOp,
} from "./ops.ts";
import { typeOf } from "./shapes.ts";

/**
 * Makes a node of any op; the functions below are its typed forms.
 * @throws FaceError `SHAPE_MISMATCH` when the inputs do not fit the op.
 */
export function makeNode<K extends OpName>(
  op: K,
  inputs: readonly Node[],
  attrs: OpAttrs[K],
  label?: string,
): Node<K> {
  return { op, inputs, attrs, label, ...typeOf(op, inputs, attrs) };
}

/** The same node with a label. */
export function labelled<N extends Node>(node: N, label: string): N {
  return { ...node, label };
}

/** A node, or a number that takes the other operand's type. */
export type Operand = Node | number;

const NO_ATTRS = {};

// Leaves.

export function input(name: string, shape: SymbolicShape, dtype: DType = "float32"): Node<"input"> {
  return makeNode("input", [], { name, shape, dtype }, name);
}

export function parameter(
  name: string,
  shape: readonly number[],
  dtype: DType = "float32",
): Node<"parameter"> {
  return makeNode("parameter", [], { name, shape, dtype }, name);
}

export function constant(value: Tensor): Node<"constant"> {
  return makeNode("constant", [], { value });
}

/** A number as a tensor without axes. */
export function scalar(value: number, dtype: DType = "float32"): Node<"constant"> {
  return constant(fromNumbers(dtype, [], [value]));
}

/** The numbers from `start` on, each by `step` greater than the one before: `[length]`. */
export function range(dtype: DType, length: number, start = 0, step = 1): Node<"constant"> {
  return constant(
    fromNumbers(
      dtype,
      [length],
      Array.from({ length }, (_, i) => start + i * step),
    ),
  );
}

export function randomUniform(stream: string, shape: readonly number[]): Node<"randomUniform"> {
  return makeNode("randomUniform", [], { stream, shape });
}

// Element by element.

const unary =
  (op: UnaryOp) =>
  (x: Node): Node =>
    makeNode(op, [x], NO_ATTRS);

export const neg = unary("neg");
export const abs = unary("abs");
export const sign = unary("sign");
export const exp = unary("exp");
export const log = unary("log");
export const sqrt = unary("sqrt");
export const sin = unary("sin");
export const cos = unary("cos");
export const tanh = unary("tanh");
export const sigmoid = unary("sigmoid");
export const softplus = unary("softplus");
export const erf = unary("erf");
export const relu = unary("relu");
export const floor = unary("floor");
export const ceil = unary("ceil");
export const round = unary("round");
export const not = unary("not");

export function cast(x: Node, to: DType): Node {
  return x.dtype === to ? x : makeNode("cast", [x], { to });
}

const binary =
  (op: BinaryOp) =>
  (a: Operand, b: Operand): Node => {
    const dtype = typeof a === "number" ? (typeof b === "number" ? "float32" : b.dtype) : a.dtype;
    const node = (operand: Operand) => (typeof operand === "number" ? scalar(operand, dtype) : operand);
    return makeNode(op, [node(a), node(b)], NO_ATTRS);
  };

export const add = binary("add");
export const sub = binary("sub");
export const mul = binary("mul");
export const div = binary("div");
export const pow = binary("pow");
export const max = binary("max");
export const min = binary("min");
export const equal = binary("equal");
export const less = binary("less");
export const lessEqual = binary("lessEqual");
export const and = binary("and");
export const or = binary("or");

export function select(condition: Node, a: Node, b: Node): Node {
  return makeNode("select", [condition, a, b], NO_ATTRS);
}

/** `x · scale + shift`, per channel of the last axis. */
export function affine(x: Node, scale: Node, shift: Node): Node {
  return makeNode("affine", [x, scale, shift], NO_ATTRS);
}

/** Mean and variance (population form) of each channel of the last axis, over all other axes. */
export function channelMoments(x: Node): { mean: Node; variance: Node } {
  const mean = reduceMean(x, { axes: x.shape.slice(0, -1).map((_, axis) => axis) });
  return { mean, variance: makeNode("channelVariance", [x, mean], NO_ATTRS) };
}

/** `x < 0 ? slope · x : x`, one slope per channel of the last axis (He et al., 2015). */
export function prelu(x: Node, slope: Node): Node {
  return makeNode("prelu", [x, slope], NO_ATTRS);
}

// Over whole axes.

interface ReduceOptions {
  /** Which axes; negative ones count from the end; all when left out. */
  readonly axes?: readonly number[];
  readonly keepDims?: boolean;
}

const reduction =
  (op: ReduceOp) =>
  (x: Node, { axes, keepDims = false }: ReduceOptions = {}): Node => {
    const rank = x.shape.length;
    const all =
      axes === undefined
        ? x.shape.map((_, axis) => axis)
        : axes.map((axis) => (axis < 0 ? axis + rank : axis));
    return makeNode(op, [x], { axes: all.toSorted((a, b) => a - b), keepDims });
  };

export const reduceSum = reduction("reduceSum");
export const reduceMean = reduction("reduceMean");
export const reduceMax = reduction("reduceMax");
export const reduceMin = reduction("reduceMin");
export const reduceProd = reduction("reduceProd");

const positiveAxis = (x: Node, axis: number) => (axis < 0 ? axis + x.shape.length : axis);

export function argMax(x: Node, axis: number): Node {
  return makeNode("argMax", [x], { axis: positiveAxis(x, axis) });
}

/** Length of an axis. */
export function side(x: Node, axis: number): Node {
  return makeNode("side", [x], { axis: positiveAxis(x, axis) });
}

export function softmax(x: Node, axis = -1): Node {
  return makeNode("softmax", [x], { axis: positiveAxis(x, axis) });
}

// Products.

export function matmul(a: Node, b: Node, { transposeA = false, transposeB = false } = {}): Node {
  return makeNode("matmul", [a, b], { transposeA, transposeB });
}

export function conv2d(x: Node, kernel: Node, options: Partial<ConvAttrs> = {}): Node {
  const { strides = [1, 1], padding = "same", dilations = [1, 1], groups = 1 } = options;
  return makeNode("conv2d", [x, kernel], { strides, padding, dilations, groups });
}

export function maxPool(x: Node, { size, strides = size, padding = "valid" }: PoolOptions): Node {
  return makeNode("maxPool", [x], { size, strides, padding });
}

export function avgPool(x: Node, { size, strides = size, padding = "valid" }: PoolOptions): Node {
  return makeNode("avgPool", [x], { size, strides, padding });
}

type PoolOptions = Pick<PoolAttrs, "size"> & Partial<PoolAttrs>;

// Moving elements.

export function reshape(x: Node, shape: readonly number[]): Node {
  return makeNode("reshape", [x], { shape });
}

export function transpose(x: Node, perm: readonly number[]): Node {
  return makeNode("transpose", [x], { perm });
}

export function broadcastTo(x: Node, shape: readonly number[]): Node {
  return makeNode("broadcastTo", [x], { shape });
}

export function concat(parts: readonly Node[], axis: number): Node {
  return parts.length === 1 ? parts[0]! : makeNode("concat", parts, { axis: positiveAxis(parts[0]!, axis) });
}

/** The part from `starts` to before `ends` along the first axes given; the other axes are kept whole. */
export function slice(
  x: Node,
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = [],
): Node {
  return makeNode("slice", [x], {
    starts: x.shape.map((_, axis) => starts[axis] ?? 0),
    ends: x.shape.map((_, axis) => ends[axis] ?? Number.MAX_SAFE_INTEGER),
    steps: x.shape.map((_, axis) => steps[axis] ?? 1),
  });
}

/** The part from `start` to before `end` along one axis, backwards with a step of -1. */
export function cut(x: Node, axis: number, start: number, end: number, step: 1 | -1 = 1): Node {
  const along = (own: number, others: number) => x.shape.map((_, i) => (i === axis ? own : others));
  return slice(x, along(start, 0), along(end, Number.MAX_SAFE_INTEGER), along(step, 1));
}

export function pad(x: Node, before: readonly number[], after: readonly number[], value = 0): Node {
  return makeNode("pad", [x], { before, after, value });
}

/** The value of each element in a table, `fallback` for those that are not in it. */
export function lookup(x: Node, table: LookupTable): Node {
  return makeNode("lookup", [x], table);
}

export function gather(x: Node, indices: Node, axis = 0): Node {
  return makeNode("gather", [x, indices], { axis: positiveAxis(x, axis) });
}

// Compositions: written in the ops above, so they need no rules of their own.

export function square(x: Node): Node {
  return mul(x, x);
}

/** Whether elements are not equal. */
export const differ = (a: Operand, b: Operand): Node => not(equal(a, b));

export const clipped = (x: Node, low: number, high: number): Node => min(max(x, low), high);

/** `x < 0 ? slope · x : x` */
export const leakyRelu = (x: Node, slope: Operand): Node => add(relu(x), mul(min(x, 0), slope));

/** `x > 0 ? x : alpha · (e^(x / scale) − 1)` */
export function elu(x: Node, alpha = 1, scale = 1): Node {
  const below = sub(exp(scale === 1 ? min(x, 0) : div(min(x, 0), scale)), 1);
  return add(relu(x), alpha === 1 ? below : mul(below, alpha));
}

/** Klambauer et al., 2017: the two constants keep mean 0 and variance 1. */
export const selu = (x: Node, alpha = 1.6732632423543772, gamma = 1.0507009873554805): Node =>
  mul(elu(x, alpha), gamma);

export function logSoftmax(x: Node, axis = -1): Node {
  const over = { axes: [axis], keepDims: true };
  const shifted = sub(x, reduceMax(x, over));
  return sub(shifted, log(reduceSum(exp(shifted), over)));
}

/** A new axis of length 1. */
export function expandDims(x: Node, axis: number): Node {
  const at = axis < 0 ? axis + x.shape.length + 1 : axis;
  // 0 keeps the input's side at that axis, which works for the axes before the new one.
  const after = x.shape.slice(at).map((dim) => (typeof dim === "number" ? dim : -1));
  return reshape(x, [...x.shape.slice(0, at).map((dim) => (typeof dim === "number" ? dim : 0)), 1, ...after]);
}

/** The sides as numbers. @throws FaceError `SHAPE_MISMATCH` when one is unknown. */
function knownSides(op: string, sides: SymbolicShape): number[] {
  if (sides.every((side) => typeof side === "number")) return [...sides];
  throw new FaceError("SHAPE_MISMATCH", `${op}: every side must be known, got ${shapeText(sides)}`);
}

/** All axes but the batch as one: `[batch, height, width, channels] → [batch, height · width · channels]`. */
export function flatten(x: Node): Node {
  return reshape(x, [-1, sizeOf(knownSides("flatten", x.shape.slice(1)))]);
}

/** The least length that L2 normalisation divides by, as in TensorFlow (`epsilon` is compared with the square). */
export const L2_EPSILON = 1e-12;

/** Vectors along an axis scaled to length 1. */
export function l2Normalize(x: Node, axis = -1): Node {
  return div(x, sqrt(max(reduceSum(square(x), { axes: [axis], keepDims: true }), L2_EPSILON)));
}

/** Zero with probability `rate`, else `x / (1 − rate)`; drawn anew each run from the named stream. */
export function dropout(x: Node, rate: number, stream: string): Node {
  const draws = randomUniform(stream, knownSides("dropout", x.shape));
  const kept = cast(lessEqual(rate, draws), x.dtype);
  return mul(x, mul(kept, 1 / (1 - rate)));
}
