/** @file Simplification rules for scales and shifts per channel: they are merged with each other and into kernels. */
import { isFloat } from "../base/tensor.ts";
import * as g from "./build.ts";
import { type ConvAttrs, isOp, type Node, type OpName } from "./ops.ts";
import { knownSize } from "./shape-rules.ts";

/** What a rule may ask about the graph around its node. */
export interface Surroundings {
  /** Whether only one node uses this value, so that merging it there saves work. */
  usedOnce(node: Node): boolean;
}

/** A better node of the same value, or undefined where the rule does not apply. */
export type Rule<K extends OpName> = (node: Node<K>, graph: Surroundings) => Node | undefined;
/** `x · scale + shift` per channel of the last axis; either may be missing. Both are `[]` or `[channels]`. */
interface ChannelMap {
  readonly x: Node;
  readonly scale?: Node | undefined;
  readonly shift?: Node | undefined;
}

type Linear = "neg" | "add" | "sub" | "mul" | "div" | "affine";

/** An operand with one number per channel of x, or one for all, as a vector or a scalar. */
function channelVector(operand: Node, x: Node): Node | undefined {
  const channels = x.shape.at(-1);
  if (operand.shape.length > x.shape.length) return undefined;
  if (operand.shape.every((dim) => dim === 1)) return g.reshape(operand, []);
  const onlyChannels = operand.shape.at(-1) === channels && knownSize(operand.shape) === channels;
  return onlyChannels ? g.reshape(operand, [Number(channels)]) : undefined;
}

const isConstant = (node: Node) => isOp(node, "constant");

/** Splits a sum, difference, product or quotient of x and a constant per channel. */
function channelMapOfBinary(node: Node<"add" | "sub" | "mul" | "div">): ChannelMap | undefined {
  const [a, b] = node.inputs as [Node, Node];
  const isSwapped = isConstant(a) && (node.op === "add" || node.op === "mul");
  const [x, operand] = isSwapped ? [b, a] : [a, b];
  const vector = isConstant(operand) && !isConstant(x) ? channelVector(operand, x) : undefined;
  if (vector === undefined) return undefined;
  if (node.op === "add") return { x, shift: vector };
  if (node.op === "sub") return { x, shift: g.neg(vector) };
  return { x, scale: node.op === "mul" ? vector : g.div(1, vector) };
}

/** The scale and shift that a node applies to its input, if they are constants per channel; x has the node's shape. */
function channelMap(node: Node): ChannelMap | undefined {
  if (!isFloat(node.dtype)) return undefined;
  if (isOp(node, "affine")) {
    const [x, scale, shift] = node.inputs as [Node, Node, Node];
    return isConstant(scale) && isConstant(shift) ? { x, scale, shift } : undefined;
  }
  if (isOp(node, "neg")) return { x: node.inputs[0]!, scale: g.scalar(-1, node.dtype) };
  const isBinary = isOp(node, "add") || isOp(node, "sub") || isOp(node, "mul") || isOp(node, "div");
  return isBinary ? channelMapOfBinary(node as Node<"add" | "sub" | "mul" | "div">) : undefined;
}

/** The single node for a scale and shift: a product, a sum, or both at once. */
function applied({ x, scale, shift }: ChannelMap): Node | undefined {
  if (shift === undefined) return scale === undefined ? x : g.mul(x, scale);
  if (scale === undefined) return g.add(x, shift);
  const channels = x.shape.at(-1);
  const isPerChannel = x.shape.length > 1 && scale.shape.length + shift.shape.length > 0;
  if (!isPerChannel || typeof channels !== "number") return undefined;
  return g.affine(x, g.broadcastTo(scale, [channels]), g.broadcastTo(shift, [channels]));
}

/** Two steps, each linear per channel with constants, are one: `(x·p + q)·s + t = x·(p·s) + (q·s + t)`. */
export const composeChannelwise: Rule<Linear> = (node, graph) => {
  const outer = channelMap(node);
  const inner = outer && graph.usedOnce(outer.x) ? channelMap(outer.x) : undefined;
  if (outer === undefined || inner === undefined) return undefined;
  const scaledShift = inner.shift && outer.scale ? g.mul(inner.shift, outer.scale) : inner.shift;
  return applied({
    x: inner.x,
    scale: inner.scale && outer.scale ? g.mul(inner.scale, outer.scale) : (inner.scale ?? outer.scale),
    shift: scaledShift && outer.shift ? g.add(scaledShift, outer.shift) : (scaledShift ?? outer.shift),
  });
};

/** A sum with the addend merged into the shift of an affine in it, if nothing else uses either. */
function shifted(sum: Node, addend: Node, graph: Surroundings): Node | undefined {
  if (!graph.usedOnce(sum)) return undefined;
  if (isOp(sum, "affine")) {
    const [x, scale, shift] = sum.inputs as [Node, Node, Node];
    const vector = channelVector(addend, x);
    return vector && g.affine(x, scale, g.add(shift, vector));
  }
  if (!isOp(sum, "add")) return undefined;
  const [a, b] = sum.inputs as [Node, Node];
  const left = shifted(a, addend, graph);
  const right = left === undefined ? shifted(b, addend, graph) : undefined;
  return left ? g.add(left, b) : right && g.add(a, right);
}

/**
 * `affine(x, p, q) + r = g.affine(x, p, q + r)` for any r with one number per channel, also where the affine is part
 * of a longer sum, as in the derivative of a batch normalisation.
 */
export const addIntoShift: Rule<"add"> = ({ inputs: [a, b] }, graph) =>
  shifted(a!, b!, graph) ?? shifted(b!, a!, graph);

/** A product with the scale of its output channels merged into its constant weights. */
function scaledProduct(product: Node, scale: Node): Node | undefined {
  const [x, weights] = product.inputs as [Node, Node];
  if (isOp(product, "conv2d") && isConstant(weights)) {
    return { ...g.conv2d(x, g.mul(weights, scale), product.attrs), label: product.label };
  }
  if (isOp(product, "matmul") && isConstant(weights)) {
    // Transposed weights hold a result's channel in a row.
    const perRow = scale.shape.length === 1 ? g.reshape(scale, [-1, 1]) : scale;
    const scaled = g.mul(weights, product.attrs.transposeB ? perRow : scale);
    return { ...g.matmul(x, scaled, product.attrs), label: product.label };
  }
  return undefined;
}

/** `conv2d(x, kernel) · s + t = g.conv2d(x, kernel · s) + t`, and the same for matrix products. */
export const scaleIntoProduct: Rule<Linear> = (node, graph) => {
  const { x, scale, shift } = channelMap(node) ?? {};
  if (x === undefined || scale === undefined || !graph.usedOnce(x)) return undefined;
  const product = scaledProduct(x, scale);
  return product && applied({ x: product, shift });
};

/** Whether a convolution never reads margins, whose zeros would not be scaled and shifted. */
function staysInside(kernel: Node, { padding }: ConvAttrs): boolean {
  if (padding === "valid") return true;
  if (padding === "same") return kernel.shape[0] === 1 && kernel.shape[1] === 1;
  return padding.flat().every((margin) => margin === 0);
}

/** `conv2d(x · s + t, kernel) = g.conv2d(x, kernel · s) + Σ kernel · t`: a scale and shift before a convolution are merged into it. */
export const channelsIntoKernel: Rule<"conv2d"> = ({ inputs: [y, kernel], attrs, label }, graph) => {
  if (!isConstant(kernel!) || attrs.groups !== 1 || !staysInside(kernel!, attrs)) return undefined;
  const { x, scale, shift } = (graph.usedOnce(y!) && channelMap(y!)) || {};
  if (x === undefined) return undefined;
  const perInput = (vector: Node) => (vector.shape.length === 0 ? vector : g.reshape(vector, [-1, 1]));
  const scaled = scale === undefined ? kernel! : g.mul(kernel!, perInput(scale));
  const product = { ...g.conv2d(x, scaled, attrs), label };
  if (shift === undefined) return product;
  return g.add(product, g.reduceSum(g.mul(kernel!, perInput(shift)), { axes: [0, 1, 2] }));
};
