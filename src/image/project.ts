/** @file Moves a picture and its corners, each by itself: as if it were seen from another side. */
import type { ImageSettings } from "./settings.ts";
import { fetchPixel, type Move, reverseOf } from "./warp.ts";

/** How far a corner moves, in pixels. */
export interface Displacement {
  readonly right: number;
  readonly down: number;
}

type Place = readonly [number, number];

/**
 * The projection that takes the unit square to four places: `[x y w]` of `[u v 1]`, row by row, the last element 1
 * (Heckbert, 1989, "Fundamentals of texture mapping and image warping", §2.2.3).
 * @param corners upper left, upper right, lower right, lower left.
 */
export function squareToPlaces(corners: readonly [Place, Place, Place, Place]): readonly number[] {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = corners;
  const [sumX, sumY] = [x0 - x1 + x2 - x3, y0 - y1 + y2 - y3];
  const [dx1, dx2, dy1, dy2] = [x1 - x2, x3 - x2, y1 - y2, y3 - y2];
  const area = dx1 * dy2 - dx2 * dy1;
  const g = (sumX * dy2 - dx2 * sumY) / area;
  const h = (dx1 * sumY - sumX * dy1) / area;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

/**
 * Moves a picture as `warpImage` does and then its corners, bilinear between the four nearest pixels.
 * @param pixels eight-bit RGB `[height, width, 3]`; not modified
 * @param corners where the source of each corner goes besides: upper left, upper right, lower right, lower left
 */
export function projectImage(
  pixels: Uint8Array,
  settings: ImageSettings,
  move: Move,
  corners: readonly Displacement[],
): Uint8Array {
  const { height, width } = settings;
  const { startX, startY, xx, xy, yx, yy } = reverseOf(settings, move);
  const source = (index: number, column: number, row: number): Place => [
    startX + xx * column + xy * row + corners[index]!.right,
    startY + yx * column + yy * row + corners[index]!.down,
  ];
  const [right, bottom] = [width - 1, height - 1];
  const [a, b, c, d, e, f, g, h] = squareToPlaces([
    source(0, 0, 0),
    source(1, right, 0),
    source(2, right, bottom),
    source(3, 0, bottom),
  ]) as readonly [number, number, number, number, number, number, number, number];
  const out = new Uint8Array(pixels.length);
  for (let row = 0, at = 0; row < height; row++) {
    const v = row / bottom;
    for (let column = 0; column < width; column++, at += 3) {
      const u = column / right;
      const w = g * u + h * v + 1;
      fetchPixel(pixels, settings, (a * u + b * v + c) / w, (d * u + e * v + f) / w, out, at);
    }
  }
  return out;
}
