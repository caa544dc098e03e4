/** @file Writes convolutions and pools as TensorFlow operators. */
import { FaceError } from "../../base/errors.ts";
import { type Tensor, tensor } from "../../base/tensor.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import { isOp, type Node, type Padding, type Pads, type Pair } from "../../graph/ops.ts";
import { elementsInside, resolvePads } from "../../graph/windows.ts";
import { type EmitContext, type EmitRule, type EmitRules, INDEX, trainingOnly } from "./emit-context.ts";
import { attr } from "./graph-writer.ts";

/** Less than any number a network computes, for margins of max pools. */
const LOWEST = -3.4028234663852886e38;

/** Two numbers for rows and columns as an attribute of four. */
const spatial = (pair: Pair) => attr.ints([1, ...pair, 1]);

const windowAttributes = (strides: Pair, padding: string) => ({
  data_format: attr.text("NHWC"),
  strides: spatial(strides),
  padding: attr.text(padding),
});

/** An image with explicit margins added, and the attribute for all other padding. */
function padded(
  x: Node,
  padding: Padding,
  fill: number,
  context: EmitContext,
): { x: string; padding: "SAME" | "VALID" } {
  if (padding === "same") return { x: context.value(x), padding: "SAME" };
  if (padding === "valid") return { x: context.value(x), padding: "VALID" };
  const { graph } = context;
  const margins = tensor("int32", [4, 2], Int32Array.from([0, 0, ...padding[0], ...padding[1], 0, 0]));
  const inputs = [context.value(x), graph.constant(margins, "paddings"), graph.float(fill)];
  return { x: context.operator(x, "PadV2", inputs, { Tpaddings: attr.type("int32") }), padding: "VALID" };
}

/** The kernel of a depthwise convolution as TensorFlow keeps it: `[height, width, channels, multiplier]`. */
function depthwiseKernel(kernel: Node, groups: number, context: EmitContext): string {
  const { graph } = context;
  const [height, width, , out] = kernel.shape.map(Number) as [number, number, number, number];
  const shape = [height, width, groups, out / groups];
  if (isOp(kernel, "constant")) {
    return graph.constant({ ...kernel.attrs.value, shape }, kernel.label ?? "depthwise_kernel");
  }
  const inputs = [context.value(kernel), graph.ints(shape)];
  return context.operator(kernel, "Reshape", inputs, { Tshape: attr.type("int32") });
}

/**
 * Whether a convolution is written as a depthwise one. TensorFlow computes those with dilations or with unequal strides by
 * oneDNN alone, which it does not use on all processors. As convolutions in groups they run everywhere.
 */
function isDepthwise({ attrs, inputs }: Node<"conv2d">): boolean {
  const { strides, dilations, groups } = attrs;
  const isPlain = strides[0] === strides[1] && dilations.every((step) => step === 1);
  return isPlain && groups > 1 && inputs[1]!.shape[2] === 1;
}

/** Whether BiasAdd may follow a convolution: TensorFlow fuses the two, and without oneDNN the fused one knows no groups. */
export const takesBiasAdd = (conv: Node<"conv2d">): boolean => conv.attrs.groups === 1 || isDepthwise(conv);

/**
 * Whether a convolution has one channel, strides along rows only, and one window in a row. With oneDNN, TensorFlow 2.21 computes
 * such a one wrongly; without strides it is right.
 */
function isOneColumn({ attrs, inputs, shape }: Node<"conv2d">): boolean {
  const [, , width, channels] = inputs[0]!.shape;
  const { strides, groups } = attrs;
  const isOfOne = groups === 1 && channels === 1 && shape[2] === 1 && typeof width === "number";
  return isOfOne && strides[0] === 1 && strides[1] > 1;
}

/** The same convolution without strides: of each row, the columns that its one window reads. */
function oneColumn(node: Node<"conv2d">, context: EmitContext): string {
  const [x, kernel] = node.inputs as [Node, Node];
  const { strides, padding, dilations } = node.attrs;
  const [rows, columns] = [Number(kernel.shape[0]), Number(kernel.shape[1])];
  // With a stride of 1, the margins of a column do not depend on its length.
  const size: Pair = [rows, Number(x.shape[2])];
  const margins = resolvePads(padding, size, [rows, columns], strides, dilations);
  const image = padded(x, margins, 0, context);
  const { graph } = context;
  const bounds = [
    [0, 0, 0, 0],
    [-1, -1, (columns - 1) * dilations[1] + 1, -1],
  ].map((each) => graph.ints(each));
  const read = context.operator(x, "Slice", [image.x, ...bounds], INDEX);
  return context.operator(node, "Conv2D", [read, context.value(kernel)], {
    ...windowAttributes([1, 1], image.padding),
    dilations: spatial(dilations),
  });
}

const conv2d: EmitRule<"conv2d"> = (node, context) => {
  if (isOneColumn(node)) return oneColumn(node, context);
  const [x, kernel] = node.inputs as [Node, Node];
  const { strides, padding, dilations, groups } = node.attrs;
  const image = padded(x, padding, 0, context);
  const attributes = { ...windowAttributes(strides, image.padding), dilations: spatial(dilations) };
  const depthwise = isDepthwise(node);
  const filter = depthwise ? depthwiseKernel(kernel, groups, context) : context.value(kernel);
  const op = depthwise ? "DepthwiseConv2dNative" : "Conv2D";
  return context.operator(node, op, [image.x, filter], attributes);
};

/** The kernel with zeros between its elements, as far apart as the dilations say. */
function dilatedKernel(kernel: Node, dilations: Pair, context: EmitContext): string {
  const { graph } = context;
  const [height, width, inputs, outputs] = kernel.shape.map(Number) as [number, number, number, number];
  const [down, right] = dilations;
  const toInt32 = { Tshape: attr.type("int32") };
  const apart = [context.value(kernel), graph.ints([height, 1, width, 1, inputs * outputs])];
  const zeros = tensor("int32", [5, 2], Int32Array.from([0, 0, 0, down - 1, 0, 0, 0, right - 1, 0, 0]));
  const filled = context.operator(
    kernel,
    "PadV2",
    [context.operator(kernel, "Reshape", apart, toInt32), graph.constant(zeros, "paddings"), graph.float(0)],
    { Tpaddings: attr.type("int32") },
  );
  const whole = [filled, graph.ints([height * down, width * right, inputs, outputs])];
  const sides = [(height - 1) * down + 1, (width - 1) * right + 1, inputs, outputs];
  const ends = [
    context.operator(kernel, "Reshape", whole, toInt32),
    graph.ints([0, 0, 0, 0]),
    graph.ints(sides),
  ];
  return context.operator(kernel, "Slice", ends, INDEX);
}

/**
 * The transposed convolution; its output's batch is that of its input, whatever it is at run time. TensorFlow takes dilations
 * by oneDNN alone, which it does not use on all processors, so they are in the kernel.
 */
const conv2dInputGrad: EmitRule<"conv2dInputGrad"> = (node, context) => {
  const { strides, padding, dilations, groups, inputSize } = node.attrs;
  if (groups > 1) return trainingOnly(node, context);
  const { graph } = context;
  const [dy, kernel] = node.inputs as [Node, Node];
  const isExplicit = padding !== "same" && padding !== "valid";
  const sizes = context.packed([
    context.sideOf(dy, 0, "int32", dy.label),
    ...inputSize.map((side) => graph.int(side)),
    graph.int(Number(node.shape[3])),
  ]);
  const isDilated = dilations.some((step) => step > 1);
  const filter = isDilated ? dilatedKernel(kernel, dilations, context) : context.value(kernel);
  return context.operator(node, "Conv2DBackpropInput", [sizes, filter, context.value(dy)], {
    ...windowAttributes(strides, isExplicit ? "EXPLICIT" : padding.toUpperCase()),
    ...(isExplicit && { explicit_paddings: attr.ints([0, 0, ...padding[0], ...padding[1], 0, 0]) }),
  });
};

/** How much of each window lies inside the image, one number per window. */
function windowShares(node: Node<"maxPool" | "avgPool">, pads: Pads): Tensor {
  const { size } = node.attrs;
  const [height, width] = [node.inputs[0]!.shape[1], node.inputs[0]!.shape[2]];
  if (typeof height !== "number" || typeof width !== "number") {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      "an average pool with explicit margins on an image of unknown size cannot be exported to TensorFlow",
    );
  }
  const out: Pair = [Number(node.shape[1]), Number(node.shape[2])];
  const [rows, columns] = elementsInside([height, width], out, node.attrs, pads);
  const shares = rows.flatMap((row) => columns.map((column) => (row / size[0]) * (column / size[1])));
  return fromNumbers(node.dtype, [1, ...out, 1], shares);
}

/** TensorFlow counts explicit margins as elements of an average, so each window is divided by its share of the image. */
const pool =
  (op: "MaxPool" | "AvgPool", fill: number): EmitRule<"maxPool" | "avgPool"> =>
  (node, context) => {
    const { size, strides, padding } = node.attrs;
    const image = padded(node.inputs[0]!, padding, fill, context);
    const attributes = { ...windowAttributes(strides, image.padding), ksize: spatial(size) };
    const pooled = context.operator(node, op, [image.x], attributes);
    if (typeof padding === "string" || op === "MaxPool") return pooled;
    const shares = context.graph.constant(windowShares(node, padding), "window_shares");
    return context.operator(node, "RealDiv", [pooled, shares]);
  };

export const imageRules = {
  conv2d,
  conv2dInputGrad,
  conv2dKernelGrad: trainingOnly,
  maxPool: pool("MaxPool", LOWEST),
  maxPoolGrad: trainingOnly,
  avgPool: pool("AvgPool", 0),
  avgPoolGrad: trainingOnly,
} satisfies Partial<EmitRules>;
