/** @file Eight-bit pixels into the floats that a network takes. */
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
