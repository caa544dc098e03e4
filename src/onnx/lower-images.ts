/** @file Lowering of convolutions, pools and their derivatives to channels-second operators. */
import type { Node, OpAttrs, OpName, Padding, Pads, Pair } from "../graph/ops.ts";
import { resolvePads } from "../graph/shapes.ts";
import { type Lowering, NCHW, OIHW } from "./lowering.ts";
import { MICROSOFT, type NodeOptions } from "./model-builder.ts";

type Rule<K extends OpName> = (node: Node<K>, lowering: Lowering) => void;

const NO_DILATION: Pair = [1, 1];

const sizeOfImage = (node: Node): Pair => [Number(node.shape[1]), Number(node.shape[2])];
const sizeOfKernel = (kernel: Node): Pair => [Number(kernel.shape[0]), Number(kernel.shape[1])];

/** `[top, left, bottom, right]`, ONNX's order. */
const padList = ([[top, bottom], [left, right]]: Pads) => [top, left, bottom, right];

/** Margins as attributes; an image of unknown size leaves SAME to the runtime. */
function padAttributes(
  x: Node,
  padding: Padding,
  kernel: Pair,
  strides: Pair,
  dilations: Pair,
): NodeOptions["attributes"] {
  const size = sizeOfImage(x);
  if (padding === "same" && size.some(Number.isNaN)) return { auto_pad: "SAME_UPPER" };
  return { pads: padList(resolvePads(padding, size, kernel, strides, dilations)) };
}

/** The bias of a convolution, when adding it is all that is ever done with the result and it is at hand already. */
function fusedBias(conv: Node<"conv2d">, lowering: Lowering): { sum: Node; bias: Node } | undefined {
  const [sum, ...others] = lowering.consumers(conv);
  if (sum?.op !== "add" || others.length > 0) return undefined;
  const [x, bias] = sum.inputs;
  if (x !== conv || bias === undefined || bias.shape.length !== 1) return undefined;
  return bias.op === "parameter" || bias.op === "constant" ? { sum, bias } : undefined;
}

export const lowerConv2d: Rule<"conv2d"> = (node, lowering) => {
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
  const inputs = [lowering.value(x, NCHW), lowering.value(kernel, OIHW)];
  if (fused !== undefined) inputs.push(lowering.leaf(fused.bias));
  const value = lowering.model.node("Conv", inputs, { attributes, label: fused?.sum.label ?? node.label });
  lowering.define(fused?.sum ?? node, value, NCHW);
};

/** A kernel with both spatial axes reversed. */
function flipped(node: Node, kernel: string, [height, width]: Pair, lowering: Lowering): string {
  if (height === 1 && width === 1) return kernel;
  const { model } = lowering;
  const ends = model.ints([-height - 1, -width - 1]);
  return lowering.emit(node, "Slice", [
    kernel,
    model.ints([-1, -1]),
    ends,
    model.ints([2, 3]),
    model.ints([-1, -1]),
  ]);
}

/** The derivative of a stride-1 convolution by its input is a convolution with the kernel turned about. */
function inputGradAsConv(node: Node<"conv2dInputGrad">, pads: Pads, lowering: Lowering): string {
  const [dy, kernel] = node.inputs as [Node, Node];
  const { dilations, groups } = node.attrs;
  const size = sizeOfKernel(kernel);
  const depthwise = groups > 1;
  const oriented = depthwise
    ? lowering.value(kernel, OIHW)
    : lowering.emit(node, "Transpose", [lowering.value(kernel, OIHW)], { perm: [1, 0, 2, 3] });
  const [[top, bottom], [left, right]] = pads;
  const [reachY, reachX] = [dilations[0] * (size[0] - 1), dilations[1] * (size[1] - 1)];
  return lowering.emit(node, "Conv", [lowering.value(dy, NCHW), flipped(node, oriented, size, lowering)], {
    kernel_shape: size,
    dilations,
    group: groups,
    pads: [reachY - top, reachX - left, reachY - bottom, reachX - right],
  });
}

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
    lowering.define(node, inputGradAsConv(node, pads, lowering), NCHW);
    return;
  }
  const [outY, outX] = sizeOfImage(dy);
  // What the strides skipped at the far edge.
  const rest = (axis: 0 | 1, out: number) =>
    inputSize[axis] - ((out - 1) * strides[axis] - pads[axis][0] - pads[axis][1] + reach[axis] + 1);
  const value = lowering.emit(
    node,
    "ConvTranspose",
    [lowering.value(dy, NCHW), lowering.value(kernel, OIHW)],
    {
      kernel_shape: size,
      strides,
      dilations,
      group: groups,
      pads: padList(pads),
      output_padding: [rest(0, outY), rest(1, outX)],
    },
  );
  lowering.define(node, value, NCHW);
};

export const lowerMaxPool: Rule<"maxPool"> = (node, lowering) => {
  const x = node.inputs[0]!;
  const attributes = poolAttributes(x, node.attrs);
  const needsIndices = lowering
    .consumers(node)
    .some((user) => user.op === "maxPoolGrad" && user.inputs[2] === node);
  const outputs = lowering.model.nodes("MaxPool", [lowering.value(x, NCHW)], needsIndices ? 2 : 1, {
    attributes,
    label: node.label,
  });
  lowering.define(node, outputs[0]!, NCHW);
  if (needsIndices) lowering.keepIndices(node, outputs[1]!);
};

function poolAttributes(x: Node, { size, strides, padding }: OpAttrs["maxPool"]): NodeOptions["attributes"] {
  return { kernel_shape: size, strides, ...padAttributes(x, padding, size, strides, NO_DILATION) };
}

/** The derivative goes to the places the forward pass chose: the first maximum of each window. */
export const lowerMaxPoolGrad: Rule<"maxPoolGrad"> = (node, lowering) => {
  const [dy, x, y] = node.inputs as [Node, Node, Node];
  const { size, strides } = node.attrs;
  const { model } = lowering;
  const shape = [x.shape[0]!, x.shape[3]!, x.shape[1]!, x.shape[2]!].map(Number);
  const grad = lowering.value(dy, NCHW);
  const indices = lowering.indicesOf(y);
  if (size[0] <= strides[0] && size[1] <= strides[1]) {
    const unpooled = lowering.emit(node, "MaxUnpool", [grad, indices, model.ints(shape)], {
      kernel_shape: size,
      strides,
    });
    lowering.define(node, unpooled, NCHW);
    return;
  }
  // Windows overlap, so a place may be chosen several times: add up in a flat array.
  const flat = model.ints([-1]);
  const zeros = lowering.emit(node, "Expand", [
    model.float(0),
    model.ints([shape.reduce((a, b) => a * b, 1)]),
  ]);
  const inputs = [
    zeros,
    lowering.emit(node, "Reshape", [indices, flat]),
    lowering.emit(node, "Reshape", [grad, flat]),
  ];
  const summed = lowering.emit(node, "ScatterElements", inputs, { axis: 0, reduction: "add" });
  lowering.define(node, lowering.emit(node, "Reshape", [summed, model.ints(shape)]), NCHW);
};

export const lowerAvgPool: Rule<"avgPool"> = (node, lowering) => {
  const x = node.inputs[0]!;
  const value = lowering.emit(node, "AveragePool", [lowering.value(x, NCHW)], poolAttributes(x, node.attrs));
  lowering.define(node, value, NCHW);
};

/** How many of each window's elements lie inside the image, one number per window. */
function windowCounts(image: Pair, out: Pair, attrs: OpAttrs["maxPool"]): Float32Array {
  const pads = resolvePads(attrs.padding, image, attrs.size, attrs.strides);
  const along = (axis: 0 | 1) =>
    Array.from({ length: out[axis] }, (_, i) => {
      const start = i * attrs.strides[axis] - pads[axis][0];
      return Math.min(start + attrs.size[axis], image[axis]) - Math.max(start, 0);
    });
  return Float32Array.from(along(0).flatMap((rows) => along(1).map((columns) => rows * columns)));
}

/** Each window's share, spread over the window by a transposed convolution with ones, channel by channel. */
export const lowerAvgPoolGrad: Rule<"avgPoolGrad"> = (node, lowering) => {
  const dy = node.inputs[0]!;
  const { inputSize, size, strides, padding } = node.attrs;
  const { model } = lowering;
  const channels = Number(dy.shape[3]);
  const [outY, outX] = sizeOfImage(dy);
  const counts = windowCounts(inputSize, [outY, outX], node.attrs);
  const divisor = model.initializer({ dtype: "float32", shape: [1, 1, outY, outX], data: counts });
  const share = lowering.emit(node, "Div", [lowering.value(dy, NCHW), divisor]);
  const ones = new Float32Array(channels * size[0] * size[1]).fill(1);
  const kernel = model.initializer({ dtype: "float32", shape: [channels, 1, ...size], data: ones });
  const pads = resolvePads(padding, inputSize, size, strides);
  const rest = (axis: 0 | 1, out: number) =>
    inputSize[axis] - ((out - 1) * strides[axis] - pads[axis][0] - pads[axis][1] + size[axis]);
  const value = lowering.emit(node, "ConvTranspose", [share, kernel], {
    kernel_shape: size,
    strides,
    group: channels,
    pads: padList(pads),
    output_padding: [rest(0, outY), rest(1, outX)],
  });
  lowering.define(node, value, NCHW);
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
