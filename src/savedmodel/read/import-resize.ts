/** @file Imports TensorFlow's image resizing: nearest, bilinear and bicubic, with its rules for positions. */
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import { sampled, type Tap } from "../../graph/sampling.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

interface Sampling {
  readonly from: number;
  readonly to: number;
  readonly isHalfPixel: boolean;
  readonly isAligned: boolean;
}

/** Input rows per output row, in TensorFlow's precision. */
function scaleOf({ from, to, isAligned }: Sampling): number {
  return Math.fround(isAligned && to > 1 ? (from - 1) / (to - 1) : from / to);
}

/** The input position of the centre of each output row. */
function positions(sampling: Sampling): number[] {
  const scale = scaleOf(sampling);
  return Array.from({ length: sampling.to }, (_, i) =>
    sampling.isHalfPixel
      ? Math.fround(Math.fround(Math.fround(i + 0.5) * scale) - 0.5)
      : Math.fround(i * scale),
  );
}

const within = (place: number, { from }: Sampling) => Math.min(Math.max(place, 0), from - 1);

function nearest(sampling: Sampling): Tap[] {
  const scale = scaleOf(sampling);
  const places = Array.from({ length: sampling.to }, (_, i) => {
    if (sampling.isHalfPixel) return Math.floor(Math.fround(Math.fround(i + 0.5) * scale));
    return sampling.isAligned ? Math.round(Math.fround(i * scale)) : Math.floor(Math.fround(i * scale));
  });
  return [{ places: places.map((place) => within(place, sampling)), shares: undefined }];
}

function bilinear(sampling: Sampling): Tap[] {
  const at = positions(sampling);
  const part = at.map((x) => x - Math.floor(x));
  return [
    { places: at.map((x) => within(Math.floor(x), sampling)), shares: part.map((share) => 1 - share) },
    { places: at.map((x) => within(Math.ceil(x), sampling)), shares: part },
  ];
}

/** Steps of TensorFlow's table of the cubic between two rows. */
const CUBIC_STEPS = 1024;

/** Keys' cubic (1981): the weight of a row at a distance below 2. */
function cubic(distance: number, a: number): number {
  const x = distance;
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

function bicubic(sampling: Sampling): Tap[] {
  const a = sampling.isHalfPixel ? -0.5 : -0.75;
  const rows = positions(sampling).map((x) => {
    const step = Math.round((x - Math.floor(x)) * CUBIC_STEPS) / CUBIC_STEPS;
    const places = [-1, 0, 1, 2].map((offset) => Math.floor(x) + offset);
    const shares = [1 + step, step, 1 - step, 2 - step].map((distance) => cubic(distance, a));
    if (!sampling.isHalfPixel) return { places, shares };
    // Rows outside the image have no weight; the others are scaled to sum to 1.
    const inside = shares.map((share, i) => (places[i] === within(places[i]!, sampling) ? share : 0));
    const sum = inside.reduce((total, share) => total + share, 0);
    return { places, shares: inside.map((share) => share / sum) };
  });
  return [0, 1, 2, 3].map((tap) => ({
    places: rows.map(({ places }) => within(places[tap]!, sampling)),
    shares: rows.map(({ shares }) => shares[tap]!),
  }));
}

const resize =
  (tapsOf: (sampling: Sampling) => Tap[], keepsType: boolean): Importer =>
  (call: OpCall) => {
    const given = call.input(0);
    const image = keepsType ? given : g.cast(given, "float32");
    const to = call.constants(1);
    const [isHalfPixel, isAligned] = [
      call.bool("half_pixel_centers", false),
      call.bool("align_corners", false),
    ];
    call.checkExpansion(to);
    return ([1, 2] as const).reduce((resized: Node, axis) => {
      const [from, target] = [given.shape[axis], to[axis - 1]];
      if (given.shape.length !== 4 || typeof from !== "number" || !(target! > 0)) {
        throw call.unsupported("an image whose size is not known");
      }
      return sampled(resized, axis, tapsOf({ from, to: target!, isHalfPixel, isAligned }));
    }, image);
  };

export const resizeImporters: Importers = {
  ResizeNearestNeighbor: resize(nearest, true),
  ResizeBilinear: resize(bilinear, false),
  ResizeBicubic: resize(bicubic, false),
};
