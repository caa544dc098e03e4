/** @file A plain interpreter of graphs: the reference for tests of engines, and constant folding. */
import { FaceError } from "../base/errors.ts";
import { float32, int64, type Shape, shapeText, type Tensor, type TensorMap } from "../base/tensor.ts";
import * as arithmetic from "./evaluate-arithmetic.ts";
import { comparison, elementwise } from "./evaluate-arithmetic.ts";
import * as moving from "./evaluate-moving.ts";
import * as products from "./evaluate-products.ts";
import { larger, roundHalfToEven, smaller } from "./numbers.ts";
import { type Node, type OpAttrs, type OpName, topological } from "./ops.ts";

/** The values of a graph's leaves. */
export interface Feeds {
  readonly inputs?: TensorMap;
  readonly parameters?: TensorMap;
  /** Numbers in [0, 1) for a named stream; called once per stream and run. */
  readonly random?: (stream: string, shape: Shape) => Float32Array;
}

type EvaluateRule<K extends OpName> = (inputs: readonly Tensor[], attrs: OpAttrs[K], feeds: Feeds) => Tensor;
export type EvaluateRules = { readonly [K in OpName]: EvaluateRule<K> };

/** The value given for a leaf, after a check against the leaf's declaration. */
function fed(kind: string, values: TensorMap | undefined, leaf: OpAttrs["input"]): Tensor {
  const value = values?.get(leaf.name);
  if (value === undefined)
    throw new FaceError("SHAPE_MISMATCH", `no value was given for ${kind} ${leaf.name}`);
  const fits =
    value.dtype === leaf.dtype &&
    value.shape.length === leaf.shape.length &&
    leaf.shape.every((dim, axis) => typeof dim === "string" || dim === value.shape[axis]);
  if (fits) return value;
  throw new FaceError(
    "SHAPE_MISMATCH",
    `${kind} ${leaf.name} takes ${leaf.dtype}${shapeText(leaf.shape)}, got ${value.dtype}${shapeText(value.shape)}`,
  );
}

/** One rule per op. */
export const evaluateRules: EvaluateRules = {
  input: (_, attrs, { inputs }) => fed("input", inputs, attrs),
  parameter: (_, attrs, { parameters }) => fed("parameter", parameters, attrs),
  constant: (_, { value }) => value,
  randomUniform: (_, { stream, shape }, { random }) => {
    if (random !== undefined) return float32(shape, random(stream, shape));
    throw new FaceError("SHAPE_MISMATCH", `no random numbers were given for stream ${stream}`);
  },
  neg: elementwise(
    "neg",
    (x) => -x,
    (x) => -x,
  ),
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
  add: elementwise(
    "add",
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  sub: elementwise(
    "sub",
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  mul: elementwise(
    "mul",
    (a, b) => a * b,
    (a, b) => a * b,
  ),
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
  channelVariance: arithmetic.evaluateChannelVariance,
  prelu: elementwise("prelu", (x, slope) => (x < 0 ? slope * x : x)),
  reluGrad: elementwise("reluGrad", (dy, y) => (y > 0 ? dy : 0)),
  preluGrad: elementwise("preluGrad", (dy, x, slope) => (x > 0 ? dy : slope * dy)),
  reduceSum: arithmetic.evaluateSum,
  reduceMean: arithmetic.evaluateMean,
  reduceMax: arithmetic.evaluateMax,
  reduceMin: arithmetic.evaluateMin,
  reduceProd: arithmetic.evaluateProd,
  argMax: arithmetic.evaluateArgMax,
  softmax: arithmetic.evaluateSoftmax,
  side: ([x], { axis }) => int64([], [x!.shape[axis]!]),
  matmul: products.evaluateMatmul,
  conv2d: products.evaluateConv,
  conv2dInputGrad: products.evaluateConvInputGrad,
  conv2dKernelGrad: products.evaluateConvKernelGrad,
  maxPool: products.evaluateMaxPool,
  maxPoolGrad: products.evaluateMaxPoolGrad,
  avgPool: products.evaluateAvgPool,
  avgPoolGrad: products.evaluateAvgPoolGrad,
  reshape: moving.evaluateReshape,
  transpose: ([x], { perm }) => moving.transposed(x!, perm),
  broadcastTo: moving.evaluateBroadcastTo,
  concat: moving.evaluateConcat,
  slice: moving.evaluateSlice,
  pad: moving.evaluatePad,
  gather: moving.evaluateGather,
  gatherGrad: moving.evaluateGatherGrad,
};

/** The value of one node from the values of its inputs. */
export function evaluateNode<K extends OpName>(
  node: Node<K>,
  inputs: readonly Tensor[],
  feeds: Feeds = {},
): Tensor {
  return evaluateRules[node.op](inputs, node.attrs, feeds);
}

/** Draws the numbers of each stream once. */
function drawnOnce(random: Feeds["random"]): Feeds["random"] {
  if (random === undefined) return undefined;
  const drawn = new Map<string, Float32Array>();
  return (stream, shape) => {
    const numbers = drawn.get(stream) ?? random(stream, shape);
    drawn.set(stream, numbers);
    return numbers;
  };
}

/**
 * The values of nodes, computed in double precision and rounded to the element type of each node.
 * @throws FaceError `SHAPE_MISMATCH` when a leaf gets no value or one that does not fit, `MODEL_UNSUPPORTED` for what
 *   an op cannot compute with.
 */
export function evaluate(outputs: readonly Node[], feeds: Feeds = {}): Tensor[] {
  const values = new Map<Node, Tensor>();
  const random = drawnOnce(feeds.random);
  const run: Feeds = random === undefined ? feeds : { ...feeds, random };
  const value = (node: Node) => values.get(node)!;
  for (const node of topological(outputs)) values.set(node, evaluateNode(node, node.inputs.map(value), run));
  return outputs.map(value);
}
