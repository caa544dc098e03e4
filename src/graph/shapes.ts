/** @file Shape and type rules: what comes out of each op, and the errors for what may not go in. */
import type { DType } from "../base/dtype.ts";
import { FaceError } from "../base/errors.ts";
import { shapeText } from "../base/shape.ts";
import {
  type Dim,
  type Node,
  type OpAttrs,
  type OpName,
  type Padding,
  type Pads,
  type Pair,
  type ReduceAttrs,
  type SymbolicShape,
  UNKNOWN_DIM,
} from "./ops.ts";

/** Shape and element type of a value. */
export interface ValueType {
  readonly shape: SymbolicShape;
  readonly dtype: DType;
}

type ShapeRule<K extends OpName> = (inputs: readonly Node[], attrs: OpAttrs[K], op: K) => ValueType;
export type ShapeRules = { readonly [K in OpName]: ShapeRule<K> };

function mismatch(op: string, wanted: string, inputs: readonly Node[]): FaceError {
  const got = inputs.map((node) => `${node.dtype}${shapeText(node.shape)}`).join(", ");
  return new FaceError("SHAPE_MISMATCH", `${op}: expected ${wanted}, got ${got}`);
}

/** The common side of two that meet in broadcasting, or undefined when they cannot. */
function broadcastDim(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === "number" && typeof b === "number") return undefined;
  // An unknown side meets a known one greater than 1: it can only be that, or 1, which broadcasts to it.
  if (typeof a === "number") return a;
  if (typeof b === "number") return b;
  return UNKNOWN_DIM;
}

/**
 * The shape that two shapes broadcast to, right-aligned as in NumPy.
 * @throws FaceError `SHAPE_MISMATCH` when they do not fit.
 */
export function broadcastShapes(a: SymbolicShape, b: SymbolicShape, op = "broadcast"): Dim[] {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const dim = broadcastDim(a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1);
    if (dim === undefined) {
      throw new FaceError("SHAPE_MISMATCH", `${op}: ${shapeText(a)} and ${shapeText(b)} do not broadcast`);
    }
    result.push(dim);
  }
  return result;
}

/** Explicit margins for one axis; TensorFlow's SAME puts the odd one at the end. */
export function samePads(size: number, kernel: number, stride: number, dilation = 1): Pair {
  const out = Math.ceil(size / stride);
  const total = Math.max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/** Explicit margins where the image's size is known. */
export function resolvePads(
  padding: Padding,
  size: Pair,
  kernel: Pair,
  strides: Pair,
  dilations: Pair = [1, 1],
): Pads {
  if (padding === "valid")
    return [
      [0, 0],
      [0, 0],
    ];
  if (padding !== "same") return padding;
  return [
    samePads(size[0], kernel[0], strides[0], dilations[0]),
    samePads(size[1], kernel[1], strides[1], dilations[1]),
  ];
}

function windowDim(
  op: string,
  dim: Dim,
  axis: 0 | 1,
  kernel: Pair,
  strides: Pair,
  padding: Padding,
  dilations: Pair,
): Dim {
  if (typeof dim !== "number") return UNKNOWN_DIM;
  if (padding === "same") return Math.ceil(dim / strides[axis]);
  const margins = padding === "valid" ? 0 : padding[axis][0] + padding[axis][1];
  const out = Math.floor((dim + margins - (kernel[axis] - 1) * dilations[axis] - 1) / strides[axis]) + 1;
  if (out < 1) {
    throw new FaceError("SHAPE_MISMATCH", `${op}: a window of ${kernel[axis]} does not fit a side of ${dim}`);
  }
  return out;
}

function convShape(inputs: readonly Node[], attrs: OpAttrs["conv2d"]): ValueType {
  const [x, kernel] = inputs as [Node, Node];
  const [height, width, perGroup, out] = kernel.shape;
  const fits =
    x.shape.length === 4 &&
    kernel.shape.length === 4 &&
    typeof perGroup === "number" &&
    (x.shape[3] === perGroup * attrs.groups || typeof x.shape[3] === "string") &&
    Number(out) % attrs.groups === 0;
  if (!fits) {
    throw mismatch(
      "conv2d",
      `[batch, height, width, in] and [height, width, in / ${attrs.groups}, out]`,
      inputs,
    );
  }
  const size: Pair = [Number(height), Number(width)];
  const { strides, padding, dilations } = attrs;
  return {
    dtype: x.dtype,
    shape: [
      x.shape[0]!,
      windowDim("conv2d", x.shape[1]!, 0, size, strides, padding, dilations),
      windowDim("conv2d", x.shape[2]!, 1, size, strides, padding, dilations),
      out!,
    ],
  };
}

function poolShape(inputs: readonly Node[], attrs: OpAttrs["maxPool"], op: string): ValueType {
  const x = inputs[0]!;
  if (x.shape.length !== 4) throw mismatch(op, "[batch, height, width, channels]", inputs);
  const { size, strides, padding } = attrs;
  return {
    dtype: x.dtype,
    shape: [
      x.shape[0]!,
      windowDim(op, x.shape[1]!, 0, size, strides, padding, [1, 1]),
      windowDim(op, x.shape[2]!, 1, size, strides, padding, [1, 1]),
      x.shape[3]!,
    ],
  };
}

function matmulShape(inputs: readonly Node[], attrs: OpAttrs["matmul"]): ValueType {
  const [a, b] = inputs as [Node, Node];
  if (a.shape.length < 2 || b.shape.length < 2)
    throw mismatch("matmul", "two tensors of rank 2 or more", inputs);
  const [rows, innerA] = attrs.transposeA
    ? [a.shape.at(-1)!, a.shape.at(-2)!]
    : [a.shape.at(-2)!, a.shape.at(-1)!];
  const [innerB, columns] = attrs.transposeB
    ? [b.shape.at(-1)!, b.shape.at(-2)!]
    : [b.shape.at(-2)!, b.shape.at(-1)!];
  if (typeof innerA === "number" && typeof innerB === "number" && innerA !== innerB) {
    throw mismatch("matmul", "equal inner sides", inputs);
  }
  return {
    dtype: a.dtype,
    shape: [...broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2), "matmul"), rows, columns],
  };
}

function reduceShape(inputs: readonly Node[], attrs: ReduceAttrs, op: string): ValueType {
  const x = inputs[0]!;
  if (attrs.axes.some((axis) => !(axis >= 0 && axis < x.shape.length))) {
    throw mismatch(op, `a tensor with axes ${attrs.axes.join(", ")}`, inputs);
  }
  const shape = attrs.keepDims
    ? x.shape.map((dim, axis) => (attrs.axes.includes(axis) ? 1 : dim))
    : x.shape.filter((_, axis) => !attrs.axes.includes(axis));
  return { dtype: x.dtype, shape };
}

/** Product of the sides, or undefined when one is unknown. */
function knownSize(shape: SymbolicShape): number | undefined {
  let size = 1;
  for (const dim of shape) {
    if (typeof dim !== "number") return undefined;
    size *= dim;
  }
  return size;
}

/**
 * What `-1` stands for. With one unknown side in, it is that side when all the known ones cancel; else unknown.
 */
function inferredDim(from: SymbolicShape, to: SymbolicShape): Dim | undefined {
  const unknownIn = from.filter((dim) => typeof dim !== "number");
  const unknownOut = to.filter((dim) => typeof dim !== "number");
  const left = unknownIn.filter((dim) => dim === UNKNOWN_DIM || !unknownOut.includes(dim));
  const known = (shape: SymbolicShape) => knownSize(shape.filter((dim) => typeof dim === "number"))!;
  const rest = known(from) / known(to.filter((dim) => dim !== -1));
  if (left.length === 0) return Number.isInteger(rest) ? rest : undefined;
  return left.length === 1 && rest === 1 ? left[0] : UNKNOWN_DIM;
}

function reshapeShape(inputs: readonly Node[], attrs: OpAttrs["reshape"]): ValueType {
  const x = inputs[0]!;
  const kept = attrs.shape.map(
    (side, axis): Dim => (side === 0 && x.shape[axis] !== undefined ? x.shape[axis]! : side),
  );
  const wildcard = kept.indexOf(-1);
  const inferred = wildcard < 0 ? undefined : inferredDim(x.shape, kept);
  const shape = kept.map((dim) => (dim === -1 ? (inferred ?? -1) : dim));
  const [before, after] = [knownSize(x.shape), knownSize(shape)];
  if (shape.includes(-1) || (before !== undefined && after !== undefined && before !== after)) {
    throw mismatch("reshape", `a tensor that can take the shape ${shapeText(attrs.shape)}`, inputs);
  }
  return { dtype: x.dtype, shape };
}

function concatShape(inputs: readonly Node[], attrs: OpAttrs["concat"]): ValueType {
  const first = inputs[0]!;
  const fits = inputs.every(
    (node) =>
      node.shape.length === first.shape.length &&
      node.shape.every(
        (dim, axis) =>
          axis === attrs.axis ||
          typeof dim === "string" ||
          typeof first.shape[axis] === "string" ||
          dim === first.shape[axis],
      ),
  );
  if (!fits || !(attrs.axis < first.shape.length))
    throw mismatch("concat", `tensors that differ only along axis ${attrs.axis}`, inputs);
  const total = inputs.reduce<Dim>((sum, node) => {
    const side = node.shape[attrs.axis]!;
    return typeof sum === "number" && typeof side === "number" ? sum + side : UNKNOWN_DIM;
  }, 0);
  const shape = first.shape.map((dim, axis) => {
    if (axis === attrs.axis) return total;
    return typeof dim === "number"
      ? dim
      : (inputs.map((node) => node.shape[axis]!).find((side) => typeof side === "number") ?? dim);
  });
  return { dtype: first.dtype, shape };
}

/** First index, end (exclusive, in step direction) and count of a slice along one axis of known length. */
export function sliceRange(
  length: number,
  start: number,
  end: number,
  step: number,
): { first: number; count: number } {
  if (step > 0) {
    const first = Math.min(Math.max(start < 0 ? start + length : start, 0), length);
    const last = Math.min(Math.max(end < 0 ? end + length : end, 0), length);
    return { first, count: Math.max(0, Math.ceil((last - first) / step)) };
  }
  const first = Math.min(Math.max(start < 0 ? start + length : start, -1), length - 1);
  const last = Math.min(Math.max(end < 0 ? end + length : end, -1), length - 1);
  return { first, count: Math.max(0, Math.ceil((last - first) / step)) };
}

function sliceShape(inputs: readonly Node[], attrs: OpAttrs["slice"]): ValueType {
  const x = inputs[0]!;
  const { starts, ends, steps } = attrs;
  if (starts.length !== x.shape.length || ends.length !== starts.length || steps.length !== starts.length) {
    throw mismatch("slice", `a tensor of rank ${starts.length}`, inputs);
  }
  const shape = x.shape.map((dim, axis) => {
    const [start, end, step] = [starts[axis]!, ends[axis]!, steps[axis]!];
    if (typeof dim === "number") return sliceRange(dim, start, end, step).count;
    const whole = start === 0 && end >= Number.MAX_SAFE_INTEGER && step === 1;
    return whole ? dim : UNKNOWN_DIM;
  });
  return { dtype: x.dtype, shape };
}

function padShape(inputs: readonly Node[], attrs: OpAttrs["pad"]): ValueType {
  const x = inputs[0]!;
  if (attrs.before.length !== x.shape.length || attrs.after.length !== x.shape.length) {
    throw mismatch("pad", `a tensor of rank ${attrs.before.length}`, inputs);
  }
  const shape = x.shape.map((dim, axis) => {
    const margin = attrs.before[axis]! + attrs.after[axis]!;
    if (typeof dim === "number") return dim + margin;
    return margin === 0 ? dim : UNKNOWN_DIM;
  });
  return { dtype: x.dtype, shape };
}

function transposeShape(inputs: readonly Node[], attrs: OpAttrs["transpose"]): ValueType {
  const x = inputs[0]!;
  const sorted = attrs.perm.toSorted((a, b) => a - b);
  if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
    throw mismatch(
      "transpose",
      `a tensor of rank ${attrs.perm.length} and a permutation of its axes`,
      inputs,
    );
  }
  return { dtype: x.dtype, shape: attrs.perm.map((axis) => x.shape[axis]!) };
}

function perChannel(inputs: readonly Node[], op: string): ValueType {
  const [x, ...vectors] = inputs;
  const channels = x!.shape.at(-1);
  for (const vector of vectors) {
    const fits = vector.shape.length === 1 && (vector.shape[0] === channels || typeof channels === "string");
    if (!fits) throw mismatch(op, "a tensor and vectors of one number per channel", inputs);
  }
  return x!;
}

const sameAsFirst = (inputs: readonly Node[]): ValueType => ({
  dtype: inputs[0]!.dtype,
  shape: inputs[0]!.shape,
});

function broadcast(inputs: readonly Node[], _attrs: unknown, op: string): ValueType {
  const [a, b] = inputs as [Node, Node];
  if (a.dtype !== b.dtype) throw mismatch(op, "two tensors of one type", inputs);
  return { dtype: a.dtype, shape: broadcastShapes(a.shape, b.shape, op) };
}

const compare = (inputs: readonly Node[], attrs: unknown, op: string): ValueType => ({
  dtype: "bool",
  shape: broadcast(inputs, attrs, op).shape,
});

function gatherShape(inputs: readonly Node[], attrs: OpAttrs["gather"]): ValueType {
  const [x, indices] = inputs as [Node, Node];
  if (!(attrs.axis >= 0 && attrs.axis < x.shape.length) || !indices.dtype.startsWith("int")) {
    throw mismatch("gather", `a tensor with axis ${attrs.axis} and whole-number indices`, inputs);
  }
  return {
    dtype: x.dtype,
    shape: [...x.shape.slice(0, attrs.axis), ...indices.shape, ...x.shape.slice(attrs.axis + 1)],
  };
}

function selectShape(inputs: readonly Node[]): ValueType {
  const [condition, a, b] = inputs as [Node, Node, Node];
  if (condition.dtype !== "bool" || a.dtype !== b.dtype)
    throw mismatch("select", "a bool tensor and two of one type", inputs);
  return {
    dtype: a.dtype,
    shape: broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape, "select"), "select"),
  };
}

/** One rule per op. */
export const shapeRules: ShapeRules = {
  input: (_, { dtype, shape }) => ({ dtype, shape }),
  parameter: (_, { dtype, shape }) => ({ dtype, shape }),
  constant: (_, { value }) => ({ dtype: value.dtype, shape: value.shape }),
  randomUniform: (_, { shape }) => ({ dtype: "float32", shape }),
  neg: sameAsFirst,
  abs: sameAsFirst,
  sign: sameAsFirst,
  exp: sameAsFirst,
  log: sameAsFirst,
  sqrt: sameAsFirst,
  sin: sameAsFirst,
  cos: sameAsFirst,
  tanh: sameAsFirst,
  sigmoid: sameAsFirst,
  softplus: sameAsFirst,
  erf: sameAsFirst,
  relu: sameAsFirst,
  floor: sameAsFirst,
  ceil: sameAsFirst,
  round: sameAsFirst,
  not: sameAsFirst,
  cast: ([x], { to }) => ({ dtype: to, shape: x!.shape }),
  add: broadcast,
  sub: broadcast,
  mul: broadcast,
  div: broadcast,
  pow: broadcast,
  max: broadcast,
  min: broadcast,
  equal: compare,
  less: compare,
  lessEqual: compare,
  and: compare,
  or: compare,
  select: selectShape,
  affine: (inputs) => perChannel(inputs, "affine"),
  channelVariance: (inputs) => {
    perChannel(inputs, "channelVariance");
    return inputs[1]!;
  },
  prelu: (inputs) => perChannel(inputs, "prelu"),
  reluGrad: sameAsFirst,
  preluGrad: sameAsFirst,
  reduceSum: reduceShape,
  reduceMean: reduceShape,
  reduceMax: reduceShape,
  reduceMin: reduceShape,
  reduceProd: reduceShape,
  argMax: (inputs, { axis }) => ({
    dtype: "int64",
    shape: reduceShape(inputs, { axes: [axis], keepDims: false }, "argMax").shape,
  }),
  softmax: sameAsFirst,
  matmul: matmulShape,
  conv2d: convShape,
  conv2dInputGrad: ([dy, kernel], { inputSize, groups }) => ({
    dtype: dy!.dtype,
    shape: [dy!.shape[0]!, ...inputSize, Number(kernel!.shape[2]) * groups],
  }),
  conv2dKernelGrad: ([x, dy], { kernelSize, groups }) => ({
    dtype: x!.dtype,
    shape: [...kernelSize, Number(x!.shape[3]) / groups, dy!.shape[3]!],
  }),
  maxPool: poolShape,
  maxPoolGrad: ([, x]) => x!,
  avgPool: poolShape,
  avgPoolGrad: ([dy], { inputSize }) => ({
    dtype: dy!.dtype,
    shape: [dy!.shape[0]!, ...inputSize, dy!.shape[3]!],
  }),
  reshape: reshapeShape,
  transpose: transposeShape,
  broadcastTo: (inputs, { shape }) => ({
    dtype: inputs[0]!.dtype,
    shape: broadcastShapes(inputs[0]!.shape, shape, "broadcastTo"),
  }),
  concat: concatShape,
  slice: sliceShape,
  pad: padShape,
  gather: gatherShape,
  gatherGrad: ([dy, indices], { axis, length }) => ({
    dtype: dy!.dtype,
    shape: [...dy!.shape.slice(0, axis), length, ...dy!.shape.slice(axis + indices!.shape.length)],
  }),
};

/**
 * Shape and type of an op's result.
 * @throws FaceError `SHAPE_MISMATCH` saying what the op takes and what came.
 */
export function typeOf<K extends OpName>(op: K, inputs: readonly Node[], attrs: OpAttrs[K]): ValueType {
  const { dtype, shape } = shapeRules[op](inputs, attrs, op);
  return { dtype, shape };
}
