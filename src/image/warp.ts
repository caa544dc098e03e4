/** @file Geometric changes of an image: affine and projective, with bilinear interpolation. */
import type { ImageSettings } from "./settings.ts";

export interface Move {
  /** About the middle, in radians. */
  readonly angle: number;
  /** Above 1 the picture grows. */
  readonly zoom: number;
  /** Above 1 the picture grows narrower and taller. */
  readonly aspect: number;
  /** Pixels. */
  readonly right: number;
  readonly down: number;
}

/** The reverse of a move: from where the pixel at `[column, row]` comes, `x = startX + xx · column + xy · row`. */
export interface Reverse {
  readonly startX: number;
  readonly startY: number;
  readonly xx: number;
  readonly xy: number;
  readonly yx: number;
  readonly yy: number;
}

/** Where each pixel is fetched from. */
export function reverseOf({ height, width }: ImageSettings, move: Move): Reverse {
  const [cos, sin] = [Math.cos(move.angle) / move.zoom, Math.sin(move.angle) / move.zoom];
  const [xx, xy, yx, yy] = [cos * move.aspect, -sin, sin, cos / move.aspect];
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  const startX = middleX - move.right - xx * middleX - xy * middleY;
  const startY = middleY - move.down - yx * middleX - yy * middleY;
  return { startX, startY, xx, xy, yx, yy };
}

/** How far within the border the last neighbour is still inside. */
const INSIDE = 1.001;

const clamp = (value: number, most: number) => Math.max(0, Math.min(most, value));

/** Writes to `out[at]` what lies at a place between four pixels; beyond the border the border's pixels repeat. */
export function fetchPixel(
  pixels: Uint8Array,
  { height, width }: ImageSettings,
  placeX: number,
  placeY: number,
  out: Uint8Array,
  at: number,
): void {
  const x = clamp(placeX, width - INSIDE);
  const y = clamp(placeY, height - INSIDE);
  const [left, top] = [x | 0, y | 0];
  const [partX, partY] = [x - left, y - top];
  const stride = width * 3;
  const from = top * stride + left * 3;
  for (let i = 0; i < 3; i++) {
    const here = from + i;
    const upper = pixels[here]! + (pixels[here + 3]! - pixels[here]!) * partX;
    const lower = pixels[here + stride]! + (pixels[here + stride + 3]! - pixels[here + stride]!) * partX;
    out[at + i] = upper + (lower - upper) * partY + 0.5;
  }
}

/**
 * Moves a picture, bilinear between the four nearest pixels; beyond the border the border's pixels repeat.
 * @param pixels eight-bit RGB `[height, width, 3]`; not modified
 */
export function warpImage(pixels: Uint8Array, settings: ImageSettings, move: Move): Uint8Array {
  const { height, width } = settings;
  const { startX, startY, xx, xy, yx, yy } = reverseOf(settings, move);
  const out = new Uint8Array(pixels.length);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 3) {
      fetchPixel(pixels, settings, startX + xx * column + xy * row, startY + yx * column + yy * row, out, at);
    }
  }
  return out;
}

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
