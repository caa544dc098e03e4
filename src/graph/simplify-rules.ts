/** @file The simplification rules of each op; each holds for all values. */
import { type DType, isFloat, type Tensor } from "../base/tensor.ts";
import * as g from "./build.ts";
import { numbersOf } from "./numbers.ts";
import type { BinaryOp, Node, OpName, Pads, ReduceOp, SymbolicShape, UnaryOp } from "./ops.ts";
import { COMPARISON_OPS, FLOAT_OPS, forOps, isOp, LOGICAL_OPS, REDUCE_OPS } from "./ops.ts";
import { broadcastShapes } from "./shape-rules.ts";
import {
  addIntoShift,
  channelsIntoKernel,
  composeChannelwise,
  type Rule,
  scaleIntoProduct,
} from "./simplify-channels.ts";
import { NO_PADS } from "./windows.ts";

export type SimplifyRules = { readonly [K in OpName]?: readonly Rule<K>[] };

type BroadcastOp = UnaryOp | BinaryOp | "cast" | "select";

/** The number that all elements of a constant equal, if there is one. */
export function uniformValue(node: Node): number | undefined {
  if (isOp(node, "broadcastTo") || isOp(node, "reshape")) return uniformValue(node.inputs[0]!);
  if (!isOp(node, "constant") || node.attrs.value.dtype === "string") return undefined;
  const { value } = node.attrs;
  const data = value.data as Float32Array;
  for (let i = 1; i < data.length; i++) if (data[i] !== data[0]) return undefined;
  return data.length === 0 ? undefined : numbersOf({ ...value, data: data.slice(0, 1) } as Tensor)[0];
}

const equalDims = (a: SymbolicShape, b: SymbolicShape) =>
  a.length === b.length && a.every((dim, axis) => dim === b[axis] && dim !== "?");

/** One operand in place of an op whose other operands change nothing, broadcast to the op's shape if it is smaller. */
function insteadOf(node: Node, operand: Node): Node | undefined {
  if (equalDims(operand.shape, node.shape)) return operand;
  const sides = node.shape.filter((dim) => typeof dim === "number");
  return sides.length === node.shape.length ? g.broadcastTo(operand, sides) : undefined;
}

/** `x ∘ neutral → x`, with the neutral element among the given inputs. */
const neutral =
  <K extends "add" | "sub" | "mul" | "div" | "pow">(value: number, sides: readonly (0 | 1)[]): Rule<K> =>
  (node) => {
    const side = sides.find((i) => uniformValue(node.inputs[i]!) === value);
    return side === undefined ? undefined : insteadOf(node, node.inputs[1 - side]!);
  };

/** `op(op(x)) → op(x)` */
const once =
  <K extends OpName>(op: K): Rule<K> =>
  ({ inputs: [x] }) =>
    isOp(x!, op) ? x : undefined;

/** `op(op(x)) → x` */
const twiceIsNothing =
  <K extends OpName>(op: K): Rule<K> =>
  ({ inputs: [x] }) =>
    isOp(x!, op) ? x.inputs[0] : undefined;

/** An op that keeps its input's shape is the identity. */
const sameShapeIsNothing = (node: Node): Node | undefined =>
  equalDims(node.shape, node.inputs[0]!.shape) ? node.inputs[0] : undefined;

/**
 * A broadcast operand is used unbroadcast: the op broadcasts by itself, or its smaller result is broadcast, which is less
 * work.
 */
function withoutBroadcast(node: Node<BroadcastOp>): Node | undefined {
  const place = node.inputs.findIndex((input) => isOp(input, "broadcastTo"));
  if (place < 0) return undefined;
  const inputs = node.inputs.with(place, node.inputs[place]!.inputs[0]!);
  const shape = inputs.reduce<SymbolicShape>((all, { shape }) => broadcastShapes(all, shape), []);
  // The operand may have an unknown side beside another one; then they may differ.
  if (shape.includes("?")) return undefined;
  return insteadOf(node, g.makeNode(node.op, inputs, node.attrs));
}

const zeroTimes: Rule<"mul"> = (node) => {
  // Zero times an infinite float or NaN is not zero.
  if (isFloat(node.dtype)) return undefined;
  return node.inputs.some((input) => uniformValue(input) === 0)
    ? insteadOf(node, g.scalar(0, node.dtype))
    : undefined;
};

const addNegative: Rule<"add"> = ({ inputs: [a, b] }) => {
  if (isOp(b!, "neg")) return g.sub(a!, b.inputs[0]!);
  return isOp(a!, "neg") ? g.sub(b!, a.inputs[0]!) : undefined;
};

const addToItself: Rule<"add"> = ({ inputs: [a, b] }) => (a === b ? g.mul(a!, 2) : undefined);

const subNegative: Rule<"sub"> = ({ inputs: [a, b] }) =>
  isOp(b!, "neg") ? g.add(a!, b.inputs[0]!) : undefined;

const squared: Rule<"pow"> = ({ inputs: [x, exponent], shape }) =>
  uniformValue(exponent!) === 2 && equalDims(x!.shape, shape) ? g.mul(x!, x!) : undefined;

const maxWithZero: Rule<"max"> = ({ inputs, shape, dtype }) => {
  const zero = inputs.findIndex((input) => uniformValue(input) === 0);
  const x = inputs[1 - zero];
  return isFloat(dtype) && zero >= 0 && equalDims(x!.shape, shape) ? g.relu(x!) : undefined;
};

const knownCondition: Rule<"select"> = (node) => {
  const [condition, a, b] = node.inputs as [Node, Node, Node];
  if (a === b) return insteadOf(node, a);
  const holds = uniformValue(condition);
  return holds === undefined ? undefined : insteadOf(node, holds === 0 ? b : a);
};

/** The types whose every value a type can represent. */
const HOLDS: { readonly [D in DType]?: readonly DType[] } = {
  float64: ["float32", "float16", "bfloat16", "int32", "uint32", "int16", "uint16", "int8", "uint8", "bool"],
  float32: ["float16", "bfloat16", "int16", "uint16", "int8", "uint8", "bool"],
  int64: ["int32", "uint32", "int16", "uint16", "int8", "uint8", "bool"],
  int32: ["int16", "uint16", "int8", "uint8", "bool"],
};

/** A cast through a type that represents every value is one cast. */
const castThrough: Rule<"cast"> = ({ inputs: [x], attrs }) => {
  if (!isOp(x!, "cast")) return undefined;
  const from = x.inputs[0]!;
  return from.dtype === x.dtype || HOLDS[x.dtype]?.includes(from.dtype) ? g.cast(from, attrs.to) : undefined;
};

const absOfNegative: Rule<"abs"> = ({ inputs: [x] }) => (isOp(x!, "neg") ? g.abs(x.inputs[0]!) : undefined);

const trivialScale: Rule<"affine"> = ({ inputs: [x, scale, shift] }) => {
  if (uniformValue(scale!) === 1) return g.add(x!, shift!);
  return uniformValue(shift!) === 0 ? g.mul(x!, scale!) : undefined;
};

/** A reduction over no axis, or over axes of side 1 only, leaves the elements as they are. */
function reducesNothing(node: Node<ReduceOp>): Node | undefined {
  const x = node.inputs[0]!;
  if (!node.attrs.axes.every((axis) => x.shape[axis] === 1)) return undefined;
  return node.shape.length === x.shape.length ? x : reshapedTo(x, node.shape);
}

/** A pool's derivative only distributes each window's value, so a sum over the image is the sum of the windows' values. */
const sumOfUnpooled: Rule<"reduceSum"> = ({ inputs: [x], attrs }) => {
  const unpooled = isOp(x!, "maxPoolGrad") || isOp(x!, "avgPoolGrad");
  const overImage = attrs.axes.includes(1) && attrs.axes.includes(2);
  return unpooled && overImage ? g.reduceSum(x!.inputs[0]!, attrs) : undefined;
};

/** A reshape to this shape, of which at most one side may be unknown. */
function reshapedTo(x: Node, shape: SymbolicShape): Node | undefined {
  const unknown = shape.filter((dim) => typeof dim === "string");
  if (unknown.length > 1) return undefined;
  return g.reshape(
    x,
    shape.map((dim) => (typeof dim === "number" ? dim : -1)),
  );
}

const reshapeTwice: Rule<"reshape"> = ({ inputs: [x], shape }) =>
  isOp(x!, "reshape") ? reshapedTo(x.inputs[0]!, shape) : undefined;

const transposeTwice: Rule<"transpose"> = ({ inputs: [x], attrs }) =>
  isOp(x!, "transpose")
    ? g.transpose(
        x.inputs[0]!,
        attrs.perm.map((axis) => x.attrs.perm[axis]!),
      )
    : undefined;

const transposesNothing: Rule<"transpose"> = ({ inputs: [x], attrs }) =>
  attrs.perm.every((axis, i) => axis === i) ? x : undefined;

const broadcastTwice: Rule<"broadcastTo"> = ({ inputs: [x], shape }) => {
  const sides = shape.filter((dim) => typeof dim === "number");
  return isOp(x!, "broadcastTo") && sides.length === shape.length
    ? g.broadcastTo(x.inputs[0]!, sides)
    : undefined;
};

const slicesNothing: Rule<"slice"> = (node) =>
  node.attrs.steps.every((step) => step === 1) ? sameShapeIsNothing(node) : undefined;

/** Whether a transpose only swaps the last two axes, which a product can do by itself. */
const exchangesLastTwo = (node: Node): node is Node<"transpose"> =>
  isOp(node, "transpose") &&
  node.attrs.perm.every((axis, i) => {
    const rank = node.attrs.perm.length;
    return axis === (i < rank - 2 ? i : 2 * rank - 3 - i);
  });

const transposedFactor: Rule<"matmul"> = ({ inputs: [a, b], attrs }) => {
  const { transposeA, transposeB } = attrs;
  if (exchangesLastTwo(a!)) return g.matmul(a.inputs[0]!, b!, { transposeA: !transposeA, transposeB });
  if (exchangesLastTwo(b!)) return g.matmul(a!, b.inputs[0]!, { transposeA, transposeB: !transposeB });
  return undefined;
};

/** Rows and columns of zeros around an image become the convolution's own margins. */
const paddedImage: Rule<"conv2d"> = ({ inputs: [x, kernel], attrs }) => {
  if (!isOp(x!, "pad") || x.attrs.value !== 0 || attrs.padding === "same") return undefined;
  const { before, after } = x.attrs;
  if (before[0] !== 0 || after[0] !== 0 || before[3] !== 0 || after[3] !== 0) return undefined;
  const [rows, columns] = attrs.padding === "valid" ? NO_PADS : attrs.padding;
  const padding: Pads = [
    [rows[0] + before[1]!, rows[1] + after[1]!],
    [columns[0] + before[2]!, columns[1] + after[2]!],
  ];
  return g.conv2d(x.inputs[0]!, kernel!, { ...attrs, padding });
};

/**
 * relu's mask on a pool's derivative can be applied before the derivative is distributed over the windows, to fewer
 * elements: only an element equal to its window's maximum gets a share, and it is positive if the maximum is.
 */
const maskBeforeUnpooling: Rule<"reluGrad"> = ({ inputs: [dy, y] }) => {
  if (!isOp(dy!, "maxPoolGrad") || dy.inputs[1] !== y) return undefined;
  const [pooledGrad, x, pooled] = dy.inputs as [Node, Node, Node];
  return g.makeNode("maxPoolGrad", [g.makeNode("reluGrad", [pooledGrad, pooled], {}), x, pooled], dy.attrs);
};

/** The length of an axis of known side. */
const knownSide: Rule<"side"> = ({ inputs: [x], attrs }) => {
  const length = x!.shape[attrs.axis];
  return typeof length === "number" ? g.scalar(length, "int64") : undefined;
};

/** `min(a, max(b, x)) → a` where a is not greater than b, of whole numbers: a float may be no number. */
const limitBelowAnother: Rule<"min"> = (node) => {
  const limit = node.inputs.find((input) => uniformValue(input) !== undefined);
  const inner = node.inputs.find((input) => isOp(input, "max"));
  if (limit === undefined || inner === undefined || isFloat(node.dtype)) return undefined;
  const isReached = inner.inputs.some((input) => (uniformValue(input) ?? -Infinity) >= uniformValue(limit)!);
  return isReached ? insteadOf(node, limit) : undefined;
};

/** The rules of each op, tried in order. An op that is not here has none. */
export const simplifyRules: SimplifyRules = {
  neg: [twiceIsNothing("neg"), withoutBroadcast, composeChannelwise],
  abs: [once("abs"), absOfNegative, withoutBroadcast],
  sign: [withoutBroadcast],
  ...forOps(FLOAT_OPS, [withoutBroadcast]),
  relu: [once("relu"), withoutBroadcast],
  floor: [once("floor"), withoutBroadcast],
  ceil: [once("ceil"), withoutBroadcast],
  round: [once("round"), withoutBroadcast],
  not: [twiceIsNothing("not"), withoutBroadcast],
  cast: [castThrough, withoutBroadcast],
  add: [neutral(0, [0, 1]), addToItself, addNegative, withoutBroadcast, addIntoShift, composeChannelwise],
  sub: [neutral(0, [1]), subNegative, withoutBroadcast, composeChannelwise],
  mul: [neutral(1, [0, 1]), zeroTimes, withoutBroadcast, composeChannelwise, scaleIntoProduct],
  div: [neutral(1, [1]), withoutBroadcast, composeChannelwise, scaleIntoProduct],
  pow: [neutral(1, [1]), squared, withoutBroadcast],
  max: [maxWithZero, withoutBroadcast],
  min: [limitBelowAnother, withoutBroadcast],
  ...forOps(COMPARISON_OPS, [withoutBroadcast]),
  ...forOps(LOGICAL_OPS, [withoutBroadcast]),
  select: [knownCondition, withoutBroadcast],
  affine: [trivialScale, composeChannelwise, scaleIntoProduct],
  reluGrad: [
    ({ inputs: [dy, y] }) => (isOp(dy!, "reluGrad") && dy.inputs[1] === y ? dy : undefined),
    maskBeforeUnpooling,
  ],
  ...forOps(REDUCE_OPS, [reducesNothing]),
  reduceSum: [reducesNothing, sumOfUnpooled],
  side: [knownSide],
  matmul: [transposedFactor],
  conv2d: [paddedImage, channelsIntoKernel],
  reshape: [sameShapeIsNothing, reshapeTwice],
  transpose: [transposesNothing, transposeTwice],
  broadcastTo: [sameShapeIsNothing, broadcastTwice],
  concat: [({ inputs }) => (inputs.length === 1 ? inputs[0] : undefined)],
  slice: [slicesNothing],
  pad: [sameShapeIsNothing],
};
