/** @file Derivative of a convolution by its kernel: products of shifted images with the output's derivative. */
import type { Node, Pads, Pair } from "../../graph/ops.ts";
import { resolvePads } from "../../graph/windows.ts";
import { lowerBlockedKernelGrad } from "./blocked/depthwise.ts";
import { placesOf } from "./blocked/lower-blocked.ts";
import { lowerKernelGradInParts } from "./blocked/parts.ts";
import { batchedProduct } from "./images.ts";
import { type Lowering, NCHW, OIHW, type Perm, PLAIN, permuted, physicalAxis } from "./lowering.ts";

interface Geometry {
  readonly batch: number;
  readonly groups: number;
  /** Channels in and out. */
  readonly channels: Pair;
  readonly out: Pair;
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  readonly pads: Pads;
  readonly image: Pair;
}

function geometryOf(node: Node<"conv2dKernelGrad">): Geometry {
  const [x, dy] = node.inputs as [Node, Node];
  const { kernelSize, strides, dilations, groups, padding } = node.attrs;
  const image: Pair = [Number(x.shape[1]), Number(x.shape[2])];
  return {
    batch: Number(x.shape[0]),
    groups,
    channels: [Number(x.shape[3]), Number(dy.shape[3])],
    out: [Number(dy.shape[1]), Number(dy.shape[2])],
    kernel: kernelSize,
    strides,
    dilations,
    pads: resolvePads(padding, image, kernelSize, strides, dilations),
    image,
  };
}

/** For a kernel position (row, column), the elements under it as an image of the output's size. */
type Shifted = (position: Pair) => string;

interface Placed {
  readonly value: string;
  readonly order: Perm;
}

/** Margins of rows and columns as Pad takes them. */
function marginList(order: Perm, [rows, columns]: Pads, lowering: Lowering): string | undefined {
  const list = [0, 1].flatMap((end) => permuted(order, [0, rows[end]!, columns[end]!, 0]));
  return list.every((margin) => margin === 0) ? undefined : lowering.model.ints(list);
}

/** With stride 1, one Pad with possibly negative margins shifts, crops and fills in a single copy. */
function shiftedByPads(node: Node, lowering: Lowering, { value, order }: Placed, g: Geometry): Shifted {
  return (position) => {
    const margins = ([0, 1] as const).map((axis): Pair => {
      const before = g.pads[axis][0] - position[axis] * g.dilations[axis];
      return [before, g.out[axis] - g.image[axis] - before];
    }) as unknown as Pads;
    const list = marginList(order, margins, lowering);
    return list === undefined ? value : lowering.emit(node, "Pad", [value, list]);
  };
}

/** With strides, the image is padded once and each position takes every stride-th row and column of it. */
function shiftedBySlices(node: Node, lowering: Lowering, { value, order }: Placed, g: Geometry): Shifted {
  const { model } = lowering;
  const list = marginList(order, g.pads, lowering);
  const padded = list === undefined ? value : lowering.emit(node, "Pad", [value, list]);
  const axes = model.ints([physicalAxis(order, 1), physicalAxis(order, 2)]);
  return (position) => {
    const starts = ([0, 1] as const).map((axis) => position[axis] * g.dilations[axis]);
    const ends = starts.map(
      (start, axis) => start + (g.out[axis as 0 | 1] - 1) * g.strides[axis as 0 | 1] + 1,
    );
    const bounds = [model.ints(starts), model.ints(ends), axes, model.ints(g.strides)];
    return lowering.emit(node, "Slice", [padded, ...bounds]);
  };
}

function shiftedIn(order: Perm, node: Node<"conv2dKernelGrad">, lowering: Lowering, g: Geometry): Shifted {
  const strided = g.strides[0] > 1 || g.strides[1] > 1;
  const value = lowering.value(node.inputs[0]!, order);
  return (strided ? shiftedBySlices : shiftedByPads)(node, lowering, { value, order }, g);
}

/** `[out, in / groups]` for one kernel position, for one group or a full convolution. */
function product(node: Node, lowering: Lowering, dy: string, moved: string, g: Geometry): string {
  const { model } = lowering;
  const [inputs, outputs] = g.channels;
  const area = g.out[0] * g.out[1];
  if (g.groups === 1) {
    const flat = lowering.reshaped(node, moved, [g.batch, inputs, area]);
    const perImage = batchedProduct(node, lowering, dy, flat, false, true);
    return lowering.emit(node, "ReduceSum", [perImage, model.ints([0])], { keepdims: 0 });
  }
  if (g.groups === inputs && inputs === outputs) {
    const flat = lowering.reshaped(node, moved, [g.batch, inputs, area]);
    const weighted = lowering.emit(node, "Mul", [dy, flat]);
    const summed = lowering.emit(node, "ReduceSum", [weighted, model.ints([0, 2])], { keepdims: 0 });
    return lowering.reshaped(node, summed, [outputs, 1]);
  }
  const grouped = (value: string, channels: number) =>
    lowering.reshaped(node, value, [g.batch, g.groups, channels / g.groups, area]);
  const perImage = batchedProduct(node, lowering, grouped(dy, outputs), grouped(moved, inputs), false, true);
  const summed = lowering.emit(node, "ReduceSum", [perImage, model.ints([0])], { keepdims: 0 });
  return lowering.reshaped(node, summed, [outputs, inputs / g.groups]);
}

/** All positions at once: shifted images joined as channels, one product. Faster where channels are few. */
function stackedProduct(node: Node, lowering: Lowering, shifted: Shifted, dy: string, g: Geometry): string {
  const { model } = lowering;
  const positions = placesOf(g.kernel);
  const area = g.out[0] * g.out[1];
  const moved = positions.map((at) =>
    lowering.reshaped(node, shifted(at), [g.batch, g.channels[0], 1, area]),
  );
  const columns = lowering.emit(node, "Concat", moved, { axis: 2 });
  const flat = lowering.reshaped(node, columns, [g.batch, positions.length * g.channels[0], area]);
  const perImage = batchedProduct(node, lowering, dy, flat, false, true);
  const summed = lowering.emit(node, "ReduceSum", [perImage, model.ints([0])], { keepdims: 0 });
  return lowering.reshaped(node, summed, [g.channels[1], g.channels[0], ...g.kernel]);
}

/**
 * A product per kernel position over all images at once: channels first in one factor and last in the other, so that
 * neither is transposed within the product, and no sum over images remains.
 */
function deepProducts(node: Node<"conv2dKernelGrad">, lowering: Lowering, g: Geometry): string[] {
  const depth = g.batch * g.out[0] * g.out[1];
  const dy = lowering.value(node.inputs[1]!, CHANNELS_FIRST);
  const flatDy = lowering.reshaped(node, dy, [g.channels[1], depth]);
  const shifted = shiftedIn(PLAIN, node, lowering, g);
  return placesOf(g.kernel).map((at) => {
    const flat = lowering.reshaped(node, shifted(at), [depth, g.channels[0]]);
    return lowering.emit(node, "MatMul", [flatDy, flat]);
  });
}

/**
 * One kernel from kernels of one position each. Joining them in front and transposing the whole would be faster if the
 * runtime did not rewrite a transposition that comes before a reshape.
 */
function concatPositions(
  node: Node,
  lowering: Lowering,
  pieces: readonly string[],
  shape: readonly number[],
): string {
  const { model } = lowering;
  const kernel = model.ints(shape);
  if (pieces.length === 1) return lowering.emit(node, "Reshape", [pieces[0]!, kernel]);
  const single = model.ints([shape[0]!, shape[1]!, 1]);
  const columns = pieces.map((piece) => lowering.emit(node, "Reshape", [piece, single]));
  return lowering.emit(node, "Reshape", [lowering.emit(node, "Concat", columns, { axis: 2 }), kernel]);
}

/** Channels, batch, height, width. */
const CHANNELS_FIRST: Perm = [3, 0, 1, 2];

/** Below this many channels a product per kernel position is too small to be efficient. */
const THIN_CHANNELS = 16;
/** From this many pixels on a product per image is as fast and needs no transposition. */
const LARGE_AREA = 900;

export function lowerConv2dKernelGrad(node: Node<"conv2dKernelGrad">, lowering: Lowering): void {
  if (lowerBlockedKernelGrad(node, lowering) || lowerKernelGradInParts(node, lowering)) return;
  const g = geometryOf(node);
  const area = g.out[0] * g.out[1];
  const thin = g.channels[0] < THIN_CHANNELS;
  const rows = [g.channels[1], g.channels[0] / g.groups];
  const define = (products: readonly string[]) =>
    lowering.define(node, concatPositions(node, lowering, products, [...rows, ...g.kernel]), OIHW);
  const places = g.kernel[0] * g.kernel[1];
  if (g.groups === 1 && places > 1 && !thin && area < LARGE_AREA && !Number.isNaN(g.batch)) {
    define(deepProducts(node, lowering, g));
    return;
  }
  const dy = lowering.value(node.inputs[1]!, NCHW);
  const flatDy = lowering.reshaped(node, dy, [g.batch, g.channels[1], area]);
  const shifted = shiftedIn(NCHW, node, lowering, g);
  if (g.groups === 1 && thin) lowering.define(node, stackedProduct(node, lowering, shifted, flatDy, g), OIHW);
  else define(placesOf(g.kernel).map((at) => product(node, lowering, flatDy, shifted(at), g)));
}
