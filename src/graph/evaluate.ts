/** @file The values of ops on constants, in plain loops; ops that only training has, and those on images, are left to the engine. */
import { int64, type Tensor } from "../base/tensor.ts";
import * as arithmetic from "./evaluate-arithmetic.ts";
import { comparison, elementwise } from "./evaluate-arithmetic.ts";
import * as moving from "./evaluate-moving.ts";
import { larger, roundHalfToEven, smaller } from "./numbers.ts";
import type { Node, OpAttrs, OpName } from "./ops.ts";

type EvaluateRule<K extends OpName> = (inputs: readonly Tensor[], attrs: OpAttrs[K]) => Tensor;
type EvaluateRules = { readonly [K in OpName]: EvaluateRule<K> };

/** One rule per op that can be evaluated. */
export const evaluateRules = {
  neg: elementwise("neg", (x) => -x, "same"),
  abs: elementwise("abs", Math.abs, (x) => (x < 0n ? -x : x)),
  sign: elementwise("sign", Math.sign, (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n)),
  exp: elementwise("exp", Math.exp),
  log: elementwise("log", Math.log),
  sqrt: elementwise("sqrt", Math.sqrt),
  sin: elementwise("sin", Math.sin),
  cos: elementwise("cos", Math.cos),
  tanh: elementwise("tanh", Math.tanh),
  sigmoid: elementwise("sigmoid", arithmetic.sigmoid),
  softplus: elementwise("softplus", arithmetic.softplus),
  erf: elementwise("erf", arithmetic.erf),
  relu: elementwise(
    "relu",
    (x) => Math.max(x, 0),
    (x) => larger(x, 0n),
  ),
  floor: elementwise("floor", Math.floor, (x) => x),
  ceil: elementwise("ceil", Math.ceil, (x) => x),
  round: elementwise("round", roundHalfToEven, (x) => x),
  not: elementwise("not", (x) => 1 - x),
  cast: arithmetic.evaluateCast,
  add: elementwise("add", (a, b) => a + b, "same"),
  sub: elementwise("sub", (a, b) => a - b, "same"),
  mul: elementwise("mul", (a, b) => a * b, "same"),
  div: arithmetic.evaluateDiv,
  pow: arithmetic.evaluatePow,
  max: elementwise("max", Math.max, larger),
  min: elementwise("min", Math.min, smaller),
  equal: comparison((a, b) => a === b),
  less: comparison((a, b) => a < b),
  lessEqual: comparison((a, b) => a <= b),
  and: elementwise("and", (a, b) => a & b),
  or: elementwise("or", (a, b) => a | b),
  select: moving.evaluateSelect,
  affine: elementwise("affine", (x, scale, shift) => x * scale + shift),
  prelu: elementwise("prelu", (x, slope) => (x < 0 ? slope * x : x)),
  reduceSum: arithmetic.evaluateSum,
  reduceMean: arithmetic.evaluateMean,
  reduceMax: arithmetic.evaluateMax,
  reduceMin: arithmetic.evaluateMin,
  reduceProd: arithmetic.evaluateProd,
  argMax: arithmetic.evaluateArgMax,
  side: ([x], { axis }) => int64([], [x!.shape[axis]!]),
  matmul: arithmetic.evaluateMatmul,
  reshape: moving.evaluateReshape,
  transpose: ([x], { perm }) => moving.transposed(x!, perm),
  broadcastTo: moving.evaluateBroadcastTo,
  concat: moving.evaluateConcat,
  slice: moving.evaluateSlice,
  pad: moving.evaluatePad,
  gather: moving.evaluateGather,
  lookup: moving.evaluateLookup,
} satisfies Partial<EvaluateRules>;

/**
 * The value of one node from the values of its inputs, computed in double precision and rounded to the node's element type;
 * undefined for an op that is left to the engine.
 * @throws FaceError `MODEL_UNSUPPORTED` for what an op cannot compute with.
 */
export function evaluateNode<K extends OpName>(node: Node<K>, inputs: readonly Tensor[]): Tensor | undefined {
  const rules: { readonly [O in OpName]?: EvaluateRule<O> } = evaluateRules;
  return rules[node.op]?.(inputs, node.attrs);
}
