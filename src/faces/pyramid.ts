/** @file A photograph in halved sizes, and pictures sampled from it by a similarity without aliasing. */
import type { Pixels } from "../image/settings.ts";
import { type Similarity, scaleOf } from "./similarity.ts";

/** A photograph with its halved copies, each made when it is first needed. */
export class Pyramid {
  readonly #levels: Pixels[];

  constructor(photograph: Pixels) {
    this.#levels = [photograph];
  }

  /** The photograph halved `level` times, or as often as it has two pixels each way. */
  level(level: number): { pixels: Pixels; halvings: number } {
    while (this.#levels.length <= level) {
      const last = this.#levels.at(-1)!;
      if (last.width < 2 || last.height < 2) break;
      this.#levels.push(halve(last));
    }
    const halvings = Math.min(level, this.#levels.length - 1);
    return { pixels: this.#levels[halvings]!, halvings };
  }
}

/** Each pixel is the mean of four; a last odd row or column is left out. */
function halve({ data, width, height }: Pixels): Pixels {
  const [columns, rows] = [width >> 1, height >> 1];
  const out = new Uint8Array(columns * rows * 3);
  for (let row = 0, at = 0; row < rows; row++) {
    let upper = row * 2 * width * 3;
    let lower = upper + width * 3;
    for (let column = 0; column < columns; column++, upper += 6, lower += 6) {
      for (let i = 0; i < 3; i++, at++) {
        const sum = data[upper + i]! + data[upper + i + 3]! + data[lower + i]! + data[lower + i + 3]!;
        out[at] = (sum + 2) >> 2;
      }
    }
  }
  return { data: out, width: columns, height: rows };
}

/** A sampled picture. */
export interface Sampled extends Pixels {
  /** Share of its samples that lie inside the photograph, 0 to 1. */
  readonly inside: number;
}

/** Where the samples of a picture lie on a level: x = a·column − b·row + x0, y = b·column + a·row + y0. */
interface Grid extends Similarity {
  readonly pixels: Pixels;
  /** Samples for each pixel of the picture along either axis. */
  readonly fine: number;
}

/**
 * The level whose pixels are at most twice as fine as the picture's, and how the picture's lie on it. Four samples a pixel
 * where the level's are finer than two thirds of it.
 */
function gridOf(pyramid: Pyramid, toPhotograph: Similarity): Grid {
  const wanted = Math.max(0, Math.floor(Math.log2(scaleOf(toPhotograph))));
  const { pixels, halvings } = pyramid.level(wanted);
  const shrink = 1 / 2 ** halvings;
  const [a, b] = [toPhotograph.a * shrink, toPhotograph.b * shrink];
  // A halved pixel's centre lies between the centres of its four.
  const x0 = (toPhotograph.x0 + 0.5) * shrink - 0.5;
  const y0 = (toPhotograph.y0 + 0.5) * shrink - 0.5;
  return { pixels, a, b, x0, y0, fine: Math.max(1, Math.round(Math.hypot(a, b))) };
}

/** Adds the colour at a place near or beyond the border, where it fades to black. */
function addAtBorder({ data, width, height }: Pixels, x: number, y: number, sums: Float64Array): void {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  for (const [row, rowPart] of [
    [top, 1 - (y - top)],
    [top + 1, y - top],
  ] as const) {
    if (row < 0 || row >= height) continue;
    for (const [column, columnPart] of [
      [left, 1 - (x - left)],
      [left + 1, x - left],
    ] as const) {
      if (column < 0 || column >= width) continue;
      const at = (row * width + column) * 3;
      for (let i = 0; i < 3; i++) sums[i]! += rowPart * columnPart * data[at + i]!;
    }
  }
}

/** The steps at which `start + step · by` surely lies in [0, below): one less at either end, where rounding might decide. */
function stepsWithin(start: number, by: number, below: number): [first: number, last: number] {
  if (by === 0) return start >= 0 && start < below ? [0, Number.POSITIVE_INFINITY] : [0, -1];
  const [one, other] = [-start / by, (below - start) / by];
  return [Math.ceil(Math.min(one, other)) + 1, Math.floor(Math.max(one, other)) - 1];
}

/** Adds one sample of each pixel in a row of the picture to `sums`; returns how many lie inside the photograph. */
function addRow(grid: Grid, startX: number, v: number, sums: Float32Array): number {
  const { pixels, a, b, x0, y0 } = grid;
  const count = sums.length / 3;
  const [placeX, placeY] = [x0 - b * v, y0 + a * v];
  const [firstX, lastX] = stepsWithin(a * startX + placeX, a, pixels.width - 1);
  const [firstY, lastY] = stepsWithin(b * startX + placeY, b, pixels.height - 1);
  const first = Math.min(count, Math.max(0, firstX, firstY));
  const end = Math.max(first, Math.min(count - 1, lastX, lastY) + 1);
  // Most pixels need not be asked one by one whether they lie inside.
  addInside(grid, startX, placeX, placeY, sums, first, end);
  let inside = end - first;
  for (let u = 0; u < count; u++) {
    if (u >= first && u < end) continue;
    inside += addAnywhere(grid, startX, placeX, placeY, sums, u);
  }
  return inside;
}

/** Adds samples that lie between four pixels. */
function addInside(
  { pixels: { data, width }, a, b }: Grid,
  startX: number,
  placeX: number,
  placeY: number,
  sums: Float32Array,
  first: number,
  end: number,
): void {
  const stride = width * 3;
  for (let step = first, at = first * 3; step < end; step++, at += 3) {
    const u = startX + step;
    const x = a * u + placeX;
    const y = b * u + placeY;
    // Cuts the fraction off, as Math.floor does above 0, in a third of the time.
    const left = x | 0;
    const top = y | 0;
    const right = x - left;
    const down = y - top;
    const w11 = right * down;
    const w01 = right - w11;
    const w10 = down - w11;
    const w00 = 1 - right - w10;
    const from = top * stride + left * 3;
    const below = from + stride;
    sums[at]! += w00 * data[from]! + w01 * data[from + 3]! + w10 * data[below]! + w11 * data[below + 3]!;
    sums[at + 1]! +=
      w00 * data[from + 1]! + w01 * data[from + 4]! + w10 * data[below + 1]! + w11 * data[below + 4]!;
    sums[at + 2]! +=
      w00 * data[from + 2]! + w01 * data[from + 5]! + w10 * data[below + 2]! + w11 * data[below + 5]!;
  }
}

/** Adds one sample wherever it lies; returns 1 if that is inside the photograph, else 0. */
function addAnywhere(
  grid: Grid,
  startX: number,
  placeX: number,
  placeY: number,
  sums: Float32Array,
  step: number,
): 0 | 1 {
  const { width, height } = grid.pixels;
  const [x, y] = [grid.a * (startX + step) + placeX, grid.b * (startX + step) + placeY];
  if (x >= 0 && y >= 0 && x < width - 1 && y < height - 1) {
    addInside(grid, startX, placeX, placeY, sums, step, step + 1);
    return 1;
  }
  if (!(x > -1 && y > -1 && x < width && y < height)) return 0;
  const border = new Float64Array(3);
  addAtBorder(grid.pixels, x, y, border);
  for (let i = 0; i < 3; i++) sums[step * 3 + i]! += border[i]!;
  return x >= -0.5 && y >= -0.5 && x <= width - 0.5 && y <= height - 0.5 ? 1 : 0;
}

/** A part of the photograph as it is, black beyond the border. */
function cut({ data, width, height }: Pixels, left: number, top: number, out: Pixels): Sampled {
  const [first, end] = [Math.max(0, -left), Math.min(out.width, width - left)];
  let inside = 0;
  for (let row = Math.max(0, -top); row < Math.min(out.height, height - top) && first < end; row++) {
    const from = (row + top) * width + left;
    out.data.set(data.subarray((from + first) * 3, (from + end) * 3), (row * out.width + first) * 3);
    inside += end - first;
  }
  return { ...out, inside: inside / (out.width * out.height) };
}

/**
 * Samples a picture of another size, place and angle from a photograph: bilinear, from a level that is neither too fine
 * (aliasing) nor too coarse (blur); black beyond the border.
 * @param toPhotograph takes pixels of the picture to the photograph's.
 * @returns eight-bit RGB `[height, width, 3]`.
 */
export function sample(pyramid: Pyramid, toPhotograph: Similarity, width: number, height: number): Sampled {
  const grid = gridOf(pyramid, toPhotograph);
  const { fine } = grid;
  const out = new Uint8Array(width * height * 3);
  if (grid.a === 1 && grid.b === 0 && Number.isInteger(grid.x0) && Number.isInteger(grid.y0)) {
    return cut(grid.pixels, grid.x0, grid.y0, { data: out, width, height });
  }
  const sums = new Float32Array(width * 3);
  const weight = 1 / (fine * fine);
  const offset = (index: number) => (index + 0.5) / fine - 0.5;
  let inside = 0;
  for (let row = 0; row < height; row++) {
    sums.fill(0);
    for (let i = 0; i < fine; i++) {
      for (let j = 0; j < fine; j++) inside += addRow(grid, offset(j), row + offset(i), sums);
    }
    const start = row * width * 3;
    for (let i = 0; i < sums.length; i++) out[start + i] = sums[i]! * weight + 0.5;
  }
  return { data: out, width, height, inside: (inside * weight) / (width * height) };
}
