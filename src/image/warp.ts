/** @file Turns, zooms, stretches and shifts a picture in one move. */
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

/** How far within the border the last neighbour is still inside. */
const INSIDE = 1.001;

const clamp = (value: number, most: number) => Math.max(0, Math.min(most, value));

/**
 * Moves a picture, bilinear between the four nearest pixels; beyond the border the border's pixels repeat.
 * @param pixels eight-bit RGB `[height, width, 3]`; not modified
 */
export function warpImage(pixels: Uint8Array, { height, width }: ImageSettings, move: Move): Uint8Array {
  // Each pixel is fetched from where the reverse move leads.
  const [cos, sin] = [Math.cos(move.angle) / move.zoom, Math.sin(move.angle) / move.zoom];
  const [xx, xy, yx, yy] = [cos * move.aspect, -sin, sin, cos / move.aspect];
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  const startX = middleX - move.right - xx * middleX - xy * middleY;
  const startY = middleY - move.down - yx * middleX - yy * middleY;
  const out = new Uint8Array(pixels.length);
  const stride = width * 3;
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const x = clamp(startX + xx * column + xy * row, width - INSIDE);
      const y = clamp(startY + yx * column + yy * row, height - INSIDE);
      const [left, top] = [x | 0, y | 0];
      const [partX, partY] = [x - left, y - top];
      const from = top * stride + left * 3;
      for (let i = from; i < from + 3; i++) {
        const upper = pixels[i]! + (pixels[i + 3]! - pixels[i]!) * partX;
        const lower = pixels[i + stride]! + (pixels[i + stride + 3]! - pixels[i + stride]!) * partX;
        out[at++] = upper + (lower - upper) * partY + 0.5;
      }
    }
  }
  return out;
}
