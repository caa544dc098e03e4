/** @file Resizes decoded images to floats in steps that do not block the event loop. */
// Hand-written because pixels must be the same on every machine and in TensorFlow's graph.
import { type ImageSettings, imageSize, type Pixels } from "./settings.ts";

/** The source pixels along one axis that contribute to one position of the result. */
interface Span {
  readonly start: number;
  readonly weights: Float32Array;
}

const { fround } = Math;

/**
 * A triangle filter for each position of the result: bilinear interpolation when an image grows, antialiasing when it
 * shrinks. The float32 arithmetic follows TensorFlow's step by step.
 */
function makeSpans(from: number, to: number): readonly Span[] {
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

/** Spans of the sizes used last, since photographs tend to have the same ones. */
const known = new Map<string, readonly Span[]>();
const MOST_KNOWN = 16;

function spans(from: number, to: number): readonly Span[] {
  const key = `${from} ${to}`;
  const made = known.get(key) ?? makeSpans(from, to);
  known.delete(key);
  known.set(key, made);
  if (known.size > MOST_KNOWN) known.delete(known.keys().next().value!);
  return made;
}

/** Values mixed before the event loop gets a turn: a few milliseconds of work. */
const VALUES_PER_TURN = 2_000_000;

/** Lets other work of the event loop run. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * One row of the result at the source's width. Four source rows are added in one pass, with rounding to float32 after
 * each.
 */
function mixRows({ data, width }: Pixels, { start, weights }: Span, row: Float32Array): void {
  const size = width * 3;
  row.fill(0);
  let k = 0;
  for (; k + 4 <= weights.length; k += 4) {
    const [w0, w1, w2, w3] = [weights[k]!, weights[k + 1]!, weights[k + 2]!, weights[k + 3]!];
    const first = (start + k) * size;
    const [second, third, fourth] = [first + size, first + 2 * size, first + 3 * size];
    for (let i = 0; i < size; i++) {
      const one = fround(row[i]! + w0 * data[first + i]!);
      const two = fround(one + w1 * data[second + i]!);
      const three = fround(two + w2 * data[third + i]!);
      row[i] = three + w3 * data[fourth + i]!;
    }
  }
  for (; k < weights.length; k++) {
    const weight = weights[k]!;
    const offset = (start + k) * size;
    for (let i = 0; i < size; i++) row[i]! += weight * data[offset + i]!;
  }
}

/** The spans of an axis in flat arrays, which are read once for each row. */
interface Columns {
  readonly starts: Int32Array;
  /** Where each span's weights end in `weights`. */
  readonly ends: Int32Array;
  readonly weights: Float32Array;
}

function columnsOf(list: readonly Span[]): Columns {
  const ends = new Int32Array(list.length);
  let size = 0;
  for (const [i, { weights }] of list.entries()) {
    size += weights.length;
    ends[i] = size;
  }
  const weights = new Float32Array(size);
  for (const [i, span] of list.entries()) weights.set(span.weights, ends[i]! - span.weights.length);
  return { starts: Int32Array.from(list, ({ start }) => start), ends, weights };
}

function mixColumns(
  row: Float32Array,
  { starts, ends, weights }: Columns,
  out: Float32Array,
  offset: number,
): void {
  let at = offset;
  let k = 0;
  for (let x = 0; x < starts.length; x++) {
    let red = 0;
    let green = 0;
    let blue = 0;
    let place = starts[x]! * 3;
    for (const end = ends[x]!; k < end; k++) {
      const weight = weights[k]!;
      red += weight * row[place]!;
      green += weight * row[place + 1]!;
      blue += weight * row[place + 2]!;
      place += 3;
    }
    out[at] = red / 255;
    out[at + 1] = green / 255;
    out[at + 2] = blue / 255;
    at += 3;
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
  const columns = columnsOf(spans(image.width, settings.width));
  const row = new Float32Array(image.width * 3);
  const rowSize = imageSize(settings) / settings.height;
  let work = 0;
  for (const [y, span] of spans(image.height, settings.height).entries()) {
    mixRows(image, span, row);
    mixColumns(row, columns, out, offset + y * rowSize);
    work += row.length * (span.weights.length + 2);
    if (work < VALUES_PER_TURN) continue;
    work = 0;
    await nextTurn();
  }
}
