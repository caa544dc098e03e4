/** @file Lowering of ops that work element by element, per channel, or over whole axes. */
import { float32, type Tensor } from "../../base/tensor.ts";
import { isOp, type Node, type OpName, type ReduceOp } from "../../graph/ops.ts";
import { ONNX_TYPE } from "../dtypes.ts";
import { type Lowering, NCHW, PLAIN, placeOf, type Rule } from "./lowering.ts";
import { MICROSOFT, type NodeOptions } from "./model-builder.ts";

/** An operator whose inputs broadcast and whose output has their common order of axes. */
export function elementwise<K extends OpName>(
  op: string,
  attributes: NodeOptions["attributes"] = {},
): Rule<K> {
  return (node, lowering) => {
    const order = lowering.elementOrder(node);
    const inputs = node.inputs.map((input) => lowering.broadcastable(input, order));
    lowering.result(node, order, op, inputs, attributes);
  };
}

/** A product; one of which only the sum per channel is used is left to `reduce`. */
export const lowerMul: Rule<"mul"> = (node, lowering) => {
  if (!lowering.settings.runtimeOps || !isChannelProduct(node, lowering)) {
    elementwise<"mul">("Mul")(node, lowering);
  }
};

export const lowerCast: Rule<"cast"> = (node, lowering) =>
  elementwise<"cast">("Cast", { to: ONNX_TYPE[node.attrs.to] })(node, lowering);

/** A slope for which every normal float saturates to 0 or 1. */
const STEEP = 3e38;

/** 1 where `sign · x` is positive, else 0, in one pass: `min(1, max(0, sign · STEEP · x))`. */
function hasSign(node: Node, lowering: Lowering, x: string, sign: 1 | -1): string {
  return lowering.emit(node, "HardSigmoid", [x], { alpha: { float: sign * STEEP }, beta: { float: 0 } });
}

export const lowerReluGrad: Rule<"reluGrad"> = (node, lowering) => {
  const [dy, y] = node.inputs as [Node, Node];
  const order = lowering.elementOrder(node);
  // A product with 0 or 1 is faster than a selection.
  const mask = hasSign(node, lowering, lowering.value(y, order), 1);
  lowering.result(node, order, "Mul", [lowering.value(dy, order), mask]);
};

/** The order of axes with channels second, as the runtime's per-channel operators want them. */
const channelsSecond = (node: Node) => (node.shape.length === 4 ? NCHW : PLAIN);

/** A vector with the same number for each channel. */
function filled(node: Node, lowering: Lowering, value: number): string {
  const channels = Number(node.shape.at(-1));
  return lowering.model.initializer(float32([channels], new Float32Array(channels).fill(value)));
}

/** `x · scale + shift` per channel as one pass: a batch normalisation with mean 0 and variance 1. */
function channelAffine(node: Node, lowering: Lowering, x: string, scale: string, shift: string): string {
  const moments = [filled(node, lowering, 0), filled(node, lowering, 1)];
  return lowering.emit(node, "BatchNormalization", [x, scale, shift, ...moments], { epsilon: { float: 0 } });
}

const isPerChannel = (node: Node) =>
  (node.shape.length === 2 || node.shape.length === 4) &&
  node.dtype === "float32" &&
  typeof node.shape.at(-1) === "number";

export const lowerAffine: Rule<"affine"> = (node, lowering) => {
  const [x, scale, shift] = node.inputs as [Node, Node, Node];
  if (isPerChannel(node)) {
    const order = channelsSecond(node);
    const value = channelAffine(
      node,
      lowering,
      lowering.value(x, order),
      lowering.value(scale),
      lowering.value(shift),
    );
    lowering.define(node, value, order);
    return;
  }
  const order = node.shape.length === 4 ? lowering.commonOrder([x]) : PLAIN;
  const scaled = lowering.emit(node, "Mul", [lowering.value(x, order), lowering.broadcastable(scale, order)]);
  lowering.result(node, order, "Add", [scaled, lowering.broadcastable(shift, order)]);
};

/** `min(x, 0)`, which PReLU and both of its derivatives are made of. */
const negativePart = (x: Node, lowering: Lowering): string =>
  lowering.derived(x, "negative part", () =>
    lowering.emit(x, "Min", [lowering.value(x, channelsSecond(x)), lowering.model.float(0)]),
  );

const slopeLessOne = (slope: Node, lowering: Lowering): string =>
  lowering.derived(slope, "less one", () =>
    lowering.emit(slope, "Sub", [lowering.value(slope), lowering.model.float(1)]),
  );

/**
 * `slope · x + relu((1 − slope) · x)` for slopes of at most 1: with a stored slope the runtime keeps each of these operators
 * blocked, and computes them in two passes. `slope · x + (1 − slope) · relu(x)` for others, in three.
 */
function storedPrelu(node: Node, lowering: Lowering, { shape, data }: Tensor<"float32">): string {
  const { model } = lowering;
  const x = lowering.value(node.inputs[0]!, channelsSecond(node));
  const slope = model.initializer(float32(shape, data));
  const less = data.map((value) => 1 - value);
  const rest = model.initializer(float32(shape, less));
  const none = filled(node, lowering, 0);
  const scaled = (value: string, scale: string) => channelAffine(node, lowering, value, scale, none);
  const positive = less.every((value) => value >= 0)
    ? lowering.emit(node, "Relu", [scaled(x, rest)])
    : scaled(lowering.emit(node, "Relu", [x]), rest);
  return lowering.emit(node, "Add", [scaled(x, slope), positive]);
}

/**
 * `x + (slope − 1) · min(x, 0)`: three plain passes. The runtime's PRelu branches at each element and takes six times
 * as long on mixed signs.
 */
export const lowerPrelu: Rule<"prelu"> = (node, lowering) => {
  const [x, slope] = node.inputs as [Node, Node];
  const order = channelsSecond(node);
  const stored = lowering.storedValue(slope);
  if (stored !== undefined && isPerChannel(node)) {
    lowering.define(node, storedPrelu(node, lowering, stored as Tensor<"float32">), order);
    return;
  }
  const less = slopeLessOne(slope, lowering);
  const sloped = isPerChannel(node)
    ? channelAffine(node, lowering, negativePart(x, lowering), less, filled(node, lowering, 0))
    : lowering.emit(node, "Mul", [negativePart(x, lowering), less]);
  lowering.result(node, order, "Add", [lowering.value(x, order), sloped]);
};

/** `dy · (1 + (slope − 1) · [x < 0])` */
export const lowerPreluGrad: Rule<"preluGrad"> = (node, lowering) => {
  const [dy, x, slope] = node.inputs as [Node, Node, Node];
  const order = channelsSecond(node);
  const negative = hasSign(node, lowering, negativePart(x, lowering), -1);
  const less = slopeLessOne(slope, lowering);
  const factor = isPerChannel(node)
    ? channelAffine(node, lowering, negative, less, filled(node, lowering, 1))
    : lowering.emit(node, "Add", [lowering.emit(node, "Mul", [negative, less]), lowering.model.float(1)]);
  lowering.result(node, order, "Mul", [lowering.value(dy, order), factor]);
};

/** The channel variance that uses a node as its mean. */
function varianceOf(node: Node, lowering: Lowering): Node | undefined {
  return lowering.consumers(node).find((user) => user.op === "channelVariance" && user.inputs[1] === node);
}

/**
 * Mean and variance of each channel in two passes over x: batch normalisation in training mode with momentum 0 returns the
 * statistics of the batch. The runtime overwrites the running statistics it is given, even constants, which layers may
 * share; so it gets two vectors of this node's own, computed from x, whose values do not matter.
 */
function lowerMoments(mean: Node, variance: Node, lowering: Lowering): void {
  const x = variance.inputs[0]!;
  const { model } = lowering;
  const channels = Number(x.shape.at(-1));
  const value = lowering.value(x, channelsSecond(x));
  const ones = filled(x, lowering, 1);
  const axes = x.shape.slice(2).map((_, i) => i + 2);
  const ends = [0, ...axes].map(() => 1);
  const corner = lowering.emit(variance, "Slice", [
    value,
    model.ints(ends.map(() => 0)),
    model.ints(ends),
    model.ints([0, ...axes]),
  ]);
  const scratch = lowering.reshaped(variance, corner, [channels]);
  const otherScratch = lowering.emit(variance, "Neg", [scratch]);
  const [, runningMean, runningVariance] = model.nodes(
    "BatchNormalization",
    [value, ones, ones, scratch, otherScratch],
    3,
    { attributes: { training_mode: 1, momentum: { float: 0 } }, label: variance.label },
  );
  lowering.define(mean, runningMean!);
  lowering.define(variance, runningVariance!);
}

export const lowerChannelVariance: Rule<"channelVariance"> = (node, lowering) => {
  const [x, mean] = node.inputs as [Node, Node];
  const order = lowering.commonOrder([x]);
  const deviation = lowering.emit(node, "Sub", [
    lowering.value(x, order),
    lowering.broadcastable(mean, order),
  ]);
  const squared = lowering.emit(node, "Mul", [deviation, deviation]);
  const channel = placeOf(x, order, x.shape.length - 1);
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== channel);
  lowering.result(node, PLAIN, "ReduceMean", [squared], { axes, keepdims: 0 });
};

/** A reduction over the physical positions of its axes. */
export function reduce<K extends ReduceOp>(op: string): Rule<K> {
  return (node, lowering) => {
    const x = node.inputs[0]!;
    const variance = node.op === "reduceMean" ? varianceOf(node, lowering) : undefined;
    if (variance !== undefined && isPerChannel(x)) lowerMoments(node, variance, lowering);
    else if (!lowering.isDefined(x)) lowerChannelProduct(node, lowering);
    else if (node.attrs.axes.length === 0) lowering.result(node, PLAIN, "Identity", [lowering.value(x)]);
    else lowerReduction(node, op, lowering);
  };
}

/** From this many pixels on scalar products are faster than a stored product that is then summed. */
const LARGE_AREA = 400;

/** Whether a node is a product of two large images of which only the sum per channel is used. */
function isChannelProduct(node: Node, lowering: Lowering): boolean {
  const sum = lowering.onlyConsumer(node);
  const [a, b] = node.inputs as [Node, Node];
  const isSum = sum !== undefined && isOp(sum, "reduceSum") && sum.attrs.axes.join() === "0,1,2";
  const isKnown = node.shape.length === 4 && node.shape.every((side) => typeof side === "number");
  const isLarge = Number(node.shape[1]) * Number(node.shape[2]) >= LARGE_AREA;
  return isSum && isKnown && isLarge && node.dtype === "float32" && a.shape.join() === b.shape.join();
}

/** Sums of products per channel as scalar products, image by image, without storing the product. */
function lowerChannelProduct(node: Node<ReduceOp>, lowering: Lowering): void {
  const product = node.inputs[0]!;
  const [batch, height, width, channels] = product.shape.map(Number) as [number, number, number, number];
  const { model } = lowering;
  const [a, b] = product.inputs.map((factor) =>
    lowering.reshaped(node, lowering.value(factor, NCHW), [batch * channels, 1, height * width]),
  );
  const dots = lowering.emit(node, "FusedMatMul", [a!, b!], { transB: 1 }, MICROSOFT);
  const perImage = lowering.reshaped(node, dots, [batch, channels]);
  const sums = lowering.emit(node, "ReduceSum", [perImage, model.ints([0])], { keepdims: 0 });
  const shape = node.shape.map(Number);
  lowering.define(node, shape.length === 1 ? sums : lowering.reshaped(node, sums, shape));
}

function lowerReduction(node: Node<ReduceOp>, op: string, lowering: Lowering): void {
  const x = node.inputs[0]!;
  const { axes, keepDims } = node.attrs;
  const image = x.shape.length === 4;
  // Without kept sides the remaining axes must keep their order, as a single one always does.
  const order = image && (keepDims || axes.length >= 3) ? lowering.commonOrder([x]) : PLAIN;
  const places = axes.map((axis) => placeOf(x, order, axis)).toSorted((a, b) => a - b);
  const keepdims = keepDims ? 1 : 0;
  const input = lowering.value(x, order);
  const value =
    op === "ReduceSum"
      ? lowering.emit(node, op, [input, lowering.model.ints(places)], { keepdims })
      : lowering.emit(node, op, [input], { axes: places, keepdims });
  lowering.define(node, value, keepDims ? order : PLAIN);
}

export const lowerArgMax: Rule<"argMax"> = (node, lowering) => {
  lowering.result(node, PLAIN, "ArgMax", [lowering.value(node.inputs[0]!)], {
    axis: node.attrs.axis,
    keepdims: 0,
  });
};

export const lowerSide: Rule<"side"> = (node, lowering) => {
  const x = node.inputs[0]!;
  const order = lowering.commonOrder([x]);
  const axis = placeOf(x, order, node.attrs.axis);
  const list = lowering.emit(node, "Shape", [lowering.value(x, order)], { start: axis, end: axis + 1 });
  lowering.result(node, PLAIN, "Squeeze", [list]);
};

export const lowerSoftmax: Rule<"softmax"> = (node, lowering) => {
  const x = node.inputs[0]!;
  const order = lowering.commonOrder([x]);
  const axis = placeOf(x, order, node.attrs.axis);
  lowering.result(node, order, "Softmax", [lowering.value(x, order)], { axis });
};
