/** @file Lowering of convolutions and their derivatives by the input to the runtime's blocked operators. */
import type { Node, Pads, Pair } from "../../../graph/ops.ts";
import { resolvePads } from "../../../graph/windows.ts";
import { BLOCKS, type Lowering, NCHW, OIHW } from "../lowering.ts";
import { BLOCKED } from "../model-builder.ts";

/** Blocks hold 8 or 16 channels, depending on the processor; multiples of 16 fill both. */
export const BLOCK = 16;

export const imageOf = (x: Node): Pair => [Number(x.shape[1]), Number(x.shape[2])];

/** `[top, left, bottom, right]`, ONNX's order. */
export const padList = ([[top, bottom], [left, right]]: Pads): number[] => [top, left, bottom, right];

/** Places in a window, row by row. */
export const placesOf = ([rows, columns]: Pair): Pair[] =>
  Array.from({ length: rows * columns }, (_, i): Pair => [Math.floor(i / columns), i % columns]);

/** A kernel with both spatial axes reversed, the first of which is `axis`. */
export function flipped(
  node: Node,
  kernel: string,
  axis: number,
  [height, width]: Pair,
  lowering: Lowering,
): string {
  if (height === 1 && width === 1) return kernel;
  const { model } = lowering;
  const ends = model.ints([-height - 1, -width - 1]);
  const axes = model.ints([axis, axis + 1]);
  return lowering.emit(node, "Slice", [kernel, model.ints([-1, -1]), ends, axes, model.ints([-1, -1])]);
}

/** Images with fewer channels than the narrowest block are taken unblocked; only the output is blocked. */
const NARROWEST = 8;

const isWhole = (channels: number) => channels % BLOCK === 0;

export interface Sides {
  /** Channels in and out. */
  readonly channels: Pair;
  readonly kernel: Pair;
}

/** Whether a convolution takes an unblocked image of few channels and gives a blocked one. */
export const isThin = ({ channels: [inputs, outputs] }: Sides, lowering: Lowering): boolean =>
  lowering.settings.blockedOps && inputs < NARROWEST && isWhole(outputs);

/**
 * Whether blocked operators accept a convolution and are faster. A kernel of one pixel is a plain product, which gains less
 * than blocking the image costs; so does a kernel of few channels, unless the ops that follow stay blocked.
 */
function suits(x: Node, sides: Sides, staysBlocked: boolean, lowering: Lowering): boolean {
  const [inputs, outputs] = sides.channels;
  const isKnown = imageOf(x).every((side) => !Number.isNaN(side));
  const isPoint = sides.kernel[0] * sides.kernel[1] === 1;
  const pays = isWhole(inputs) ? !isPoint || lowering.isBlocked(x) : isThin(sides, lowering) && staysBlocked;
  return lowering.settings.blockedOps && isKnown && isWhole(outputs) && pays;
}

/**
 * The second step of blocking a kernel, after the channels of each filter: blocks the filters as if they were the channels
 * of one image. The memory layout is right for any block width.
 */
function filtersInBlocks(node: Node, kernel: string, sides: Sides, lowering: Lowering): string {
  const [inputs, outputs] = sides.channels;
  const elements = inputs * sides.kernel[0] * sides.kernel[1];
  const rows = lowering.reshaped(node, kernel, [1, outputs, elements, 1]);
  const blocked = lowering.emit(node, "ReorderInput", [rows], {}, BLOCKED);
  return lowering.reshaped(node, blocked, [outputs, inputs, ...sides.kernel]);
}

/** A kernel in blocks of channels in and out. */
export function blockedKernel(node: Node, kernel: string, sides: Sides, lowering: Lowering): string {
  const [inputs] = sides.channels;
  const each = isWhole(inputs) ? lowering.emit(node, "ReorderInput", [kernel], {}, BLOCKED) : kernel;
  return filtersInBlocks(node, each, sides, lowering);
}

/** A flipped kernel with input and output channels swapped; channels come last, so that flipping moves whole rows. */
function turnedKernel(node: Node, kernel: string, sides: Sides, lowering: Lowering): string {
  const behind = lowering.emit(node, "Transpose", [kernel], { perm: [1, 2, 3, 0] });
  const turned = flipped(node, behind, 1, sides.kernel, lowering);
  const each = lowering.emit(node, "ReorderInput", [turned], { channels_last: 1 }, BLOCKED);
  return filtersInBlocks(node, each, sides, lowering);
}

const imageFor = (x: Node, channels: number, lowering: Lowering) =>
  lowering.value(x, isWhole(channels) ? BLOCKS : NCHW);

export const sidesOf = (kernel: Node): Sides => {
  const [height, width, inputs, outputs] = kernel.shape.map(Number) as [number, number, number, number];
  return { channels: [inputs, outputs], kernel: [height, width] };
};

/** The relu after a convolution or its bias, if it is the only consumer. */
export function fusedRelu(node: Node, lowering: Lowering): Node | undefined {
  const next = lowering.onlyConsumer(node);
  return next?.op === "relu" ? next : undefined;
}

/** The sum with a bias that a convolution can include. */
export interface Fused {
  readonly sum: Node;
  readonly bias: Node;
}

/** Lowers a convolution with its bias and relu to blocked operators where they accept it. */
export function lowerWholeConv(node: Node<"conv2d">, fused: Fused | undefined, lowering: Lowering): boolean {
  const [x, kernel] = node.inputs as [Node, Node];
  const sides = sidesOf(kernel);
  const { groups, strides, dilations, padding } = node.attrs;
  const sum = fused?.sum ?? node;
  const relu = fusedRelu(sum, lowering);
  if (groups > 1 || !suits(x, sides, relu !== undefined, lowering)) return false;
  const filters = blockedKernel(node, lowering.value(kernel, OIHW), sides, lowering);
  const inputs = [imageFor(x, sides.channels[0], lowering), filters];
  if (fused !== undefined) inputs.push(lowering.leaf(fused.bias));
  const attributes = {
    kernel_shape: sides.kernel,
    strides,
    dilations,
    group: 1,
    pads: padList(resolvePads(padding, imageOf(x), sides.kernel, strides, dilations)),
    ...(relu === undefined ? {} : { activation: "Relu" }),
  };
  if (relu !== undefined) lowering.absorb(sum);
  lowering.define(relu ?? sum, lowering.emit(sum, "Conv", inputs, attributes, BLOCKED), BLOCKS);
  return true;
}

/** Lowers the derivative of a stride-1 convolution by its input: a convolution with the flipped kernel. */
export function lowerWholeInputGrad(
  node: Node<"conv2dInputGrad">,
  pads: readonly number[],
  lowering: Lowering,
): boolean {
  const [dy, kernel] = node.inputs as [Node, Node];
  const forward = sidesOf(kernel);
  const [outputs, inputs] = forward.channels;
  const sides: Sides = { channels: [inputs, outputs], kernel: forward.kernel };
  const { groups, dilations } = node.attrs;
  if (groups > 1 || !suits(dy, sides, false, lowering)) return false;
  const filters = turnedKernel(node, lowering.value(kernel, OIHW), sides, lowering);
  const attributes = { kernel_shape: sides.kernel, strides: [1, 1], dilations, group: 1, pads };
  lowering.result(node, BLOCKS, "Conv", [lowering.value(dy, BLOCKS), filters], attributes, BLOCKED);
  return true;
}
