/** @file Resizes decoded images as graphs do that decode photographs themselves, in steps that leave room for others. */
import type { Pixels } from "./pixels.ts";
import { type ImageSettings, imageSize } from "./settings.ts";

/** The pixels along one axis that a place of the result is mixed from. */
interface Span {
  readonly start: number;
  readonly weights: Float32Array;
}

const { fround } = Math;

/**
 * A triangle filter around each place of the result, as wide as the distance between places: interpolation when an image
 * grows, an average without gaps when it shrinks. TensorFlow's float32 arithmetic, step by step.
 */
function spans(from: number, to: number): Span[] {
  const scale = fround(1 / fround(to / from));
  const radius = Math.max(scale, 1);
  const clamp = (place: number) => Math.min(Math.max(place, 0), from - 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = fround(fround(i + 0.5) * scale);
    const start = clamp(Math.ceil(fround(centre - radius - 0.5)));
    const end = clamp(Math.floor(fround(centre + radius - 0.5))) + 1;
    const weights = Float32Array.from({ length: end - start }, (_, k) => {
      const distance = Math.abs(fround(fround(start + k + 0.5 - centre) * fround(1 / radius)));
      return Math.max(0, 1 - distance);
    });
    const sum = weights.reduce((total, weight) => fround(total + weight), 0);
    return { start, weights: weights.map((weight) => weight * fround(1 / sum)) };
  });
}

/** Values mixed between two looks at the clock; a few milliseconds' work. */
const VALUES_AT_ONCE = 2_000_000;

/** The event loop's turn. */
const others = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One row of the result at the source's width. */
function mixRows({ data, width }: Pixels, { start, weights }: Span, row: Float32Array): void {
  row.fill(0);
  for (let k = 0; k < weights.length; k++) {
    const weight = weights[k]!;
    const offset = (start + k) * width * 3;
    for (let i = 0; i < row.length; i++) row[i]! += weight * data[offset + i]!;
  }
}

function mixColumns(row: Float32Array, columns: readonly Span[], out: Float32Array, offset: number): void {
  let at = offset;
  for (const { start, weights } of columns) {
    let [red, green, blue] = [0, 0, 0];
    for (let k = 0; k < weights.length; k++) {
      const place = (start + k) * 3;
      red += weights[k]! * row[place]!;
      green += weights[k]! * row[place + 1]!;
      blue += weights[k]! * row[place + 2]!;
    }
    out[at++] = red / 255;
    out[at++] = green / 255;
    out[at++] = blue / 255;
  }
}

/**
 * Resizes with a triangle filter and antialiasing, pixel centres at one half, and scales to [0, 1]: what TensorFlow's
 * `ScaleAndTranslate` does in exported models, to float32 rounding. Training's preparation (`decodeImage`) is the same
 * filter in eight-bit arithmetic.
 * @param out receives `[settings.height, settings.width, 3]` from `offset` on
 */
export async function resizeInto(
  image: Pixels,
  settings: ImageSettings,
  out: Float32Array,
  offset: number,
): Promise<void> {
  const columns = spans(image.width, settings.width);
  const row = new Float32Array(image.width * 3);
  const rowSize = imageSize(settings) / settings.height;
  let work = 0;
  for (const [y, span] of spans(image.height, settings.height).entries()) {
    mixRows(image, span, row);
    mixColumns(row, columns, out, offset + y * rowSize);
    work += row.length * (span.weights.length + 2);
    if (work < VALUES_AT_ONCE) continue;
    work = 0;
    await others();
  }
}
