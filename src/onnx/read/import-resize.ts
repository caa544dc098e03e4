/** @file ONNX's images of another size: nearest and linear, with all its rules for places. */
import type { Node } from "../../graph/ops.ts";
import { isSideOf } from "../../graph/partial-ints.ts";
import { sampled, type Tap } from "../../graph/sampling.ts";
import { channelsLast, channelsSecond } from "./channels-last.ts";
import type { Importer, Importers, OnnxCall } from "./onnx-call.ts";

/** How one axis is sampled. */
interface Sampling {
  readonly from: number;
  readonly to: number;
  /** New rows per old row. */
  readonly scale: number;
}

type Positions = (sampling: Sampling) => (i: number) => number;

const f = Math.fround;
const halfPixel =
  ({ scale }: Sampling) =>
  (i: number) =>
    f(f(f(i + 0.5) / scale) - 0.5);

/** Where a new row lies in the old image, by `coordinate_transformation_mode`. */
const POSITIONS: Readonly<Record<string, Positions>> = {
  half_pixel: halfPixel,
  pytorch_half_pixel: (sampling) => (sampling.to > 1 ? halfPixel(sampling) : () => 0),
  align_corners:
    ({ from, to }) =>
    (i) =>
      to === 1 ? 0 : f(f(i * (from - 1)) / (to - 1)),
  asymmetric:
    ({ scale }) =>
    (i) =>
      f(i / scale),
  half_pixel_symmetric: (sampling) => {
    const { from, to, scale } = sampling;
    const offset = f((from / 2) * (1 - to / f(scale * from)));
    const plain = halfPixel(sampling);
    return (i) => f(offset + plain(i));
  },
  tf_half_pixel_for_nn:
    ({ scale }) =>
    (i) =>
      f(f(i + 0.5) / scale),
};

type Rounding = (place: number, sampling: Sampling) => number;

/** Which old row is nearest, by `nearest_mode`. */
const ROUNDINGS: Readonly<Record<string, Rounding>> = {
  round_prefer_floor: (place) => Math.ceil(place - 0.5),
  round_prefer_ceil: (place) => Math.floor(place + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Before operator set 11 nothing is said about it; ONNX Runtime rounds up where rows are left out. */
const oldRounding: Rounding = (place, { scale }) => (scale < 1 ? Math.ceil(place) : Math.floor(place));

const within = (place: number, { from }: Sampling) => Math.min(Math.max(place, 0), from - 1);
const rows = ({ to }: Sampling) => Array.from({ length: to }, (_, i) => i);

const nearest =
  (position: Positions, round: Rounding) =>
  (sampling: Sampling): Tap[] => {
    const at = position(sampling);
    const places = rows(sampling).map((i) => within(round(at(i), sampling), sampling));
    return [{ places, shares: undefined }];
  };

const linear =
  (position: Positions) =>
  (sampling: Sampling): Tap[] => {
    const at = position(sampling);
    const places = rows(sampling).map((i) => within(at(i), sampling));
    const parts = places.map((place) => place - Math.floor(place));
    return [
      { places: places.map(Math.floor), shares: parts.map((part) => 1 - part) },
      { places: places.map((place) => within(Math.floor(place) + 1, sampling)), shares: parts },
    ];
  };

function tapsOf(call: OnnxCall): (sampling: Sampling) => Tap[] {
  const isNew = call.opset >= 11;
  const mode = call.text("mode", "nearest");
  const name = call.text("coordinate_transformation_mode", isNew ? "half_pixel" : "asymmetric");
  const position = POSITIONS[name];
  if (position === undefined) throw call.unsupported(`coordinate_transformation_mode ${name}`);
  if (call.flag("antialias", false)) throw call.unsupported("antialias");
  if (mode === "linear" || mode === "bilinear") return linear(position);
  if (mode !== "nearest") throw call.unsupported(`mode ${mode}`);
  if (!isNew) return nearest(position, oldRounding);
  const rounding = call.text("nearest_mode", "round_prefer_floor");
  const round = ROUNDINGS[rounding];
  if (round === undefined) throw call.invalid(`nearest_mode ${rounding} makes no sense`);
  return nearest(position, round);
}

/** One entry per axis of an image, out of a list for all axes or for those that the node names. */
function perAxis<T>(call: OnnxCall, x: Node, entries: readonly T[]): (T | undefined)[] {
  const axes = call.ints("axes", [0, 1, 2, 3]);
  if (axes.length !== entries.length) throw call.invalid(`${entries.length} sizes for ${axes.length} axes`);
  const result: (T | undefined)[] = [undefined, undefined, undefined, undefined];
  for (const [i, axis] of axes.entries()) result[call.placeOf(axis, x)] = entries[i];
  return result;
}

const isGiven = (node: Node | undefined): node is Node => node !== undefined && node.shape[0] !== 0;

/** Height and width as they are to be, from factors. */
function scaled(call: OnnxCall, x: Node, i: number): (Sampling | undefined)[] {
  const factors =
    call.opset === 9 || call.inputs[i] !== undefined ? call.constants(i) : call.floats("scales");
  return perAxis(call, x, factors).map((factor, axis) => {
    const from = x.shape[axis];
    if (factor === undefined || factor === 1) return undefined;
    if (typeof from !== "number" || axis < 2) throw call.unsupported(`axis ${axis} times ${factor}`);
    if (!(factor > 0)) throw call.invalid(`an axis times ${factor}`);
    return { from, to: Math.floor(f(from * factor)), scale: f(factor) };
  });
}

/** Height and width as they are to be, from sizes. */
function sized(call: OnnxCall, x: Node, i: number): (Sampling | undefined)[] {
  const policy = call.text("keep_aspect_ratio_policy", "stretch");
  if (policy !== "stretch") throw call.unsupported(`keep_aspect_ratio_policy ${policy}`);
  return perAxis(call, x, call.partialInts(i)).map((to, axis) => {
    const from = x.shape[axis];
    const stays = to === from || isSideOf(to, x, axis) || (to === 1 && call.isFreedBatch(from));
    if (to === undefined || stays) return undefined;
    if (typeof from !== "number" || typeof to !== "number" || axis < 2)
      throw call.unsupported(`axis ${axis} of an image made anew`);
    return { from, to, scale: f(to / from) };
  });
}

function resized(call: OnnxCall, samplings: readonly (Sampling | undefined)[]): Node {
  const x = call.input(0);
  const sides = x.shape.map((side, axis) => samplings[axis]?.to ?? (typeof side === "number" ? side : 1));
  call.checkExpansion(sides);
  const taps = tapsOf(call);
  const [, , height, width] = samplings;
  const along = (image: Node, axis: 1 | 2, sampling: Sampling | undefined) => {
    if (sampling === undefined) return image;
    if (sampling.to < 1 || sampling.from < 1) throw call.unsupported("an empty image");
    return sampled(image, axis, taps(sampling));
  };
  return channelsSecond(along(along(channelsLast(x), 1, height), 2, width));
}

const resize: Importer = (call) => {
  const x = call.input(0);
  if (x.shape.length !== 4) throw call.unsupported(`a tensor of rank ${x.shape.length} instead of an image`);
  if (call.opset < 11) return resized(call, scaled(call, x, 1));
  return resized(call, isGiven(call.inputs[3]) ? sized(call, x, 3) : scaled(call, x, 2));
};

export const resizeImporters: Importers = { Resize: resize, Upsample: resize };
