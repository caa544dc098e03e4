/** @file Lowering of the ops that work element by element, per channel, or over whole axes. */
import { float32 } from "../base/tensor.ts";
import type { Node, OpName } from "../graph/ops.ts";
import { ONNX_TYPE } from "./dtypes.ts";
import { type Lowering, NCHW, PLAIN, physicalAxis } from "./lowering.ts";
import type { NodeOptions } from "./model-builder.ts";

type Rule<K extends OpName> = (node: Node<K>, lowering: Lowering) => void;

/** An operator whose inputs broadcast and whose output has their common order of axes. */
export function elementwise<K extends OpName>(
  op: string,
  attributes: NodeOptions["attributes"] = {},
): Rule<K> {
  return (node, lowering) => {
    const order = node.shape.length === 4 ? lowering.commonOrder(node.inputs) : PLAIN;
    const inputs = node.inputs.map((input) => lowering.broadcastable(input, order));
    lowering.define(node, lowering.emit(node, op, inputs, attributes), order);
  };
}

export const lowerCast: Rule<"cast"> = (node, lowering) =>
  elementwise<"cast">("Cast", { to: ONNX_TYPE[node.attrs.to] })(node, lowering);

/** `condition ? dy : 0` as a product, which the runtime does faster than a selection. */
function masked(node: Node, lowering: Lowering, dy: string, condition: string): string {
  const mask = lowering.emit(node, "Cast", [condition], { to: ONNX_TYPE.float32 });
  return lowering.emit(node, "Mul", [dy, mask]);
}

export const lowerReluGrad: Rule<"reluGrad"> = (node, lowering) => {
  const [dy, y] = node.inputs as [Node, Node];
  const order = lowering.commonOrder([y, dy]);
  const positive = lowering.emit(node, "Greater", [lowering.value(y, order), lowering.model.float(0)]);
  lowering.define(node, masked(node, lowering, lowering.value(dy, order), positive), order);
};

/** The order in which channels come second, which is what the runtime's per-channel operators take. */
const channelsSecond = (node: Node) => (node.shape.length === 4 ? NCHW : PLAIN);

/** `x · scale + shift` per channel as one pass: a batch normalisation with mean 0 and variance 1. */
function channelAffine(node: Node, lowering: Lowering, x: string, scale: string, shift: string): string {
  const channels = Number(node.shape.at(-1));
  const vector = (value: number) =>
    lowering.model.initializer({
      dtype: "float32",
      shape: [channels],
      data: new Float32Array(channels).fill(value),
    });
  return lowering.emit(node, "BatchNormalization", [x, scale, shift, vector(0), vector(1)], {
    epsilon: { float: 0 },
  });
}

const ranksWithChannelsSecond = (node: Node) =>
  (node.shape.length === 2 || node.shape.length === 4) &&
  node.dtype === "float32" &&
  typeof node.shape.at(-1) === "number";

export const lowerAffine: Rule<"affine"> = (node, lowering) => {
  const [x, scale, shift] = node.inputs as [Node, Node, Node];
  if (ranksWithChannelsSecond(node)) {
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
  lowering.define(node, lowering.emit(node, "Add", [scaled, lowering.broadcastable(shift, order)]), order);
};

/** `relu(x) + slope · (x − relu(x))`: four plain passes, a fifth of the time of the runtime's PRelu. */
export const lowerPrelu: Rule<"prelu"> = (node, lowering) => {
  const [x, slope] = node.inputs as [Node, Node];
  const order = node.shape.length === 4 ? NCHW : PLAIN;
  const value = lowering.value(x, order);
  const positive = lowering.emit(node, "Relu", [value]);
  const negative = lowering.emit(node, "Sub", [value, positive]);
  const sloped = lowering.emit(node, "Mul", [negative, lowering.broadcastable(slope, order)]);
  lowering.define(node, lowering.emit(node, "Add", [positive, sloped]), order);
};

/** `dy · (slope + (1 − slope) · [x > 0])` */
export const lowerPreluGrad: Rule<"preluGrad"> = (node, lowering) => {
  const [dy, x, slope] = node.inputs as [Node, Node, Node];
  const order = channelsSecond(node);
  const { model } = lowering;
  const positive = lowering.emit(node, "Greater", [lowering.value(x, order), model.float(0)]);
  const mask = lowering.emit(node, "Cast", [positive], { to: ONNX_TYPE.float32 });
  const slopeValue = lowering.value(slope);
  const rest = lowering.emit(node, "Sub", [model.float(1), slopeValue]);
  const factor = ranksWithChannelsSecond(node)
    ? channelAffine(node, lowering, mask, rest, slopeValue)
    : lowering.emit(node, "Add", [lowering.emit(node, "Mul", [mask, rest]), slopeValue]);
  lowering.define(node, lowering.emit(node, "Mul", [lowering.value(dy, order), factor]), order);
};

/** Whether a node is the mean per channel that a variance beside it is taken from. */
function varianceOf(node: Node, lowering: Lowering): Node | undefined {
  return lowering.consumers(node).find((user) => user.op === "channelVariance" && user.inputs[1] === node);
}

/**
 * Mean and variance of each channel in two passes over x: batch normalisation in training mode with momentum 0 hands
 * out the batch's own statistics. The runtime writes them over the running statistics that go in, even over constants,
 * which layers may share; so what goes in are two vectors of this node's own, made from x, and of no influence.
 */
function lowerMoments(mean: Node, variance: Node, lowering: Lowering): void {
  const x = variance.inputs[0]!;
  const { model } = lowering;
  const channels = Number(x.shape.at(-1));
  const value = lowering.value(x, channelsSecond(x));
  const ones = model.initializer(float32([channels], new Float32Array(channels).fill(1)));
  const axes = x.shape
    .slice(1)
    .map((_, axis) => axis + 1)
    .filter((axis) => axis !== 1);
  const ends = [0, ...axes].map(() => 1);
  const corner = lowering.emit(variance, "Slice", [
    value,
    model.ints(ends.map(() => 0)),
    model.ints(ends),
    model.ints([0, ...axes]),
  ]);
  const scratch = lowering.emit(variance, "Reshape", [corner, model.ints([channels])]);
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
  if (lowering.isDefined(node)) return;
  const [x, mean] = node.inputs as [Node, Node];
  const order = x.shape.length === 4 ? lowering.commonOrder([x]) : PLAIN;
  const deviation = lowering.emit(node, "Sub", [
    lowering.value(x, order),
    lowering.broadcastable(mean, order),
  ]);
  const squared = lowering.emit(node, "Mul", [deviation, deviation]);
  const channel = x.shape.length === 4 ? physicalAxis(order, 3) : x.shape.length - 1;
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== channel);
  lowering.define(node, lowering.emit(node, "ReduceMean", [squared], { axes, keepdims: 0 }));
};

type ReduceName = "reduceSum" | "reduceMean" | "reduceMax" | "reduceMin" | "reduceProd";

/** A reduction over the physical places of its axes. */
export function reduce<K extends ReduceName>(op: string): Rule<K> {
  return (node, lowering) => {
    if (lowering.isDefined(node)) return;
    const x = node.inputs[0]!;
    const variance = node.op === "reduceMean" ? varianceOf(node, lowering) : undefined;
    if (variance !== undefined && ranksWithChannelsSecond(x)) lowerMoments(node, variance, lowering);
    else if (node.attrs.axes.length === 0)
      lowering.define(node, lowering.emit(node, "Identity", [lowering.value(x)]));
    else lowerReduction(node, op, lowering);
  };
}

function lowerReduction(node: Node<ReduceName>, op: string, lowering: Lowering): void {
  const x = node.inputs[0]!;
  const { axes, keepDims } = node.attrs;
  const image = x.shape.length === 4;
  // Without kept sides the remaining axes must come out in their own order, which a single one always does.
  const order = image && (keepDims || axes.length >= 3) ? lowering.commonOrder([x]) : PLAIN;
  const places = (image ? axes.map((axis) => physicalAxis(order, axis)) : [...axes]).toSorted(
    (a, b) => a - b,
  );
  const keepdims = keepDims ? 1 : 0;
  const input = lowering.value(x, order);
  const value =
    op === "ReduceSum"
      ? lowering.emit(node, op, [input, lowering.model.ints(places)], { keepdims })
      : lowering.emit(node, op, [input], { axes: places, keepdims });
  lowering.define(node, value, keepDims ? order : PLAIN);
}

export const lowerArgMax: Rule<"argMax"> = (node, lowering) => {
  const value = lowering.emit(node, "ArgMax", [lowering.value(node.inputs[0]!)], {
    axis: node.attrs.axis,
    keepdims: 0,
  });
  lowering.define(node, value);
};

export const lowerSide: Rule<"side"> = (node, lowering) => {
  const x = node.inputs[0]!;
  const order = x.shape.length === 4 ? lowering.commonOrder([x]) : PLAIN;
  const axis = x.shape.length === 4 ? physicalAxis(order, node.attrs.axis) : node.attrs.axis;
  const list = lowering.emit(node, "Shape", [lowering.value(x, order)], { start: axis, end: axis + 1 });
  lowering.define(node, lowering.emit(node, "Squeeze", [list]));
};

export const lowerSoftmax: Rule<"softmax"> = (node, lowering) => {
  lowering.define(
    node,
    lowering.emit(node, "Softmax", [lowering.value(node.inputs[0]!)], { axis: node.attrs.axis }),
  );
};
