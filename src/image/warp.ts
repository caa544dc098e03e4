/** @file Geometric changes of an image: affine and projective, with bilinear interpolation. */
import type { ImageSettings } from "./settings.ts";

/** A movement of the image about its centre. */
export interface Move {
  /** Radians. */
  readonly angle: number;
  /** Above 1 the content grows. */
  readonly zoom: number;
  /** Above 1 the content gets narrower and taller. */
  readonly aspect: number;
  /** Pixels. */
  readonly right: number;
  readonly down: number;
}

/** How far a corner moves, in pixels. */
export interface Displacement {
  readonly right: number;
  readonly down: number;
}

type Point = readonly [x: number, y: number];

/** The inverse of a move: the pixel at `[column, row]` comes from `x = startX + xx · column + xy · row`, and y likewise. */
function inverseOf({ height, width }: ImageSettings, move: Move) {
  const [cos, sin] = [Math.cos(move.angle) / move.zoom, Math.sin(move.angle) / move.zoom];
  const [xx, xy, yx, yy] = [cos * move.aspect, -sin, sin, cos / move.aspect];
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  const startX = middleX - move.right - xx * middleX - xy * middleY;
  const startY = middleY - move.down - yx * middleX - yy * middleY;
  return { startX, startY, xx, xy, yx, yy };
}

/** Subtracted from a side, it leaves the last position that has a neighbour inside the image. */
const INSIDE = 1.001;

const clamp = (value: number, most: number) => Math.max(0, Math.min(most, value));

/** Writes to `out[at]` the pixel interpolated at a position; outside the border, border pixels repeat. */
function interpolate(
  pixels: Uint8Array,
  { height, width }: ImageSettings,
  positionX: number,
  positionY: number,
  out: Uint8Array,
  at: number,
): void {
  const x = clamp(positionX, width - INSIDE);
  const y = clamp(positionY, height - INSIDE);
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
 * Moves an image; outside the border, border pixels repeat.
 * @param pixels eight-bit RGB `[height, width, 3]`; not modified.
 */
export function warpImage(pixels: Uint8Array, settings: ImageSettings, move: Move): Uint8Array {
  const { height, width } = settings;
  const { startX, startY, xx, xy, yx, yy } = inverseOf(settings, move);
  const out = new Uint8Array(pixels.length);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 3) {
      interpolate(
        pixels,
        settings,
        startX + xx * column + xy * row,
        startY + yx * column + yy * row,
        out,
        at,
      );
    }
  }
  return out;
}

/**
 * The projection that takes the unit square to four points: `[x y w]` of `[u v 1]`, row by row, the last element 1
 * (Heckbert, 1989, "Fundamentals of texture mapping and image warping", §2.2.3).
 * @param corners upper left, upper right, lower right, lower left.
 */
export function squareToPlaces(corners: readonly [Point, Point, Point, Point]): readonly number[] {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = corners;
  const [sumX, sumY] = [x0 - x1 + x2 - x3, y0 - y1 + y2 - y3];
  const [dx1, dx2, dy1, dy2] = [x1 - x2, x3 - x2, y1 - y2, y3 - y2];
  const area = dx1 * dy2 - dx2 * dy1;
  const g = (sumX * dy2 - dx2 * sumY) / area;
  const h = (dx1 * sumY - sumX * dy1) / area;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

/**
 * Moves an image as `warpImage` does, and also each corner's source by its displacement: a change of perspective.
 * @param pixels eight-bit RGB `[height, width, 3]`; not modified.
 * @param corners displacements of upper left, upper right, lower right, lower left.
 */
export function projectImage(
  pixels: Uint8Array,
  settings: ImageSettings,
  move: Move,
  corners: readonly Displacement[],
): Uint8Array {
  const { height, width } = settings;
  const { startX, startY, xx, xy, yx, yy } = inverseOf(settings, move);
  const [right, bottom] = [width - 1, height - 1];
  const corner = (index: number, column: number, row: number): Point => [
    startX + xx * column + xy * row + corners[index]!.right,
    startY + yx * column + yy * row + corners[index]!.down,
  ];
  const [a, b, c, d, e, f, g, h] = squareToPlaces([
    corner(0, 0, 0),
    corner(1, right, 0),
    corner(2, right, bottom),
    corner(3, 0, bottom),
  ]) as readonly [number, number, number, number, number, number, number, number];
  const out = new Uint8Array(pixels.length);
  for (let row = 0, at = 0; row < height; row++) {
    const v = row / bottom;
    for (let column = 0; column < width; column++, at += 3) {
      const u = column / right;
      const w = g * u + h * v + 1;
      interpolate(pixels, settings, (a * u + b * v + c) / w, (d * u + e * v + f) / w, out, at);
    }
  }
  return out;
}
