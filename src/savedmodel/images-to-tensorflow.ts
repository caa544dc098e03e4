/** @file Convolutions and pools in TensorFlow's words. */
import { FaceError } from "../base/errors.ts";
import { type Tensor, tensor } from "../base/tensor.ts";
import { fromNumbers } from "../graph/numbers.ts";
import { isOp, type Node, type Padding, type Pads } from "../graph/ops.ts";
import { attr } from "./graph-writer.ts";
import { packed, type Rule, sideOf, trainingOnly, typed, type Writing } from "./writing.ts";

/** Padding as an attribute, or explicit margins put on beforehand. */
function padded(
  x: Node,
  padding: Padding,
  fill: number,
  { graph, value }: Writing,
): { x: string; padding: "SAME" | "VALID" } {
  if (padding === "same") return { x: value(x), padding: "SAME" };
  if (padding === "valid") return { x: value(x), padding: "VALID" };
  const margins = graph.constant(
    tensor("int32", [4, 2], Int32Array.from([0, 0, ...padding[0], ...padding[1], 0, 0])),
    "paddings",
  );
  const attributes = { ...typed(x), Tpaddings: attr.type("int32") };
  return {
    x: graph.node("PadV2", [value(x), margins, graph.float(fill)], attributes, x.label),
    padding: "VALID",
  };
}

const NHWC = { data_format: attr.text("NHWC") };

/** The kernel of a depthwise convolution as TensorFlow keeps it: `[height, width, channels, multiplier]`. */
function depthwiseKernel(kernel: Node, groups: number, { graph, value }: Writing): string {
  const [height, width, , out] = kernel.shape.map(Number) as [number, number, number, number];
  const shape = [height, width, groups, out / groups];
  if (isOp(kernel, "constant")) {
    return graph.constant({ ...kernel.attrs.value, shape }, kernel.label ?? "depthwise_kernel");
  }
  const attributes = { ...typed(kernel), Tshape: attr.type("int32") };
  return graph.node("Reshape", [value(kernel), graph.ints(shape)], attributes, kernel.label);
}

export const conv2d: Rule<"conv2d"> = (node, writing) => {
  const [x, kernel] = node.inputs as [Node, Node];
  const { strides, padding, dilations, groups } = node.attrs;
  const image = padded(x, padding, 0, writing);
  const attributes = {
    ...typed(node),
    ...NHWC,
    strides: attr.ints([1, ...strides, 1]),
    dilations: attr.ints([1, ...dilations, 1]),
    padding: attr.text(image.padding),
  };
  const depthwise = groups > 1 && kernel.shape[2] === 1;
  const filter = depthwise ? depthwiseKernel(kernel, groups, writing) : writing.value(kernel);
  return writing.graph.node(
    depthwise ? "DepthwiseConv2dNative" : "Conv2D",
    [image.x, filter],
    attributes,
    node.label,
  );
};

/** The transposed convolution; its output's batch is that of its input, whatever it is at run time. */
export const conv2dInputGrad: Rule<"conv2dInputGrad"> = (node, writing) => {
  const { strides, padding, dilations, groups, inputSize } = node.attrs;
  if (groups > 1) return trainingOnly(node, writing);
  const { graph, value } = writing;
  const dy = value(node.inputs[0]!);
  const explicit = padding !== "same" && padding !== "valid";
  const attributes = {
    ...typed(node),
    ...NHWC,
    strides: attr.ints([1, ...strides, 1]),
    dilations: attr.ints([1, ...dilations, 1]),
    padding: attr.text(explicit ? "EXPLICIT" : padding.toUpperCase()),
    ...(explicit ? { explicit_paddings: attr.ints([0, 0, ...padding[0], ...padding[1], 0, 0]) } : {}),
  };
  const sizes = packed(writing, [
    sideOf(writing, node.inputs[0]!, 0),
    ...inputSize.map((side) => graph.int(side)),
    graph.int(Number(node.shape[3])),
  ]);
  return graph.node("Conv2DBackpropInput", [sizes, value(node.inputs[1]!), dy], attributes, node.label);
};

/** Less than any number a network computes, for margins of max pools. */
const LOWEST = -3.4028234663852886e38;

/** How much of each window lies inside the image, one number per window. */
function windowShares(node: Node<"maxPool" | "avgPool">, pads: Pads): Tensor {
  const { size, strides } = node.attrs;
  const [height, width] = [node.inputs[0]!.shape[1], node.inputs[0]!.shape[2]];
  if (typeof height !== "number" || typeof width !== "number") {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      "an average pool with explicit margins on an image of unknown size cannot be exported to TensorFlow",
    );
  }
  const along = (axis: 0 | 1, side: number) =>
    Array.from({ length: Number(node.shape[axis + 1]) }, (_, i) => {
      const start = i * strides[axis] - pads[axis][0];
      return (Math.min(start + size[axis], side) - Math.max(start, 0)) / size[axis];
    });
  const columns = along(1, width);
  const shares = along(0, height).flatMap((rows) => columns.map((share) => rows * share));
  return fromNumbers(node.dtype, [1, Number(node.shape[1]), Number(node.shape[2]), 1], shares);
}

/** Margins of an average pool do not count, but what TensorFlow is given as margins does: each window is divided by its share. */
export const pool =
  (op: "MaxPool" | "AvgPool"): Rule<"maxPool" | "avgPool"> =>
  (node, writing) => {
    const { size, strides, padding } = node.attrs;
    const image = padded(node.inputs[0]!, padding, op === "MaxPool" ? LOWEST : 0, writing);
    const attributes = {
      ...typed(node),
      ...NHWC,
      ksize: attr.ints([1, ...size, 1]),
      strides: attr.ints([1, ...strides, 1]),
      padding: attr.text(image.padding),
    };
    const pooled = writing.graph.node(op, [image.x], attributes, node.label);
    if (typeof padding === "string" || op === "MaxPool") return pooled;
    const shares = writing.graph.constant(windowShares(node, padding), "window_shares");
    return writing.graph.node("RealDiv", [pooled, shares], typed(node), node.label);
  };
