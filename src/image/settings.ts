/** @file The size and channels that a network expects of images, and the conversion of pixels to floats. */
import { FaceError } from "../base/errors.ts";

/**
 * The form in which a network takes images: float32 RGB in [0, 1], row-major `[height, width, 3]`.
 *
 * `decodeImage` brings every photograph into this form in the same way: it applies the EXIF orientation, lays transparency
 * on black and stretches the whole image to the size with a triangle kernel that is as wide as the reduction factor
 * (bilinear interpolation with antialiasing, pixel centres at one half).
 */
export interface ImageSettings {
  /** Rows. */
  readonly height: number;
  /** Columns. */
  readonly width: number;
  /** Red, green, blue. */
  readonly channels: 3;
}

const SMALLEST_SIDE = 64;
const LARGEST_SIDE = 224;

/**
 * Settings for a model's input.
 * @param height rows, 64 to 224
 * @param width columns, 64 to 224; as many as rows when left out
 * @throws FaceError `CONFIG_INVALID` for a side that is not a whole number in that range.
 */
export function imageSettings(height: number, width: number = height): ImageSettings {
  for (const side of [height, width]) {
    if (!Number.isInteger(side) || side < SMALLEST_SIDE || side > LARGEST_SIDE) {
      throw new FaceError("CONFIG_INVALID", `an image side of ${side} pixels is not supported`, {
        hint: `choose a whole number from ${SMALLEST_SIDE} to ${LARGEST_SIDE}; 112 is usual`,
      });
    }
  }
  return { height, width, channels: 3 };
}

/** Elements of one image: height × width × 3. */
export function imageSize(settings: ImageSettings): number {
  return settings.height * settings.width * settings.channels;
}

/** The size as text, height first: `112x112`. */
export function settingsText(settings: ImageSettings): string {
  return `${settings.height}x${settings.width}`;
}

/** Eight-bit RGB, row-major `[height, width, 3]`. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

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
