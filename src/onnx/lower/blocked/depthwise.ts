/** @file Lowering of depthwise convolutions and their derivatives to the runtime's blocked operators. */
import type { ConvAttrs, Node, Pair } from "../../../graph/ops.ts";
import { resolvePads } from "../../../graph/windows.ts";
import { BLOCKS, type Lowering, OIHW } from "../lowering.ts";
import { BLOCKED } from "../model-builder.ts";
import { BLOCK, imageOf, padList } from "./lower-blocked.ts";

/** Whether a convolution has one kernel per channel and sizes that the blocked operators accept. */
function isBlocked(x: Node, kernel: readonly number[], { groups }: ConvAttrs, lowering: Lowering): boolean {
  const isDepthwise = groups > 1 && kernel[2] === 1 && kernel[3] === groups;
  const isKnown = x.shape.slice(1).every((side) => typeof side === "number");
  return lowering.settings.blockedOps && isDepthwise && isKnown && groups % BLOCK === 0;
}

/** A depthwise kernel `[channels, 1, height, width]` in blocks: the same memory as one image with as many channels. */
function blockedKernel(node: Node, kernel: string, channels: number, size: Pair, lowering: Lowering): string {
  const image = lowering.reshaped(node, kernel, [1, channels, ...size]);
  const blocked = lowering.emit(node, "ReorderInput", [image], {}, BLOCKED);
  return lowering.reshaped(node, blocked, [channels, 1, ...size]);
}

/** Lowers a convolution of the first input to a blocked operator, where that accepts it. */
function lowerDepthwise(
  node: Node<"conv2d" | "conv2dInputGrad">,
  lowering: Lowering,
  settings: (size: Pair) => { kernel: string; strides: Pair; pads: readonly number[] },
): boolean {
  const [x, kernelNode] = node.inputs as [Node, Node];
  const { groups, dilations } = node.attrs;
  const shape = kernelNode.shape.map(Number);
  if (!isBlocked(x, shape, node.attrs, lowering)) return false;
  const size: Pair = [shape[0]!, shape[1]!];
  const { kernel, strides, pads } = settings(size);
  const attributes = { group: groups, kernel_shape: size, strides, dilations, pads };
  const filters = blockedKernel(node, kernel, groups, size, lowering);
  lowering.result(node, BLOCKS, "Conv", [lowering.value(x, BLOCKS), filters], attributes, BLOCKED);
  return true;
}

/** Lowers a depthwise convolution to blocked operators where they accept it. */
export function lowerBlockedConv(node: Node<"conv2d">, lowering: Lowering): boolean {
  const [x, kernel] = node.inputs as [Node, Node];
  const { strides, dilations, padding } = node.attrs;
  return lowerDepthwise(node, lowering, (size) => {
    const pads = padList(resolvePads(padding, imageOf(x), size, strides, dilations));
    return { kernel: lowering.value(kernel, OIHW), strides, pads };
  });
}

/** Lowers the derivative of a stride-1 depthwise convolution by its input: the same convolution with a flipped kernel. */
export const lowerBlockedInputGrad = (
  node: Node<"conv2dInputGrad">,
  kernel: string,
  pads: readonly number[],
  lowering: Lowering,
): boolean => lowerDepthwise(node, lowering, () => ({ kernel, strides: [1, 1], pads }));

/**
 * Lowers the derivative by the kernel: each channel of each image convolved with the output's derivative as its kernel.
 * All channels of all images are the channels of one image here. A blocked depthwise kernel has the same memory layout as
 * an image, so the derivative needs no transposition. Strides and dilations swap roles.
 */
export function lowerBlockedKernelGrad(node: Node<"conv2dKernelGrad">, lowering: Lowering): boolean {
  const [x, dy] = node.inputs as [Node, Node];
  const { groups, strides, dilations, padding, kernelSize } = node.attrs;
  const kernel = [...kernelSize, Number(x.shape[3]) / groups, Number(dy.shape[3])];
  const batch = x.shape[0];
  if (typeof batch !== "number" || !isBlocked(x, kernel, node.attrs, lowering)) return false;
  const [image, out] = [imageOf(x), imageOf(dy)];
  const before = resolvePads(padding, image, kernelSize, strides, dilations).map(([first]) => first) as [
    number,
    number,
  ];
  // The bottom and right margins for which the output has as many positions as the kernel.
  const after = ([0, 1] as const).map((axis) => {
    const reach = (out[axis] - 1) * strides[axis] + 1;
    return (kernelSize[axis] - 1) * dilations[axis] + reach - image[axis] - before[axis];
  });
  if (after.some((margin) => margin < 0)) return false;
  const { model } = lowering;
  const channels = batch * groups;
  const all = lowering.reshaped(node, lowering.value(x, BLOCKS), [1, channels, ...image]);
  const filters = lowering.reshaped(node, lowering.value(dy, BLOCKS), [channels, 1, ...out]);
  const attributes = {
    group: channels,
    kernel_shape: out,
    strides: dilations,
    dilations: strides,
    pads: [...before, ...after],
  };
  const blocked = lowering.emit(node, "Conv", [all, filters], attributes, BLOCKED);
  const places = lowering.emit(node, "ReorderOutput", [blocked], { channels }, BLOCKED);
  const perImage = lowering.reshaped(node, places, [batch, groups, 1, ...kernelSize]);
  lowering.result(node, OIHW, "ReduceSum", [perImage, model.ints([0])], { keepdims: 0 });
  return true;
}
