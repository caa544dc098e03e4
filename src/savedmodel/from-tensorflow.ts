/** @file TensorFlow's operators in our graph's words: one entry per operator that can be read. */
import { float32 } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import type { ConvAttrs, Node, Padding, Pair, PoolAttrs } from "../graph/ops.ts";
import type { OpCall } from "./op-call.ts";
import { tensorFromProto } from "./tensor-proto.ts";

/** Turns a node into the values of its outputs. */
type Importer = (call: OpCall) => Node | readonly Node[];

const unary =
  (build: (x: Node) => Node): Importer =>
  (call) =>
    build(call.input(0));

const binary =
  (build: (a: Node, b: Node) => Node): Importer =>
  (call) =>
    build(call.input(0), call.input(1));

const pair = (first: number | undefined, second: number | undefined): Pair => [first ?? 1, second ?? 1];

const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];

const channelsFirst = (call: OpCall) => call.text("data_format", "NHWC") === "NCHW";

/** Runs an image operator in our order of axes, whatever the graph's is. */
function onImages(call: OpCall, image: Node, work: (image: Node) => Node): Node {
  return channelsFirst(call) ? g.transpose(work(g.transpose(image, TO_NHWC)), TO_NCHW) : work(image);
}

/** Height and width out of a list of four, in the graph's order. */
function spatial(call: OpCall, list: readonly number[]): Pair {
  return channelsFirst(call) ? pair(list[2], list[3]) : pair(list[1], list[2]);
}

function paddingOf(call: OpCall): Padding {
  const padding = call.text("padding");
  if (padding === "SAME") return "same";
  if (padding === "VALID") return "valid";
  const list = call.ints("explicit_paddings");
  const at = channelsFirst(call) ? 4 : 2;
  return [pair(list[at], list[at + 1]), pair(list[at + 2], list[at + 3])];
}

function convAttrs(call: OpCall, groups: number): ConvAttrs {
  return {
    strides: spatial(call, call.ints("strides")),
    padding: paddingOf(call),
    dilations: spatial(call, call.ints("dilations", [1, 1, 1, 1])),
    groups,
  };
}

const conv2D: Importer = (call) => {
  const kernel = call.input(1);
  return onImages(call, call.input(0), (image) => {
    const groups = Number(image.shape[3]) / Number(kernel.shape[2]);
    return g.conv2d(image, kernel, convAttrs(call, Number.isInteger(groups) ? groups : 1));
  });
};

const depthwiseConv2D: Importer = (call) => {
  const kernel = call.input(1);
  const [height, width, channels, multiplier] = kernel.shape.map(Number) as [number, number, number, number];
  const ours = g.reshape(kernel, [height, width, 1, channels * multiplier]);
  return onImages(call, call.input(0), (image) => g.conv2d(image, ours, convAttrs(call, channels)));
};

const pool =
  (build: (x: Node, attrs: PoolAttrs) => Node): Importer =>
  (call) =>
    onImages(call, call.input(0), (image) =>
      build(image, {
        size: spatial(call, call.ints("ksize")),
        strides: spatial(call, call.ints("strides")),
        padding: paddingOf(call),
      }),
    );

const biasAdd: Importer = (call) => {
  const [x, bias] = [call.input(0), call.input(1)];
  return x.shape.length === 4 ? onImages(call, x, (image) => g.add(image, bias)) : g.add(x, bias);
};

const fusedBatchNorm: Importer = (call) => {
  if (call.bool("is_training", true)) throw call.unsupported("batch normalisation in training mode");
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => call.input(i)) as [Node, Node, Node, Node];
  const scale = g.div(gamma, g.sqrt(g.add(variance, call.float("epsilon", 1e-4))));
  return onImages(call, call.input(0), (image) => g.affine(image, scale, g.sub(beta, g.mul(mean, scale))));
};

const reduce =
  (build: (x: Node, options: { axes: readonly number[]; keepDims: boolean }) => Node): Importer =>
  (call) =>
    build(call.input(0), { axes: call.constants(1), keepDims: call.bool("keep_dims", false) });

const squeeze: Importer = (call) => {
  const x = call.input(0);
  const listed = call.ints("squeeze_dims", []).map((axis) => (axis < 0 ? axis + x.shape.length : axis));
  const gone = listed.length > 0 ? listed : x.shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
  return reshapeTo(
    call,
    x,
    x.shape.filter((_, axis) => !gone.includes(axis)),
  );
};

/** A reshape to sides of which at most one may be unknown. */
function reshapeTo(call: OpCall, x: Node, shape: readonly (number | string)[]): Node {
  const sides = shape.map((side) => (typeof side === "number" ? side : -1));
  if (sides.filter((side) => side === -1).length > 1)
    throw call.unsupported("a shape with several unknown sides");
  return g.reshape(x, sides);
}

const expandDims: Importer = (call) => g.expandDims(call.input(0), call.constant(1));

const reshape: Importer = (call) => {
  const shape = call.constants(1);
  // To us 0 means "as it was", to TensorFlow "nothing".
  if (shape.includes(0)) throw call.unsupported("a reshape to an empty tensor");
  return g.reshape(call.input(0), shape);
};

const stridedSlice: Importer = (call) => {
  if (call.int("ellipsis_mask", 0) !== 0 || call.int("new_axis_mask", 0) !== 0) {
    throw call.unsupported("slicing with an ellipsis or new axes");
  }
  const x = call.input(0);
  const [begin, end, strides] = [1, 2, 3].map((i) => call.constants(i)) as [number[], number[], number[]];
  const [beginMask, endMask, shrink] = ["begin_mask", "end_mask", "shrink_axis_mask"].map((name) =>
    call.int(name, 0),
  ) as [number, number, number];
  const has = (mask: number, axis: number) => (mask & (1 << axis)) !== 0;
  const far = (step: number) => (step > 0 ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER);
  const starts = begin.map((at, axis) => (has(beginMask, axis) ? (strides[axis]! > 0 ? 0 : -1) : at));
  const ends = end.map((at, axis) => {
    if (has(shrink, axis)) return begin[axis] === -1 ? Number.MAX_SAFE_INTEGER : begin[axis]! + 1;
    return has(endMask, axis) ? far(strides[axis]!) : at;
  });
  const part = g.slice(x, starts, ends, strides);
  if (shrink === 0) return part;
  return reshapeTo(
    call,
    part,
    part.shape.filter((_, axis) => !has(shrink, axis)),
  );
};

const pad: Importer = (call) => {
  const margins = call.constants(1);
  const value = call.inputs.length > 2 ? call.constant(2) : 0;
  const every = (offset: number) => margins.filter((_, i) => i % 2 === offset);
  return g.pad(call.input(0), every(0), every(1), value);
};

const matmul: Importer = (call) =>
  g.matmul(call.input(0), call.input(1), {
    transposeA: call.bool("transpose_a", call.bool("adj_x", false)),
    transposeB: call.bool("transpose_b", call.bool("adj_y", false)),
  });

const concat: Importer = (call) => g.concat(call.inputs.slice(0, -1), call.constant(call.inputs.length - 1));

const pack: Importer = (call) => {
  const axis = call.int("axis", 0);
  return g.concat(
    call.inputs.map((part) => g.expandDims(part, axis)),
    axis,
  );
};

const constant: Importer = (call) => {
  const value = call.def.attr.value?.value;
  if (value?.case !== "tensor") throw call.invalid("a constant without a value");
  return g.labelled(g.constant(tensorFromProto(value.value)), call.def.name);
};

const clipped = (x: Node, low: number, high: number) => g.min(g.max(x, low), high);
const reciprocal = (x: Node) => g.div(g.constant(float32([], [1])), x);
const alias = unary((x) => x);

/** Operator → how to read it. docs/formats.md lists the same names; a test compares the two. */
export const importers: Readonly<Record<string, Importer>> = {
  Const: constant,
  Identity: alias,
  StopGradient: alias,
  PreventGradient: alias,
  Snapshot: alias,
  EnsureShape: alias,
  CheckNumerics: alias,
  IdentityN: (call) => call.inputs,

  Neg: unary(g.neg),
  Abs: unary(g.abs),
  Sign: unary(g.sign),
  Exp: unary(g.exp),
  Log: unary(g.log),
  Sqrt: unary(g.sqrt),
  Rsqrt: unary((x) => reciprocal(g.sqrt(x))),
  Reciprocal: unary(reciprocal),
  Inv: unary(reciprocal),
  Square: unary(g.square),
  Sin: unary(g.sin),
  Cos: unary(g.cos),
  Tanh: unary(g.tanh),
  Sigmoid: unary(g.sigmoid),
  Softplus: unary(g.softplus),
  Softsign: unary((x) => g.div(x, g.add(1, g.abs(x)))),
  Erf: unary(g.erf),
  Erfc: unary((x) => g.sub(1, g.erf(x))),
  Floor: unary(g.floor),
  Ceil: unary(g.ceil),
  Round: unary(g.round),
  Rint: unary(g.round),
  LogicalNot: unary(g.not),
  Cast: (call) => g.cast(call.input(0), call.type("DstT")),

  Relu: unary(g.relu),
  Relu6: unary((x) => clipped(x, 0, 6)),
  LeakyRelu: (call) => {
    const x = call.input(0);
    return g.add(g.relu(x), g.mul(g.min(x, 0), call.float("alpha", 0.2)));
  },
  Elu: unary((x) => g.add(g.relu(x), g.sub(g.exp(g.min(x, 0)), 1))),

  Add: binary(g.add),
  AddV2: binary(g.add),
  AddN: (call) => call.inputs.reduce((sum, part) => g.add(sum, part)),
  Sub: binary(g.sub),
  Mul: binary(g.mul),
  RealDiv: binary(g.div),
  Div: binary(g.div),
  Pow: binary(g.pow),
  Maximum: binary(g.max),
  Minimum: binary(g.min),
  SquaredDifference: binary((a, b) => g.square(g.sub(a, b))),
  Equal: binary(g.equal),
  NotEqual: binary((a, b) => g.not(g.equal(a, b))),
  Less: binary(g.less),
  LessEqual: binary(g.lessEqual),
  Greater: binary((a, b) => g.less(b, a)),
  GreaterEqual: binary((a, b) => g.lessEqual(b, a)),
  LogicalAnd: binary(g.and),
  LogicalOr: binary(g.or),
  SelectV2: (call) => g.select(call.input(0), call.input(1), call.input(2)),
  ClipByValue: (call) => g.min(g.max(call.input(0), call.input(1)), call.input(2)),

  BiasAdd: biasAdd,
  Conv2D: conv2D,
  DepthwiseConv2dNative: depthwiseConv2D,
  MaxPool: pool(g.maxPool),
  AvgPool: pool(g.avgPool),
  FusedBatchNorm: fusedBatchNorm,
  FusedBatchNormV2: fusedBatchNorm,
  FusedBatchNormV3: fusedBatchNorm,
  MatMul: matmul,
  BatchMatMul: matmul,
  BatchMatMulV2: matmul,
  BatchMatMulV3: matmul,

  Sum: reduce(g.reduceSum),
  Mean: reduce(g.reduceMean),
  Max: reduce(g.reduceMax),
  Min: reduce(g.reduceMin),
  Prod: reduce(g.reduceProd),
  ArgMax: (call) => g.cast(g.argMax(call.input(0), call.constant(1)), call.type("output_type", "int64")),
  Softmax: unary((x) => g.softmax(x)),

  Reshape: reshape,
  Squeeze: squeeze,
  ExpandDims: expandDims,
  Transpose: (call) => g.transpose(call.input(0), call.constants(1)),
  BroadcastTo: (call) => g.broadcastTo(call.input(0), call.constants(1)),
  ConcatV2: concat,
  Pack: pack,
  StridedSlice: stridedSlice,
  Pad: pad,
  PadV2: pad,
  GatherV2: (call) => g.gather(call.input(0), call.input(1), call.constant(2)),
};
