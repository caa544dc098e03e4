/** @file ONNX's operators on images: convolutions, pools and normalisation. */
import * as g from "../../graph/build.ts";
import type { Node, Padding, Pads, Pair } from "../../graph/ops.ts";
import { resolvePads, samePads } from "../../graph/windows.ts";
import { channelsLast, channelsSecond } from "./channels-last.ts";
import type { Importer, Importers, OnnxCall } from "./onnx-call.ts";

/** An input `[batch, channels, height, width]` with its channels last. */
function imageOf(call: OnnxCall): Node {
  const x = call.input(0);
  if (x.shape.length !== 4) throw call.unsupported(`a tensor of rank ${x.shape.length} instead of an image`);
  return channelsLast(x);
}

/** A pair of attributes along height and width. */
function pairOf(call: OnnxCall, name: string, fallback?: Pair): Pair {
  const list = call.ints(name, fallback);
  const isLegal = list.length === 2 && list.every((side) => Number.isSafeInteger(side) && side > 0);
  if (!isLegal) throw call.invalid(`${name} [${list.join(", ")}] is no pair of positive numbers`);
  return [list[0]!, list[1]!];
}

interface WindowSizes {
  readonly size: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
}

const UNIT: Pair = [1, 1];

/** Height and width, where they are known. */
function knownSize(call: OnnxCall, image: Node, why: string): Pair {
  const [, height, width] = image.shape;
  if (typeof height === "number" && typeof width === "number") return [height, width];
  throw call.unsupported(`${why} on an image of unknown size`);
}

/** Margins whose odd one lies at the beginning. */
function lowerPads(call: OnnxCall, image: Node, { size, strides, dilations }: WindowSizes): Pads {
  const sides = knownSize(call, image, "auto_pad SAME_LOWER");
  const along = (axis: 0 | 1): Pair => {
    const [small, large] = samePads(sides[axis], size[axis], strides[axis], dilations[axis]);
    return [large, small];
  };
  return [along(0), along(1)];
}

/** Margins that a stride of 1 needs to keep the image's size, however large that is, are what TensorFlow calls SAME. */
function keepsSize(pads: Pads, { size, strides, dilations }: WindowSizes): boolean {
  return ([0, 1] as const).every((axis) => {
    const margin = ((size[axis] - 1) * dilations[axis]) / 2;
    return strides[axis] === 1 && pads[axis].every((each) => each === margin);
  });
}

function paddingOf(call: OnnxCall, image: Node, window: WindowSizes): Padding {
  const auto = call.text("auto_pad", "NOTSET");
  if (auto === "VALID") return "valid";
  if (auto === "SAME_UPPER") return "same";
  if (auto === "SAME_LOWER") return lowerPads(call, image, window);
  if (auto !== "NOTSET" && auto !== "") throw call.invalid(`auto_pad ${auto} makes no sense`);
  const pads = call.ints("pads", [0, 0, 0, 0]);
  if (pads.length !== 4 || !pads.every((margin) => Number.isSafeInteger(margin) && margin >= 0))
    throw call.invalid(`pads [${pads.join(", ")}] are no four margins`);
  const [top, left, bottom, right] = pads as [number, number, number, number];
  const explicit: Pads = [
    [top, bottom],
    [left, right],
  ];
  if (pads.every((margin) => margin === 0)) return "valid";
  return keepsSize(explicit, window) ? "same" : explicit;
}

/** The sides of a kernel `[out, in / groups, height, width]`. */
function kernelSides(call: OnnxCall, kernel: Node): readonly [number, number, number, number] {
  const known = kernel.shape.every((side) => typeof side === "number" && side > 0);
  if (kernel.shape.length !== 4 || !known)
    throw call.unsupported("a kernel that is not of rank 4 and known size");
  return kernel.shape as unknown as [number, number, number, number];
}

const withBias = (call: OnnxCall, image: Node, i: number): Node => {
  const bias = call.inputs[i];
  return channelsSecond(bias === undefined ? image : g.add(image, bias));
};

const conv: Importer = (call) => {
  const image = imageOf(call);
  const kernel = call.input(1);
  const [, , height, width] = kernelSides(call, kernel);
  const size = pairOf(call, "kernel_shape", [height, width]);
  if (size[0] !== height || size[1] !== width)
    throw call.invalid(`kernel_shape [${size.join(", ")}] is not that of the kernel`);
  const window = { size, strides: pairOf(call, "strides", UNIT), dilations: pairOf(call, "dilations", UNIT) };
  const padding = paddingOf(call, image, window);
  const product = g.conv2d(image, g.transpose(kernel, [2, 3, 1, 0]), {
    strides: window.strides,
    dilations: window.dilations,
    padding,
    groups: call.int("group", 1),
  });
  return withBias(call, product, 2);
};

/** What a window that reaches beyond the far margin needs there, where such windows count too. */
function withCeiling(call: OnnxCall, image: Node, padding: Padding, { size, strides }: WindowSizes): Padding {
  if (!call.flag("ceil_mode", false) || padding === "same") return padding;
  const sides = knownSize(call, image, "ceil_mode");
  const pads = resolvePads(padding, sides, size, strides);
  const along = (axis: 0 | 1): Pair => {
    const [before, after] = pads[axis];
    const free = sides[axis] + before + after - size[axis];
    const steps = Math.ceil(free / strides[axis]);
    // A window must begin on the image or on the margin before it.
    const last = steps * strides[axis] >= sides[axis] + before ? steps - 1 : steps;
    return [before, after + Math.max(last * strides[axis] - free, 0)];
  };
  return [along(0), along(1)];
}

function poolWindow(call: OnnxCall): WindowSizes {
  const window = {
    size: pairOf(call, "kernel_shape"),
    strides: pairOf(call, "strides", UNIT),
    dilations: pairOf(call, "dilations", UNIT),
  };
  if (window.dilations.some((step) => step !== 1)) throw call.unsupported("a pool with dilations");
  return window;
}

const maxPool: Importer = (call) => {
  const image = imageOf(call);
  const window = poolWindow(call);
  const padding = withCeiling(call, image, paddingOf(call, image, window), window);
  return channelsSecond(g.maxPool(image, { size: window.size, strides: window.strides, padding }));
};

const averagePool: Importer = (call) => {
  const image = imageOf(call);
  const window = poolWindow(call);
  const { size, strides } = window;
  const padding = paddingOf(call, image, window);
  const whole = withCeiling(call, image, padding, window);
  if (padding === "valid" || !call.flag("count_include_pad", false))
    return channelsSecond(g.avgPool(image, { size, strides, padding: whole }));
  // Margins count as elements, but not what only a last window reaches beyond them.
  const known = padding === "same" ? knownSize(call, image, "a pool that counts its margins") : UNIT;
  const [rows, columns] = resolvePads(padding, known, size, strides);
  const padded = g.pad(image, [0, rows[0], columns[0], 0], [0, rows[1], columns[1], 0]);
  const beyond: Padding =
    whole === padding || typeof whole === "string"
      ? "valid"
      : [
          [0, whole[0][1] - rows[1]],
          [0, whole[1][1] - columns[1]],
        ];
  return channelsSecond(g.avgPool(padded, { size, strides, padding: beyond }));
};

const globalPool =
  (build: typeof g.reduceMean): Importer =>
  (call) =>
    channelsSecond(build(imageOf(call), { axes: [1, 2], keepDims: true }));

const batchNormalization: Importer = (call) => {
  if (call.flag("training_mode", false)) throw call.unsupported("batch normalisation in training mode");
  const x = call.input(0);
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((i) => call.input(i)) as [Node, Node, Node, Node];
  const scale = g.div(gamma, g.sqrt(g.add(variance, call.float("epsilon", 1e-5))));
  const shift = g.sub(beta, g.mul(mean, scale));
  const rank = x.shape.length;
  if (rank === 4) return channelsSecond(g.affine(channelsLast(x), scale, shift));
  if (rank === 2) return g.affine(x, scale, shift);
  if (rank < 2) throw call.invalid(`a tensor of rank ${rank} has no channels`);
  const perChannel = (vector: Node) => g.reshape(vector, [-1, ...new Array<number>(rank - 2).fill(1)]);
  return g.add(g.mul(x, perChannel(scale)), perChannel(shift));
};

/** Each channel of each image brought to mean 0 and variance 1 (Ulyanov et al., 2016). */
const instanceNormalization: Importer = (call) => {
  const image = imageOf(call);
  const over = { axes: [1, 2], keepDims: true };
  const centred = g.sub(image, g.reduceMean(image, over));
  const variance = g.reduceMean(g.square(centred), over);
  const normal = g.div(centred, g.sqrt(g.add(variance, call.float("epsilon", 1e-5))));
  return channelsSecond(g.affine(normal, call.input(1), call.input(2)));
};

export const imageImporters: Importers = {
  Conv: conv,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalPool(g.reduceMean),
  GlobalMaxPool: globalPool(g.reduceMax),
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
};
