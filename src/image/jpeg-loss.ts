/** @file The loss of JPEG compression, applied to pixels without a file. */
// Hand-written because training images must be the same on every machine, and JPEG libraries differ.

/** Quantisation tables of ITU-T T.81, annex K, in row order. */
const LUMINANCE = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22,
  29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103,
  121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE = [
  17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

const BLOCK = 8;

/** Row k holds the k-th cosine of the orthonormal transform. */
const COSINES = new Float64Array(BLOCK * BLOCK);
/** Its transpose. */
const TRANSPOSED = new Float64Array(BLOCK * BLOCK);
for (let k = 0; k < BLOCK; k++) {
  for (let x = 0; x < BLOCK; x++) {
    const value = (k === 0 ? Math.SQRT1_2 / 2 : 0.5) * Math.cos(((2 * x + 1) * k * Math.PI) / 16);
    COSINES[k * BLOCK + x] = value;
    TRANSPOSED[x * BLOCK + k] = value;
  }
}

/** A table scaled for a quality from 1 to 100, as the Independent JPEG Group's software does. */
function scaled(table: readonly number[], quality: number): number[] {
  const percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  return table.map((step) => Math.max(1, Math.min(255, Math.floor((step * percent + 50) / 100))));
}

/** The product of two 8×8 matrices. */
function multiply(a: Float64Array, b: Float64Array, out: Float64Array): void {
  for (let row = 0; row < BLOCK; row++) {
    for (let column = 0; column < BLOCK; column++) {
      let sum = 0;
      for (let k = 0; k < BLOCK; k++) sum += a[row * BLOCK + k]! * b[k * BLOCK + column]!;
      out[row * BLOCK + column] = sum;
    }
  }
}

const block = new Float64Array(BLOCK * BLOCK);
const half = new Float64Array(BLOCK * BLOCK);

/** Rounds a block's frequencies to the table's steps. */
function quantiseBlock(steps: readonly number[]): void {
  multiply(COSINES, block, half);
  multiply(half, TRANSPOSED, block);
  for (let i = 0; i < block.length; i++) block[i] = Math.round(block[i]! / steps[i]!) * steps[i]!;
  multiply(TRANSPOSED, block, half);
  multiply(half, COSINES, block);
}

/** Copies a block out of a plane; outside the border, border values repeat. */
function readBlock(plane: Float32Array, width: number, height: number, left: number, top: number): void {
  for (let y = 0, at = 0; y < BLOCK; y++) {
    const start = Math.min(height - 1, top + y) * width;
    for (let x = 0; x < BLOCK; x++) block[at++] = plane[start + Math.min(width - 1, left + x)]!;
  }
}

function writeBlock(plane: Float32Array, width: number, height: number, left: number, top: number): void {
  for (let y = 0; y < Math.min(BLOCK, height - top); y++) {
    const start = (top + y) * width + left;
    for (let x = 0; x < Math.min(BLOCK, width - left); x++) plane[start + x] = block[y * BLOCK + x]!;
  }
}

function quantise(plane: Float32Array, width: number, height: number, steps: readonly number[]): void {
  for (let top = 0; top < height; top += BLOCK) {
    for (let left = 0; left < width; left += BLOCK) {
      readBlock(plane, width, height, left, top);
      quantiseBlock(steps);
      writeBlock(plane, width, height, left, top);
    }
  }
}

/** Quantises a chroma plane at half the size. */
function quantiseHalved(plane: Float32Array, width: number, height: number, steps: readonly number[]): void {
  const halfWidth = Math.ceil(width / 2);
  const halfHeight = Math.ceil(height / 2);
  const small = new Float32Array(halfWidth * halfHeight);
  for (let y = 0; y < halfHeight; y++) {
    const row = 2 * y * width;
    const next = Math.min(height - 1, 2 * y + 1) * width;
    for (let x = 0; x < halfWidth; x++) {
      const right = Math.min(width - 1, 2 * x + 1);
      small[y * halfWidth + x] =
        (plane[row + 2 * x]! + plane[row + right]! + plane[next + 2 * x]! + plane[next + right]!) / 4;
    }
  }
  quantise(small, halfWidth, halfHeight, steps);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) plane[y * width + x] = small[(y >> 1) * halfWidth + (x >> 1)]!;
  }
}

/**
 * Changes an image as compressing it would: frequencies of 8×8 blocks are rounded to the standard tables, chroma is
 * stored at half the size.
 * @param pixels eight-bit RGB `[height, width, 3]`; changed in place
 * @param quality 1 to 100, on the usual scale
 */
export function loseAsJpeg(pixels: Uint8Array, width: number, height: number, quality: number): void {
  const count = width * height;
  const luma = new Float32Array(count);
  const blue = new Float32Array(count);
  const red = new Float32Array(count);
  for (let i = 0, at = 0; i < count; i++, at += 3) {
    const r = pixels[at]!;
    const g = pixels[at + 1]!;
    const b = pixels[at + 2]!;
    const y = 0.299 * r + 0.587 * g + 0.114 * b;
    luma[i] = y - 128;
    blue[i] = (b - y) / 1.772;
    red[i] = (r - y) / 1.402;
  }
  const chroma = scaled(CHROMINANCE, quality);
  quantise(luma, width, height, scaled(LUMINANCE, quality));
  quantiseHalved(blue, width, height, chroma);
  quantiseHalved(red, width, height, chroma);
  // This view rounds and clamps.
  const bytes = new Uint8ClampedArray(pixels.buffer, pixels.byteOffset, pixels.length);
  for (let i = 0, at = 0; i < count; i++, at += 3) {
    const y = luma[i]! + 128;
    bytes[at] = y + 1.402 * red[i]!;
    bytes[at + 1] = y - 0.344136 * blue[i]! - 0.714136 * red[i]!;
    bytes[at + 2] = y + 1.772 * blue[i]!;
  }
}
