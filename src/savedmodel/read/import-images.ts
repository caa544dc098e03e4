/** @file Imports TensorFlow's operators on images: convolutions, pools, normalisation, space to depth or batch and back. */
import { sizeOf } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import type { Margins } from "../../graph/import-call.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import { type ConvAttrs, isOp, type Node, type Padding, type Pair, type PoolAttrs } from "../../graph/ops.ts";
import { marginsOf } from "./import-moving.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];

function channelsFirst(call: OpCall): boolean {
  const format = call.text("data_format", "NHWC");
  if (format !== "NHWC" && format !== "NCHW") throw call.unsupported(`the layout ${format}`);
  return format === "NCHW";
}

/** Imports an image operator in our order of axes, whatever the graph's. */
export function onImages(call: OpCall, image: Node, work: (image: Node) => Node): Node {
  if (image.shape.length !== 4) throw call.invalid(`an image has 4 axes, not ${image.shape.length}`);
  return channelsFirst(call) ? g.transpose(work(g.transpose(image, TO_NHWC)), TO_NCHW) : work(image);
}

/** Height and width from a list of four in the graph's order; with `others` 1 the rest must be 1. */
function spatial(call: OpCall, list: readonly number[], others: 1 | "any" = 1): Pair {
  const [height, width] = channelsFirst(call) ? [2, 3] : [1, 2];
  if (list.length !== 4) throw call.invalid(`a list of four is needed, got ${list.length}`);
  const isPlain = list.every((step, axis) => axis === height || axis === width || step === 1);
  if (others === 1 && !isPlain) throw call.unsupported("a window over the batch or the channels");
  const pair: Pair = [list[height]!, list[width]!];
  if (!pair.every((side) => Number.isInteger(side) && side > 0)) {
    throw call.invalid(`sizes and steps are positive, got ${pair.join(" and ")}`);
  }
  return pair;
}

function paddingOf(call: OpCall): Padding {
  const padding = call.text("padding");
  if (padding === "SAME") return "same";
  if (padding === "VALID") return "valid";
  const list = call.ints("explicit_paddings");
  const at = channelsFirst(call) ? 4 : 2;
  if (padding !== "EXPLICIT" || list.length !== 8 || list.some((margin) => !(margin >= 0))) {
    throw call.invalid(`the padding ${padding} [${list.join(", ")}] is invalid`);
  }
  return [
    [list[at]!, list[at + 1]!],
    [list[at + 2]!, list[at + 3]!],
  ];
}

function convAttrs(call: OpCall, groups: number): ConvAttrs {
  return {
    strides: spatial(call, call.ints("strides")),
    padding: paddingOf(call),
    dilations: spatial(call, call.ints("dilations", [1, 1, 1, 1])),
    groups,
  };
}

function knownKernel(call: OpCall, kernel: Node): [number, number, number, number] {
  const known =
    kernel.shape.length === 4 && kernel.shape.every((side) => typeof side === "number" && side > 0);
  if (!known) throw call.unsupported("a kernel whose size is not known");
  return kernel.shape as [number, number, number, number];
}

const conv2D: Importer = (call) => {
  const kernel = call.input(1);
  const [, , perGroup] = knownKernel(call, kernel);
  return onImages(call, call.input(0), (image) => {
    const groups = Number(image.shape[3]) / perGroup;
    return g.conv2d(image, kernel, convAttrs(call, Number.isInteger(groups) && groups > 0 ? groups : 1));
  });
};

const depthwiseConv2D: Importer = (call) => {
  const kernel = call.input(1);
  const [height, width, channels, multiplier] = knownKernel(call, kernel);
  const ours = g.reshape(kernel, [height, width, 1, channels * multiplier]);
  return onImages(call, call.input(0), (image) => g.conv2d(image, ours, convAttrs(call, channels)));
};

/** A transposed convolution: the derivative of a convolution by its input, of the size in the first input. */
const conv2DBackpropInput: Importer = (call) => {
  const kernel = call.input(1);
  const sizes = call.partialInts(0).map((side) => (typeof side === "number" ? side : -1));
  const [, , perGroup] = knownKernel(call, kernel);
  const inputSize = spatial(call, sizes, "any");
  const channels = sizes[channelsFirst(call) ? 1 : 3] ?? -1;
  const groups = channels > 0 && channels % perGroup === 0 ? channels / perGroup : 1;
  return onImages(call, call.input(2), (dy) =>
    g.makeNode("conv2dInputGrad", [dy, kernel], { ...convAttrs(call, groups), inputSize }),
  );
};

const pool =
  (build: (x: Node, attrs: PoolAttrs) => Node): Importer =>
  (call) => {
    const listed = call.inputs.length === 3;
    const size = spatial(call, listed ? call.constants(1) : call.ints("ksize"));
    const strides = spatial(call, listed ? call.constants(2) : call.ints("strides"));
    return onImages(call, call.input(0), (image) =>
      build(image, { size, strides, padding: paddingOf(call) }),
    );
  };

const biasAdd: Importer = (call) => {
  const [x, bias] = [call.input(0), call.input(1)];
  if (x.shape.length === 4) return onImages(call, x, (image) => g.add(image, bias));
  if (channelsFirst(call) && x.shape.length !== 2)
    throw call.unsupported(`channels first at rank ${x.shape.length}`);
  return g.add(x, bias);
};

const fusedBatchNorm: Importer = (call) => {
  if (call.bool("is_training", true)) throw call.unsupported("batch normalisation in training mode");
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => call.input(i)) as [Node, Node, Node, Node];
  const scale = g.div(gamma, g.sqrt(g.add(variance, call.float("epsilon", 1e-4))));
  const shift = g.sub(beta, g.mul(mean, scale));
  const y = onImages(call, call.input(0), (image) => g.affine(image, scale, shift));
  return [y, mean, variance, mean, variance];
};

/** `x / (bias + alpha · Σ x²)^beta`, summed over neighbouring channels: a product with a band matrix. */
const localResponse: Importer = (call) => {
  const x = call.input(0);
  const channels = x.shape[3];
  const radius = call.int("depth_radius", 5);
  if (x.shape.length !== 4 || typeof channels !== "number" || channels > LARGEST_BAND) {
    throw call.unsupported("an unknown or very large number of channels");
  }
  const band = Array.from({ length: channels * channels }, (_, i) =>
    Math.abs((i % channels) - Math.floor(i / channels)) <= radius ? 1 : 0,
  );
  const sums = g.matmul(g.square(x), g.constant(fromNumbers(x.dtype, [channels, channels], band)));
  const base = g.add(g.mul(sums, call.float("alpha", 1)), call.float("bias", 1));
  return g.div(x, g.pow(base, call.float("beta", 0.5)));
};

const LARGEST_BAND = 1 << 11;

/** All sides but the batch, which must be known. */
function knownSides(call: OpCall, x: Node): number[] {
  const sides = x.shape.slice(1);
  if (sides.every((side) => typeof side === "number")) return sides;
  throw call.unsupported("an image of unknown size");
}

function blockSize(call: OpCall): number {
  const block = call.int("block_size");
  if (block < 1) throw call.invalid(`the block size ${block} is not positive`);
  return block;
}

const depthToSpace: Importer = (call) => {
  const block = blockSize(call);
  return onImages(call, call.input(0), (image) => {
    const [height, width, channels] = knownSides(call, image) as [number, number, number];
    const depth = channels / block ** 2;
    const apart = g.reshape(image, [-1, height, width, block, block, depth]);
    return g.reshape(g.transpose(apart, [0, 1, 3, 2, 4, 5]), [-1, height * block, width * block, depth]);
  });
};

const spaceToDepth: Importer = (call) => {
  const block = blockSize(call);
  return onImages(call, call.input(0), (image) => {
    const [height, width, channels] = knownSides(call, image) as [number, number, number];
    const apart = g.reshape(image, [-1, height / block, block, width / block, block, channels]);
    return g.reshape(g.transpose(apart, [0, 1, 3, 2, 4, 5]), [
      -1,
      height / block,
      width / block,
      channels * block ** 2,
    ]);
  });
};

/** The image and block shape behind the result of SpaceToBatchND. */
interface Dealt {
  readonly image: Node;
  readonly block: readonly number[];
}

/** Results of SpaceToBatchND: a convolution of one between it and BatchToSpaceND is a dilated convolution of the image. */
const dealtImages = new WeakMap<Node, Dealt>();

/** Margins along the first axes after the batch. */
function margins(call: OpCall, x: Node): Margins {
  const { before, after } = marginsOf(call, 2);
  const rest = x.shape.slice(1 + before.length).map(() => 0);
  return { before: [0, ...before, ...rest], after: [0, ...after, ...rest] };
}

function blockShape(call: OpCall): readonly number[] {
  const block = call.constants(1);
  if (block.length > 0 && block.every((side) => Number.isInteger(side) && side > 0)) return block;
  throw call.invalid(`the block shape [${block.join(", ")}] is not positive`);
}

const spaceToBatch: Importer = (call) => {
  const x = call.input(0);
  const block = blockShape(call);
  const { before, after } = margins(call, x);
  const image = g.pad(x, before, after);
  const sides = knownSides(call, image);
  const count = block.length;
  const shares = sides.flatMap((side, i) => (i < count ? [side / block[i]!, block[i]!] : [side]));
  const blocks = block.map((_, i) => 2 + 2 * i);
  const places = block.map((_, i) => 1 + 2 * i);
  const rest = sides.slice(count).map((_, i) => 1 + 2 * count + i);
  const dealt = g.reshape(
    g.transpose(g.reshape(image, [-1, ...shares]), [...blocks, 0, ...places, ...rest]),
    [-1, ...sides.map((side, i) => (i < count ? side / block[i]! : side))],
  );
  dealtImages.set(dealt, { image, block });
  return dealt;
};

/** The dilated convolution that is equal to a convolution of a result of SpaceToBatchND. */
function dilated(x: Node, block: readonly number[]): Node | undefined {
  if (!isOp(x, "conv2d") || block.length !== 2) return undefined;
  const dealt = dealtImages.get(x.inputs[0]!);
  const { strides, padding, dilations } = x.attrs;
  const isPlain = padding === "valid" && [...strides, ...dilations].every((step) => step === 1);
  if (dealt === undefined || !isPlain || dealt.block.some((side, i) => side !== block[i])) return undefined;
  return g.conv2d(dealt.image, x.inputs[1]!, { ...x.attrs, dilations: [block[0]!, block[1]!] });
}

const batchToSpace: Importer = (call) => {
  const x = call.input(0);
  const block = blockShape(call);
  const count = block.length;
  const { before, after } = margins(call, x);
  const together = dilated(x, block) ?? putTogether(x, block, knownSides(call, x));
  const whole = together.shape.map((_, axis) => axis > count || after[axis] === 0);
  const ends = together.shape.map((_, axis) => (whole[axis] ? Number.MAX_SAFE_INTEGER : -after[axis]!));
  return g.slice(together, before, ends);
};

function putTogether(x: Node, block: readonly number[], sides: readonly number[]): Node {
  const count = block.length;
  const apart = g.reshape(x, [...block, -1, ...sides]);
  const places = block.flatMap((_, i) => [count + 1 + i, i]);
  const rest = sides.slice(count).map((_, i) => 2 * count + 1 + i);
  const shape = sides.map((side, i) => (i < count ? side * block[i]! : side));
  return g.reshape(
    g.transpose(apart, [count, ...places, ...rest]),
    sizeOf(shape) === 0 ? shape : [-1, ...shape],
  );
}

export const imageImporters: Importers = {
  BiasAdd: biasAdd,
  BiasAddV1: biasAdd,
  Conv2D: conv2D,
  Conv2DBackpropInput: conv2DBackpropInput,
  DepthwiseConv2dNative: depthwiseConv2D,
  MaxPool: pool(g.maxPool),
  MaxPoolV2: pool(g.maxPool),
  AvgPool: pool(g.avgPool),
  FusedBatchNorm: fusedBatchNorm,
  FusedBatchNormV2: fusedBatchNorm,
  FusedBatchNormV3: fusedBatchNorm,
  LRN: localResponse,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  SpaceToBatchND: spaceToBatch,
  BatchToSpaceND: batchToSpace,
};
