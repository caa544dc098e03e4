/** @file The shape and type rule of each op, with errors for inputs that do not fit. */
import {
  ARITHMETIC_OPS,
  COMPARISON_OPS,
  FLOAT_OPS,
  forOps,
  LOGICAL_OPS,
  type Node,
  NUMBER_OPS,
  type OpAttrs,
  type OpName,
  REDUCE_OPS,
  type ReduceAttrs,
} from "./ops.ts";
import * as rules from "./shape-rules.ts";
import { broadcastShapes, mayEqual, mismatch, type ValueType } from "./shape-rules.ts";

type ShapeRule<K extends OpName> = (inputs: readonly Node[], attrs: OpAttrs[K], op: K) => ValueType;
export type ShapeRules = { readonly [K in OpName]: ShapeRule<K> };

function reduceShape(inputs: readonly Node[], { axes, keepDims }: ReduceAttrs, op: string): ValueType {
  const x = inputs[0]!;
  requireAxes(axes, inputs, op);
  const shape = keepDims
    ? x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
    : x.shape.filter((_, axis) => !axes.includes(axis));
  return { dtype: x.dtype, shape };
}

function requireAxes(axes: readonly number[], inputs: readonly Node[], op: string): void {
  const rank = inputs[0]!.shape.length;
  if (axes.some((axis) => !(Number.isInteger(axis) && axis >= 0 && axis < rank))) {
    throw mismatch(op, `a tensor with axes ${axes.join(", ")}`, inputs);
  }
}

const sameAsFirst = (inputs: readonly Node[]): ValueType => ({
  dtype: inputs[0]!.dtype,
  shape: inputs[0]!.shape,
});

/** The first input's type, after a check that the other inputs are vectors of one number per channel. */
function perChannel([x, ...vectors]: readonly Node[], op: string): ValueType {
  const fits = vectors.every(
    ({ shape, dtype }) =>
      shape.length === 1 && x!.shape.length > 0 && mayEqual(shape[0], x!.shape.at(-1)) && dtype === x!.dtype,
  );
  if (!fits) throw mismatch(op, "a tensor and vectors of one number per channel", [x!, ...vectors]);
  return sameAsFirst([x!]);
}

/** For derivatives of element-by-element ops: the derivative has the shape of the value beside it. */
function alike([dy, value]: readonly Node[], op: string): ValueType {
  const fits =
    dy!.dtype === value!.dtype &&
    dy!.shape.length === value!.shape.length &&
    dy!.shape.every((dim, axis) => mayEqual(dim, value!.shape[axis]));
  if (!fits) throw mismatch(op, "two tensors of one type and shape", [dy!, value!]);
  return sameAsFirst([dy!]);
}

function broadcast(inputs: readonly Node[], _attrs: unknown, op: string): ValueType {
  const [a, b] = inputs as [Node, Node];
  if (a.dtype !== b.dtype) throw mismatch(op, "two tensors of one type", inputs);
  return { dtype: a.dtype, shape: broadcastShapes(a.shape, b.shape, op) };
}

const compare = (inputs: readonly Node[], attrs: unknown, op: string): ValueType => ({
  dtype: "bool",
  shape: broadcast(inputs, attrs, op).shape,
});

function logical(inputs: readonly Node[], attrs: unknown, op: string): ValueType {
  if (inputs.some((node) => node.dtype !== "bool")) throw mismatch(op, "bool tensors", inputs);
  return inputs.length === 1 ? sameAsFirst(inputs) : broadcast(inputs, attrs, op);
}

function selectShape(inputs: readonly Node[]): ValueType {
  const [condition, a, b] = inputs as [Node, Node, Node];
  if (condition.dtype !== "bool" || a.dtype !== b.dtype) {
    throw mismatch("select", "a bool tensor and two of one type", inputs);
  }
  const shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape, "select"), "select");
  return { dtype: a.dtype, shape };
}

/** One rule per op. */
export const shapeRules: ShapeRules = {
  input: (_, { dtype, shape }) => ({ dtype, shape }),
  parameter: (_, { dtype, shape }) => ({ dtype, shape }),
  constant: (_, { value }) => ({ dtype: value.dtype, shape: value.shape }),
  randomUniform: (_, { shape }) => ({ dtype: "float32", shape }),
  ...forOps(NUMBER_OPS, sameAsFirst),
  ...forOps(FLOAT_OPS, sameAsFirst),
  not: logical,
  cast: ([x], { to }) => ({ dtype: to, shape: x!.shape }),
  ...forOps(ARITHMETIC_OPS, broadcast),
  ...forOps(COMPARISON_OPS, compare),
  ...forOps(LOGICAL_OPS, logical),
  select: selectShape,
  affine: (inputs) => perChannel(inputs, "affine"),
  channelVariance: (inputs) => {
    perChannel(inputs, "channelVariance");
    return sameAsFirst(inputs.slice(1));
  },
  prelu: (inputs) => perChannel(inputs, "prelu"),
  reluGrad: (inputs) => alike(inputs, "reluGrad"),
  preluGrad: ([dy, x, slope]) => {
    perChannel([x!, slope!], "preluGrad");
    return alike([dy!, x!], "preluGrad");
  },
  ...forOps(REDUCE_OPS, reduceShape),
  argMax: (inputs, { axis }) => ({
    dtype: "int64",
    shape: reduceShape(inputs, { axes: [axis], keepDims: false }, "argMax").shape,
  }),
  side: (inputs, { axis }) => {
    requireAxes([axis], inputs, "side");
    return { dtype: "int64", shape: [] };
  },
  softmax: (inputs, { axis }) => {
    requireAxes([axis], inputs, "softmax");
    return sameAsFirst(inputs);
  },
  matmul: rules.matmulShape,
  conv2d: rules.convShape,
  conv2dInputGrad: rules.convInputGradShape,
  conv2dKernelGrad: rules.convKernelGradShape,
  maxPool: rules.poolShape,
  maxPoolGrad: rules.maxPoolGradShape,
  avgPool: rules.poolShape,
  avgPoolGrad: rules.avgPoolGradShape,
  reshape: rules.reshapeShape,
  transpose: rules.transposeShape,
  broadcastTo: rules.broadcastToShape,
  concat: rules.concatShape,
  slice: rules.sliceShape,
  pad: rules.padShape,
  gather: rules.gatherShape,
  gatherGrad: rules.gatherGradShape,
};

/**
 * Shape and type of an op's result.
 * @throws FaceError `SHAPE_MISMATCH` saying what the op takes and what came.
 */
export function typeOf<K extends OpName>(op: K, inputs: readonly Node[], attrs: OpAttrs[K]): ValueType {
  const { dtype, shape } = shapeRules[op](inputs, attrs, op);
  return { dtype, shape };
}
