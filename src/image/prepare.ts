/** @file Eight-bit pixels into the floats that a network takes. */
import type { Pixels } from "./pixels.ts";
import { type ImageSettings, imageSize } from "./settings.ts";

/** What each eight-bit value becomes: value / 255 in float32. */
const SCALED = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/**
 * Writes pixels as floats in [0, 1] into a batch.
 * @param out at least `offset + pixels.length` elements
 */
export function prepareInto(pixels: Uint8Array, out: Float32Array, offset: number): void {
  for (let i = 0; i < pixels.length; i++) out[offset + i] = SCALED[pixels[i]!]!;
}

/** Pixels as floats in [0, 1]: one image, `[height, width, 3]`. */
export function prepare(pixels: Uint8Array): Float32Array {
  const out = new Float32Array(pixels.length);
  prepareInto(pixels, out, 0);
  return out;
}

/** Where a row or column of the result falls between two of the source. */
interface Tap {
  readonly lower: number;
  readonly upper: number;
  /** Share of the upper one. */
  readonly share: number;
}

function taps(from: number, to: number): Tap[] {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const centre = Math.fround(Math.fround(i + 0.5) * Math.fround(scale) - 0.5);
    const lower = Math.floor(centre);
    return {
      lower: Math.max(lower, 0),
      upper: Math.min(lower + 1, from - 1),
      share: Math.fround(centre - lower),
    };
  });
}

/**
 * Resizes as TensorFlow's `ResizeBilinear` with `half_pixel_centers` does, that is without antialiasing, and scales to
 * [0, 1]: the way of graphs that decode photographs themselves. Everything else uses `decodeImage`.
 * @returns float32 `[settings.height, settings.width, 3]`
 */
export function resizeBilinear(image: Pixels, settings: ImageSettings): Float32Array {
  const out = new Float32Array(imageSize(settings));
  const columns = taps(image.width, settings.width);
  let at = 0;
  for (const row of taps(image.height, settings.height)) {
    const top = row.lower * image.width;
    const bottom = row.upper * image.width;
    for (const column of columns) {
      for (let channel = 0; channel < 3; channel++) {
        const sample = (y: number, x: number) => image.data[(y + x) * 3 + channel]!;
        const above = mix(sample(top, column.lower), sample(top, column.upper), column.share);
        const below = mix(sample(bottom, column.lower), sample(bottom, column.upper), column.share);
        out[at++] = mix(above, below, row.share) / 255;
      }
    }
  }
  return out;
}

const mix = (a: number, b: number, share: number) => a + (b - a) * share;
