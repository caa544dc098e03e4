/** @file Lowering of convolutions, pools and their derivatives to channels-second operators. */
import type { Node, Padding, Pads, Pair } from "../../graph/ops.ts";
import { elementsInside, resolvePads } from "../../graph/windows.ts";
import { ONNX_TYPE } from "../dtypes.ts";
import { lowerBlockedConv, lowerBlockedInputGrad } from "./blocked/depthwise.ts";
import type { Fused } from "./blocked/lower-blocked.ts";
import { flipped, imageOf, lowerWholeConv, lowerWholeInputGrad, padList } from "./blocked/lower-blocked.ts";
import { lowerConvInParts, lowerPoolGradInParts } from "./blocked/parts.ts";
import { BLOCKS, type Lowering, NCHW, OIHW, type Rule } from "./lowering.ts";
import { BLOCKED, MICROSOFT, type NodeOptions } from "./model-builder.ts";

const NO_DILATION: Pair = [1, 1];

const sizeOfKernel = (kernel: Node): Pair => [Number(kernel.shape[0]), Number(kernel.shape[1])];

/** Margins as attributes; for an image of unknown size the runtime computes SAME. */
function padAttributes(
  x: Node,
  padding: Padding,
  kernel: Pair,
  strides: Pair,
  dilations: Pair,
): NodeOptions["attributes"] & object {
  const size = imageOf(x);
  if (padding === "same" && size.some(Number.isNaN)) return { auto_pad: "SAME_UPPER" };
  return { pads: padList(resolvePads(padding, size, kernel, strides, dilations)) };
}

/** The bias of a convolution, if its sum is the only consumer and the bias is a leaf. */
function fusedBias(conv: Node<"conv2d">, lowering: Lowering): Fused | undefined {
  const sum = lowering.onlyConsumer(conv);
  if (sum?.op !== "add") return undefined;
  const bias = sum.inputs[sum.inputs[0] === conv ? 1 : 0]!;
  const fits = bias.shape.length === 1 && bias.shape[0] === conv.shape[3] && sum.shape.length === 4;
  return fits && (bias.op === "parameter" || bias.op === "constant") ? { sum, bias } : undefined;
}

export const lowerConv2d: Rule<"conv2d"> = (node, lowering) => {
  if (lowerBlockedConv(node, lowering)) return;
  const [x, kernel] = node.inputs as [Node, Node];
  const { strides, padding, dilations, groups } = node.attrs;
  const size = sizeOfKernel(kernel);
  const attributes = {
    kernel_shape: size,
    strides,
    dilations,
    group: groups,
    ...padAttributes(x, padding, size, strides, dilations),
  };
  const fused = fusedBias(node, lowering);
  if (lowerConvInParts(node, fused, lowering)) return;
  if (lowerWholeConv(node, fused, lowering)) return;
  const inputs = [lowering.value(x, NCHW), lowering.value(kernel, OIHW)];
  if (fused !== undefined) inputs.push(lowering.leaf(fused.bias));
  const value = lowering.model.node("Conv", inputs, { attributes, label: fused?.sum.label ?? node.label });
  lowering.define(fused?.sum ?? node, value, NCHW);
};

/** The derivative of a stride-1 convolution by its input is a convolution with the flipped kernel. */
function lowerInputGradAsConv(node: Node<"conv2dInputGrad">, pads: Pads, lowering: Lowering): void {
  const [dy, kernel] = node.inputs as [Node, Node];
  const { dilations, groups } = node.attrs;
  const size = sizeOfKernel(kernel);
  const [[top, bottom], [left, right]] = pads;
  const [reachY, reachX] = [dilations[0] * (size[0] - 1), dilations[1] * (size[1] - 1)];
  const margins = [reachY - top, reachX - left, reachY - bottom, reachX - right];
  if (lowerWholeInputGrad(node, margins, lowering)) return;
  const depthwise = groups > 1;
  const oriented = depthwise
    ? lowering.value(kernel, OIHW)
    : lowering.emit(node, "Transpose", [lowering.value(kernel, OIHW)], { perm: [1, 0, 2, 3] });
  const turned = flipped(node, oriented, 2, size, lowering);
  if (lowerBlockedInputGrad(node, turned, margins, lowering)) return;
  lowering.result(node, NCHW, "Conv", [lowering.value(dy, NCHW), turned], {
    kernel_shape: size,
    dilations,
    group: groups,
    pads: margins,
  });
}

/** The rows and columns of an input that the strides skipped at the far edge. */
const skippedEdge = ({ inputs, attrs }: Node<"conv2dInputGrad" | "avgPoolGrad">, pads: Pads, reach: Pair) =>
  imageOf(inputs[0]!).map((out, i) => {
    const axis = i as 0 | 1;
    const [before, after] = pads[axis];
    return attrs.inputSize[axis] - ((out - 1) * attrs.strides[axis] - before - after + reach[axis] + 1);
  });

export const lowerConv2dInputGrad: Rule<"conv2dInputGrad"> = (node, lowering) => {
  const [dy, kernel] = node.inputs as [Node, Node];
  const { strides, padding, dilations, groups, inputSize } = node.attrs;
  const size = sizeOfKernel(kernel);
  const pads = resolvePads(padding, inputSize, size, strides, dilations);
  const depthwise = groups > 1 && groups === Number(kernel.shape[3]) && Number(kernel.shape[2]) === 1;
  const unit = strides[0] === 1 && strides[1] === 1;
  const reach: Pair = [dilations[0] * (size[0] - 1), dilations[1] * (size[1] - 1)];
  const fits = pads.every((pair, axis) => pair.every((margin) => margin <= reach[axis as 0 | 1]));
  if (unit && fits && (groups === 1 || depthwise)) {
    lowerInputGradAsConv(node, pads, lowering);
    return;
  }
  lowering.result(node, NCHW, "ConvTranspose", [lowering.value(dy, NCHW), lowering.value(kernel, OIHW)], {
    kernel_shape: size,
    strides,
    dilations,
    group: groups,
    pads: padList(pads),
    output_padding: skippedEdge(node, pads, reach),
  });
};

/** A pool; that of a blocked image is blocked too. */
export const lowerPool =
  (op: "MaxPool" | "AveragePool"): Rule<"maxPool" | "avgPool"> =>
  (node, lowering) => {
    const x = node.inputs[0]!;
    const { size, strides, padding } = node.attrs;
    const margins = padAttributes(x, padding, size, strides, NO_DILATION);
    const [order, domain] = lowering.isBlocked(x) ? [BLOCKS, BLOCKED] : [NCHW, ""];
    const attributes = { kernel_shape: size, strides, ...margins };
    lowering.result(node, order, op, [lowering.value(x, order)], attributes, domain);
  };

/** 1 where both are equal, else 0. */
function hits(node: Node, lowering: Lowering, x: string, y: string): string {
  const equal = lowering.early(node, lowering.emit(node, "Equal", [x, y]));
  return lowering.emit(node, "Cast", [equal], { to: ONNX_TYPE.float32 });
}

/** Each element repeated over a block, image by image. */
export function repeated(node: Node, lowering: Lowering, value: string, [height, width]: Pair): string {
  const scales = lowering.model.initializer({
    dtype: "float32",
    shape: [4],
    data: Float32Array.of(1, 1, height, width),
  });
  return lowering.emit(node, "Resize", [value, "", scales], {
    mode: "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  });
}

/**
 * Windows that tile the image: elements equal to the window's maximum share its derivative. The runtime can compute the
 * indices of the maxima, but that takes four times as long as all of this.
 */
function lowerTiledMaxPoolGrad(node: Node<"maxPoolGrad">, lowering: Lowering): void {
  const { size, strides } = node.attrs;
  const [order, domain] = lowering.isBlocked(node.inputs[1]!) ? [BLOCKS, BLOCKED] : [NCHW, ""];
  const [dy, x, y] = node.inputs.map((input) => lowering.value(input, order)) as [string, string, string];
  const spread = (value: string) =>
    order === BLOCKS
      ? lowering.emit(node, "Upsample", [value], { scales: [1, 1, ...size] }, BLOCKED)
      : repeated(node, lowering, value, size);
  const mask = hits(node, lowering, x, spread(y));
  const share = lowering.emit(node, "AveragePool", [mask], { kernel_shape: size, strides }, domain);
  const count = lowering.emit(node, "Mul", [share, lowering.model.float(size[0] * size[1])]);
  const each = lowering.emit(node, "Div", [dy, count]);
  lowering.result(node, order, "Mul", [mask, spread(each)]);
}

/** Less than any pixel, so that a margin is never the maximum; finite, because it is multiplied by zero below. */
const LOWEST = -3e38;

/**
 * Any windows: a convolution with one-hot kernels turns the elements of each window into channels; its transpose puts the
 * shares back and sums them where windows overlap.
 */
function generalMaxPoolGrad(node: Node<"maxPoolGrad">, lowering: Lowering): string {
  const [dy, x, y] = node.inputs as [Node, Node, Node];
  const { size, strides, padding } = node.attrs;
  const { model } = lowering;
  const [batch, height, width, channels] = x.shape.map(Number) as [number, number, number, number];
  const [outY, outX] = imageOf(dy);
  const [[top, bottom], [left, right]] = resolvePads(padding, [height, width], size, strides);
  const places = size[0] * size[1];
  const oneHot = new Float32Array(channels * places * places);
  for (let i = 0; i < channels * places; i++) oneHot[i * places + (i % places)] = 1;
  const kernel = model.initializer({
    dtype: "float32",
    shape: [channels * places, 1, ...size],
    data: oneHot,
  });
  const attributes = { kernel_shape: size, strides, group: channels };
  const margins = model.ints([0, 0, top, left, 0, 0, bottom, right]);
  const padded = lowering.emit(node, "Pad", [lowering.value(x, NCHW), margins, model.float(LOWEST)]);
  const elements = lowering.emit(node, "Conv", [padded, kernel], attributes);
  const perWindow = (value: string, each: number) =>
    lowering.reshaped(node, value, [batch, channels, each, outY, outX]);
  const mask = hits(node, lowering, perWindow(elements, places), perWindow(lowering.value(y, NCHW), 1));
  const count = lowering.emit(node, "ReduceSum", [mask, model.ints([2])], { keepdims: 1 });
  const each = lowering.emit(node, "Div", [perWindow(lowering.value(dy, NCHW), 1), count]);
  const shares = lowering.emit(node, "Mul", [mask, each]);
  const flat = lowering.reshaped(node, shares, [batch, channels * places, outY, outX]);
  // The image includes what the windows do not reach at the far edge.
  const rest = [height + top + bottom, width + left + right].map(
    (side, axis) => side - (([outY, outX][axis]! - 1) * strides[axis as 0 | 1] + size[axis as 0 | 1]),
  );
  const placed = lowering.emit(node, "ConvTranspose", [flat, kernel], attributes);
  const restored = lowering.emit(node, "Pad", [placed, model.ints([0, 0, 0, 0, 0, 0, ...rest])]);
  const crop = [model.ints([top, left]), model.ints([top + height, left + width]), model.ints([2, 3])];
  return lowering.emit(node, "Slice", [restored, ...crop]);
}

export const lowerMaxPoolGrad: Rule<"maxPoolGrad"> = (node, lowering) => {
  if (lowerPoolGradInParts(node, lowering)) return;
  const { size, strides, padding } = node.attrs;
  const image = imageOf(node.inputs[1]!);
  const pads = resolvePads(padding, image, size, strides).flat();
  const tiled = ([0, 1] as const).every(
    (axis) => size[axis] === strides[axis] && image[axis] % size[axis] === 0,
  );
  const unpadded = pads.every((margin) => margin === 0);
  if (tiled && unpadded) lowerTiledMaxPoolGrad(node, lowering);
  else lowering.define(node, generalMaxPoolGrad(node, lowering), NCHW);
};

/** Each window's share, spread over the window by a transposed convolution with ones, channel by channel. */
export const lowerAvgPoolGrad: Rule<"avgPoolGrad"> = (node, lowering) => {
  const dy = node.inputs[0]!;
  const { inputSize, size, strides, padding } = node.attrs;
  const { model } = lowering;
  const channels = Number(dy.shape[3]);
  const [outY, outX] = imageOf(dy);
  const pads = resolvePads(padding, inputSize, size, strides);
  const [rows, columns] = elementsInside(inputSize, [outY, outX], node.attrs, pads);
  const counts = Float32Array.from(rows.flatMap((row) => columns.map((column) => row * column)));
  const divisor = model.initializer({ dtype: "float32", shape: [1, 1, outY, outX], data: counts });
  const share = lowering.emit(node, "Div", [lowering.value(dy, NCHW), divisor]);
  const ones = new Float32Array(channels * size[0] * size[1]).fill(1);
  const kernel = model.initializer({ dtype: "float32", shape: [channels, 1, ...size], data: ones });
  lowering.result(node, NCHW, "ConvTranspose", [share, kernel], {
    kernel_shape: size,
    strides,
    group: channels,
    pads: padList(pads),
    output_padding: skippedEdge(node, pads, [size[0] - 1, size[1] - 1]),
  });
};

/** Matrix product with either side transposed, over batches of matrices. */
export function batchedProduct(
  node: Node,
  lowering: Lowering,
  a: string,
  b: string,
  transposeA: boolean,
  transposeB: boolean,
): string {
  if (!transposeA && !transposeB) return lowering.emit(node, "MatMul", [a, b]);
  const attributes = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
  return lowering.emit(node, "FusedMatMul", [a, b], attributes, MICROSOFT);
}
