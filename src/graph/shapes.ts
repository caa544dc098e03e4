/** @file What each op takes and gives: its operands, legal attributes, and the shape and type of its result. */
import { shapeText, sizeOf } from "../base/tensor.ts";
import type {
  ConvAttrs,
  LookupTable,
  Node,
  OpAttrs,
  OpName,
  Padding,
  Pair,
  PoolAttrs,
  ReduceAttrs,
  SymbolicShape,
} from "./ops.ts";
import {
  ARITHMETIC_OPS,
  COMPARISON_OPS,
  FLOAT_OPS,
  forOps,
  LOGICAL_OPS,
  NUMBER_OPS,
  REDUCE_OPS,
} from "./ops.ts";
import * as rules from "./shape-rules.ts";
import { broadcastShapes, mayEqual, mismatch, type ValueType } from "./shape-rules.ts";

/** Element types that an op's first input may have. */
export type Kind = "any" | "bool" | "float" | "number";

export interface OpRule<Attrs> {
  /** How many inputs; `some` for one or more. */
  readonly inputs: number | "some";
  /** Element type of the first input. */
  readonly of: Kind;
  /** Shape and type of the result. @throws FaceError `SHAPE_MISMATCH` for inputs that do not fit. */
  readonly shape: (inputs: readonly Node[], attrs: Attrs, op: string) => ValueType;
  /** What is wrong with the attributes, if anything. */
  readonly fault?: ((attrs: Attrs) => string | undefined) | undefined;
}

type OpRules = { readonly [K in OpName]: OpRule<OpAttrs[K]> };

const rule = <A>(
  inputs: OpRule<A>["inputs"],
  of: Kind,
  shape: OpRule<A>["shape"],
  fault?: OpRule<A>["fault"],
): OpRule<A> => ({ inputs, of, shape, fault });

const isCount = (value: number) => Number.isInteger(value) && value >= 0;
const isPositive = (value: number) => Number.isInteger(value) && value > 0;

function sidesFault(shape: SymbolicShape): string | undefined {
  const legal = shape.every((side) => (typeof side === "string" ? side !== "" : isCount(side)));
  return legal ? undefined : `${shapeText(shape)} is not a shape`;
}

function namedFault({ name, shape }: { name: string; shape: SymbolicShape }): string | undefined {
  return name === "" ? "a leaf needs a name" : sidesFault(shape);
}

/** Margins must be smaller than `limit`, so that no pool's window covers only margins. */
function paddingFault(padding: Padding, limit?: Pair): string | undefined {
  if (typeof padding === "string") return undefined;
  if (!padding.flat().every(isCount)) return "margins must be 0 or more";
  const fits = padding.every((margins, axis) =>
    margins.every((n) => limit === undefined || n < limit[axis]!),
  );
  return fits ? undefined : "margins must be smaller than the window";
}

function poolFault({ size, strides, padding }: PoolAttrs): string | undefined {
  if (![...size, ...strides].every(isPositive)) return "window and strides must be positive";
  return paddingFault(padding, size);
}

function convFault({ strides, dilations, groups, padding }: ConvAttrs): string | undefined {
  if (![...strides, ...dilations, groups].every(isPositive)) {
    return "strides, dilations and groups must be positive";
  }
  return paddingFault(padding);
}

function axesFault({ axes }: ReduceAttrs): string | undefined {
  const ascending = axes.every((axis, i) => i === 0 || axis > axes[i - 1]!);
  return ascending ? undefined : "axes must be ascending, each once";
}

function marginsFault({ before, after }: OpAttrs["pad"]): string | undefined {
  return [...before, ...after].every(isCount) ? undefined : "margins must be 0 or more";
}

function constantFault({ value }: OpAttrs["constant"]): string | undefined {
  return value.data.length === sizeOf(value.shape)
    ? sidesFault(value.shape)
    : "elements do not fill the shape";
}

function loopFault({ body, output }: OpAttrs["loop"]): string | undefined {
  const { states, next, items, condition, mostRounds } = body;
  if (!(output >= 0 && output < states.length + items.length)) return `it has no output ${output}`;
  if (condition.dtype !== "bool" || condition.shape.length > 0) return "its condition must be a bool scalar";
  if (!isPositive(mostRounds)) return "it must end after some number of rounds";
  const fits = (state: Node, i: number) => {
    const after = next[i];
    return after !== undefined && rules.mayBe(after, state);
  };
  return states.every(fits) ? undefined : "each state must keep its type and rank";
}

function tableFault({ keys, values, fallback }: LookupTable): string | undefined {
  if (keys.dtype !== "int64" && keys.dtype !== "string") return "keys must be int64 or strings";
  if (keys.shape.length !== 1 || keys.shape.join() !== values.shape.join())
    return "keys and values must be two lists of one length";
  const fits = fallback.shape.length === 0 && fallback.dtype === values.dtype;
  return fits ? undefined : "the fallback must be a scalar of the values' type";
}

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
function perChannel([x, ...vectors]: readonly Node[], _attrs: unknown, op: string): ValueType {
  const fits = vectors.every(
    ({ shape, dtype }) =>
      shape.length === 1 && x!.shape.length > 0 && mayEqual(shape[0], x!.shape.at(-1)) && dtype === x!.dtype,
  );
  if (!fits) throw mismatch(op, "a tensor and vectors of one number per channel", [x!, ...vectors]);
  return sameAsFirst([x!]);
}

/** For derivatives of element-by-element ops: the derivative has the shape of the value beside it. */
function alike([dy, value]: readonly Node[], _attrs: unknown, op: string): ValueType {
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
export const opRules: OpRules = {
  input: rule<OpAttrs["input"]>(0, "any", (_, { dtype, shape }) => ({ dtype, shape }), namedFault),
  parameter: rule<OpAttrs["input"]>(0, "any", (_, { dtype, shape }) => ({ dtype, shape }), namedFault),
  constant: rule(0, "any", (_, { value: { dtype, shape } }) => ({ dtype, shape }), constantFault),
  randomUniform: rule(
    0,
    "any",
    (_, { shape }) => ({ dtype: "float32", shape }),
    ({ stream, shape }) => namedFault({ name: stream, shape }),
  ),
  ...forOps(NUMBER_OPS, rule<unknown>(1, "number", sameAsFirst)),
  ...forOps(FLOAT_OPS, rule<unknown>(1, "float", sameAsFirst)),
  not: rule(1, "bool", logical),
  cast: rule(1, "any", ([x], { to }) => ({ dtype: to, shape: x!.shape })),
  ...forOps(ARITHMETIC_OPS, rule<unknown>(2, "number", broadcast)),
  ...forOps(COMPARISON_OPS, rule<unknown>(2, "number", compare)),
  equal: rule(2, "any", compare),
  ...forOps(LOGICAL_OPS, rule<unknown>(2, "bool", logical)),
  select: rule(3, "bool", selectShape),
  affine: rule(3, "float", perChannel),
  channelVariance: rule(2, "float", (inputs, attrs, op) => {
    perChannel(inputs, attrs, op);
    return sameAsFirst(inputs.slice(1));
  }),
  prelu: rule(2, "float", perChannel),
  reluGrad: rule(2, "float", alike),
  preluGrad: rule(3, "float", ([dy, x, slope], attrs, op) => {
    perChannel([x!, slope!], attrs, op);
    return alike([dy!, x!], attrs, op);
  }),
  ...forOps(REDUCE_OPS, rule<ReduceAttrs>(1, "number", reduceShape, axesFault)),
  argMax: rule(1, "number", (inputs, { axis }, op) => ({
    dtype: "int64",
    shape: reduceShape(inputs, { axes: [axis], keepDims: false }, op).shape,
  })),
  side: rule(1, "any", (inputs, { axis }, op) => {
    requireAxes([axis], inputs, op);
    return { dtype: "int64", shape: [] };
  }),
  softmax: rule(1, "float", (inputs, { axis }, op) => {
    requireAxes([axis], inputs, op);
    return sameAsFirst(inputs);
  }),
  matmul: rule(2, "number", rules.matmulShape),
  conv2d: rule(2, "float", rules.convShape, convFault),
  conv2dInputGrad: rule(2, "float", rules.convInputGradShape, convFault),
  conv2dKernelGrad: rule(2, "float", rules.convKernelGradShape, convFault),
  maxPool: rule(1, "float", rules.poolShape, poolFault),
  maxPoolGrad: rule(3, "float", rules.maxPoolGradShape, poolFault),
  avgPool: rule(1, "float", rules.poolShape, poolFault),
  avgPoolGrad: rule(1, "float", rules.avgPoolGradShape, poolFault),
  reshape: rule(1, "any", rules.reshapeShape),
  transpose: rule(1, "any", rules.transposeShape),
  broadcastTo: rule(1, "any", rules.broadcastToShape, ({ shape }) => sidesFault(shape)),
  concat: rule("some", "any", rules.concatShape),
  slice: rule(1, "any", rules.sliceShape),
  pad: rule(1, "any", rules.padShape, marginsFault),
  gather: rule(2, "any", rules.gatherShape),
  gatherGrad: rule(2, "float", rules.gatherGradShape),
  loop: rule("some", "any", rules.loopShape, loopFault),
  lookup: rule(1, "any", rules.lookupShape, tableFault),
};

/**
 * Shape and type of an op's result.
 * @throws FaceError `SHAPE_MISMATCH` saying what the op takes and what came.
 */
export function typeOf<K extends OpName>(op: K, inputs: readonly Node[], attrs: OpAttrs[K]): ValueType {
  const { dtype, shape } = opRules[op].shape(inputs, attrs, op);
  return { dtype, shape };
}
