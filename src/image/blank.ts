/** @file Pictures of one colour, with or without specks or noise, which show no face: a network finds any two of them alike. */
import { FaceError } from "../base/errors.ts";

/** Blocks along either side of a picture. */
const BLOCKS = 8;

/**
 * Least standard deviation of a picture's luminance, from black (0) to white (1): two of 255 levels. No face is found at much less than this
 * contrast (docs/faces.md). Of 2,430 photographs of LFW, whole and scaled to 112 pixels, and 1,215 aligned crops of 64 and 112 pixels, each
 * has at least 21.
 */
const LEAST_DEVIATION = 2 / 255;

/** Least standard deviation of the medians of its blocks, which specks do not change. The same photographs and crops have at least 18 levels. */
const LEAST_OF_BLOCKS = 0.3 / 255;

/**
 * Least ratio of the variance of the means of blocks to what noise from pixel to pixel would make of it, as in an analysis of variance: it is 1
 * for such noise of any strength, with a standard deviation of 0.18, and at most 3 after JPEG. The middles of 500 photographs of LFW have at least
 * 9 at 32 pixels and 108 at 112, and at least 3.3 and 31 with noise of 60 levels added to each colour.
 */
const LEAST_OVER_NOISE = 3;
/** Pixels of a block from which on its noise can be measured. */
const LEAST_PIXELS = 16;

/** A picture's pixels. */
interface Picture {
  /** RGB, eight-bit or in [0, 1]. */
  readonly data: Uint8Array | Float32Array;
  readonly width: number;
  readonly height: number;
}

/** The sorted luminance, from 0 to 1, of the pixels from left to right, top to bottom, of a part of a picture. */
function lightOf(
  { data, width }: Picture,
  [left, right]: readonly [number, number],
  [top, bottom]: readonly [number, number],
): Float64Array {
  const white = data instanceof Uint8Array ? 255 : 1;
  const light = new Float64Array((right - left) * (bottom - top));
  let count = 0;
  for (let y = top; y < bottom; y++) {
    for (let at = 3 * (y * width + left); at < 3 * (y * width + right); at += 3)
      light[count++] = (0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!) / white;
  }
  return light.sort();
}

function deviationOf(values: ArrayLike<number> & Iterable<number>): number {
  let [sum, squares] = [0, 0];
  for (const value of values) sum += value;
  const mean = sum / values.length;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / values.length);
}

const meanOf = (values: ArrayLike<number> & Iterable<number>): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
};

/** Whether blocks differ by no more than the noise within them makes them differ. */
function isNoise(blocks: readonly Float64Array[]): boolean {
  const pixels = meanOf(blocks.map(({ length }) => length));
  if (pixels < LEAST_PIXELS || blocks.length < BLOCKS ** 2) return false;
  const within = meanOf(blocks.map((light) => deviationOf(light) ** 2 * (light.length / (light.length - 1))));
  const between = deviationOf(blocks.map(meanOf)) ** 2 * (blocks.length / (blocks.length - 1));
  return pixels * between < LEAST_OVER_NOISE * within;
}

/** The bounds of the blocks along a side of so many pixels. */
function blocksOf(side: number): (readonly [number, number])[] {
  const count = Math.min(BLOCKS, side);
  const bound = (i: number) => Math.floor((i * side) / count);
  return Array.from({ length: count }, (_, i) => [bound(i), bound(i + 1)] as const);
}

/**
 * Whether a picture is of one colour, or nearly so, whatever specks and noise it has: a speck does not change the median of its block, and noise
 * its mean by little, while the blocks of a face differ. Noise that is coarser than pixels, as in a picture that was enlarged, passes as a face:
 * the same analysis of 16 x 16 blocks within 8 x 8 gives at least 1.9 for 1,000 photographs of LFW, whole and cut out, but 1.0 to 3.0 for noise
 * enlarged six times and 1.2 to 6.3 for noise enlarged eight times, so that no limit leaves all faces alone and refuses such noise.
 */
export function isOfOneColour(picture: Picture): boolean {
  const blocks = blocksOf(picture.height).flatMap((rows) =>
    blocksOf(picture.width).map((columns) => lightOf(picture, columns, rows)),
  );
  if (deviationOf(blocks.map((light) => light[light.length >> 1]!)) < LEAST_OF_BLOCKS) return true;
  if (isNoise(blocks)) return true;
  return deviationOf(lightOf(picture, [0, picture.width], [0, picture.height])) < LEAST_DEVIATION;
}

/**
 * Makes sure that a picture shows something, where no face is looked for.
 * @param what the picture's name, for the error.
 * @throws FaceError `FACE_NOT_FOUND` for a picture of one colour, or nearly so.
 */
export function requireContent(picture: Picture, what: string): void {
  if (!isOfOneColour(picture)) return;
  throw new FaceError("FACE_NOT_FOUND", `${what} is of one colour, or nearly so: it shows no face`, {
    hint: "pass a picture of a face, cut out as the model reads it",
  });
}
