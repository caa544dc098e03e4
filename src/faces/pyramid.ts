/** @file A photograph in halved sizes, and pictures sampled from it by a similarity without aliasing. */
import type { Pixels } from "../image/settings.ts";
import { type Similarity, scaleOf } from "./similarity.ts";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** What a pyramid begins with, where that is not the whole photograph. */
interface Beginning extends Size {
  /** How often the first level is halved already. */
  readonly halvings: number;
}

/** A photograph with its halved copies, each made when it is first needed. */
export class Pyramid {
  readonly #levels: Pixels[];
  readonly #first: number;
  #isTooCoarse = false;
  /** Of the whole photograph. */
  readonly size: Size;

  /** @param first the photograph, or what `beginning` says; then its finer levels are missing. */
  constructor(first: Pixels, beginning: Beginning = { ...first, halvings: 0 }) {
    const { width, height, halvings } = beginning;
    this.#levels = [first];
    this.#first = halvings;
    this.size = { width, height };
  }

  /** Whether a finer level was asked for than there is. */
  get isTooCoarse(): boolean {
    return this.#isTooCoarse;
  }

  /** The photograph halved `level` times, or as often as it has two pixels each way; the finest there is where it is missing. */
  level(level: number): { pixels: Pixels; halvings: number } {
    if (level < this.#first) this.#isTooCoarse = true;
    const wanted = Math.max(0, level - this.#first);
    while (this.#levels.length <= wanted) {
      const last = this.#levels.at(-1)!;
      if (last.width < 2 || last.height < 2) break;
      this.#levels.push(halve(last));
    }
    const at = Math.min(wanted, this.#levels.length - 1);
    return { pixels: this.#levels[at]!, halvings: this.#first + at };
  }
}

/** Red and blue of a pixel in the low three bytes of a number, and its green: apart, so that sums of four do not meet. */
const RED_BLUE = 0xff00ff;
const GREEN = 0x00ff00;

/** Each pixel is the mean of four; a last odd row or column is left out. */
function halve({ data, width, height }: Pixels): Pixels {
  const [columns, rows] = [width >> 1, height >> 1];
  const out = new Uint8Array(columns * rows * 3);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let row = 0, at = 0; row < rows; row++) {
    let upper = row * 2 * width * 3;
    let lower = upper + width * 3;
    const end = at + columns * 3;
    // Four pixels of either row at a time, which are three numbers of 32 bits: half the time of twelve bytes.
    for (const last = end - 5; at < last; at += 6, upper += 12, lower += 12) {
      const u0 = view.getUint32(upper, true);
      const u1 = view.getUint32(upper + 4, true);
      const u2 = view.getUint32(upper + 8, true);
      const l0 = view.getUint32(lower, true);
      const l1 = view.getUint32(lower + 4, true);
      const l2 = view.getUint32(lower + 8, true);
      const upper1 = (u0 >>> 24) | (u1 << 8);
      const upper2 = (u1 >>> 16) | (u2 << 16);
      const lower1 = (l0 >>> 24) | (l1 << 8);
      const lower2 = (l1 >>> 16) | (l2 << 16);
      let sum = (u0 & RED_BLUE) + (upper1 & RED_BLUE) + (l0 & RED_BLUE) + (lower1 & RED_BLUE) + 0x20002;
      out[at] = sum >>> 2;
      out[at + 2] = sum >>> 18;
      out[at + 1] = ((u0 & GREEN) + (upper1 & GREEN) + (l0 & GREEN) + (lower1 & GREEN) + 0x200) >>> 10;
      sum = (upper2 & RED_BLUE) + ((u2 >>> 8) & RED_BLUE) + (lower2 & RED_BLUE) + ((l2 >>> 8) & RED_BLUE);
      out[at + 3] = (sum + 0x20002) >>> 2;
      out[at + 5] = (sum + 0x20002) >>> 18;
      sum = (upper2 & GREEN) + ((u2 >>> 8) & GREEN) + (lower2 & GREEN) + ((l2 >>> 8) & GREEN);
      out[at + 4] = (sum + 0x200) >>> 10;
    }
    for (; at < end; at += 3, upper += 6, lower += 6) {
      for (let i = 0; i < 3; i++) {
        const sum = data[upper + i]! + data[upper + i + 3]! + data[lower + i]! + data[lower + i + 3]!;
        out[at + i] = (sum + 2) >> 2;
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

/** The steps at which `start + step · by` surely lies in [0, below): one less at either end, where rounding might decide. */
function stepsWithin(start: number, by: number, below: number): [first: number, last: number] {
  if (by === 0) return start >= 0 && start < below ? [0, Number.POSITIVE_INFINITY] : [0, -1];
  const [one, other] = [-start / by, (below - start) / by];
  return [Math.ceil(Math.min(one, other)) + 1, Math.floor(Math.max(one, other)) - 1];
}

/** A row of the picture. */
interface Row {
  readonly grid: Grid;
  readonly row: number;
  /** Where the samples of a pixel lie beside its centre, along either axis. */
  readonly offsets: readonly number[];
}

/** The pixels of a row whose samples surely all lie between four pixels of the photograph. */
function stepsInside({ grid, row, offsets }: Row, count: number): [first: number, end: number] {
  const { a, b, x0, y0, pixels } = grid;
  let [first, end] = [0, count];
  for (const down of offsets) {
    const [placeX, placeY] = [x0 - b * (row + down), y0 + a * (row + down)];
    for (const right of offsets) {
      const [firstX, lastX] = stepsWithin(a * right + placeX, a, pixels.width - 1);
      const [firstY, lastY] = stepsWithin(b * right + placeY, b, pixels.height - 1);
      first = Math.max(first, firstX, firstY);
      end = Math.min(end, lastX + 1, lastY + 1);
    }
  }
  return first < end ? [first, end] : [0, 0];
}

/*
 * Both functions below say of their places that they are whole numbers of 32 bits. V8 learns that from their calls too, but forgets it once
 * photographs of several kinds have come by, and then takes half as long again.
 */

/**
 * Writes pixels of a row that have one sample each, which lies between four pixels of the photograph. `writeMean` would give the
 * same bytes in 1.4 times the time.
 */
function writeOnce({ grid, row }: Row, first: number, end: number, out: Uint8Array, start: number): void {
  const { data, width } = grid.pixels;
  const { a, b } = grid;
  const stride = width * 3;
  const placeX = grid.x0 - b * row;
  const placeY = grid.y0 + a * row;
  for (let u = first, to = start + first * 3; u < end; u++, to += 3) {
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
    const at = (Math.imul(top, stride) + Math.imul(left, 3)) | 0;
    const below = (at + stride) | 0;
    const red = w00 * data[at]! + w01 * data[at + 3]! + w10 * data[below]! + w11 * data[below + 3]!;
    const green = w00 * data[at + 1]! + w01 * data[at + 4]! + w10 * data[below + 1]! + w11 * data[below + 4]!;
    const blue = w00 * data[at + 2]! + w01 * data[at + 5]! + w10 * data[below + 2]! + w11 * data[below + 5]!;
    // The pixels of several samples and those near the border are summed in 32 bits, and a picture must not show where they are.
    out[to] = Math.fround(red) + 0.5;
    out[to + 1] = Math.fround(green) + 0.5;
    out[to + 2] = Math.fround(blue) + 0.5;
  }
}

/** The same with several samples for each pixel. */
function writeMean(line: Row, first: number, end: number, out: Uint8Array, start: number): void {
  const { row, offsets } = line;
  const { a, b, x0, y0, pixels } = line.grid;
  const { data } = pixels;
  const stride = pixels.width * 3;
  const fine = offsets.length;
  const weight = 1 / (fine * fine);
  for (let step = first, to = start + first * 3; step < end; step++, to += 3) {
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let i = 0; i < fine; i++) {
      const v = row + offsets[i]!;
      for (let j = 0; j < fine; j++) {
        const u = offsets[j]! + step;
        const x = a * u + (x0 - b * v);
        const y = b * u + (y0 + a * v);
        const left = x | 0;
        const top = y | 0;
        const right = x - left;
        const down = y - top;
        const w11 = right * down;
        const w01 = right - w11;
        const w10 = down - w11;
        const w00 = 1 - right - w10;
        const at = (Math.imul(top, stride) + Math.imul(left, 3)) | 0;
        const below = (at + stride) | 0;
        red = Math.fround(
          red + (w00 * data[at]! + w01 * data[at + 3]! + w10 * data[below]! + w11 * data[below + 3]!),
        );
        green = Math.fround(
          green +
            (w00 * data[at + 1]! + w01 * data[at + 4]! + w10 * data[below + 1]! + w11 * data[below + 4]!),
        );
        blue = Math.fround(
          blue +
            (w00 * data[at + 2]! + w01 * data[at + 5]! + w10 * data[below + 2]! + w11 * data[below + 5]!),
        );
      }
    }
    out[to] = red * weight + 0.5;
    out[to + 1] = green * weight + 0.5;
    out[to + 2] = blue * weight + 0.5;
  }
}

/** Adds the colour at a place near or beyond the border, where it fades to black. */
function addNearBorder({ data, width, height }: Pixels, x: number, y: number, sums: Float64Array): void {
  const left = Math.floor(x);
  const top = Math.floor(y);
  for (let row = top; row <= top + 1; row++) {
    if (row < 0 || row >= height) continue;
    const rowPart = row === top ? 1 - (y - top) : y - top;
    for (let column = left; column <= left + 1; column++) {
      if (column < 0 || column >= width) continue;
      const part = rowPart * (column === left ? 1 - (x - left) : x - left);
      const at = (row * width + column) * 3;
      for (let i = 0; i < 3; i++) sums[i]! += part * data[at + i]!;
    }
  }
}

/** A pixel that is being written, and one of its samples. */
const pixel = new Float32Array(3);
const colour = new Float64Array(3);

/** Writes one pixel of a row, wherever its samples lie; returns how many of them are inside the photograph. */
function writeAnywhere(line: Row, step: number, out: Uint8Array, at: number): number {
  const { a, b, x0, y0, pixels } = line.grid;
  const { width, height } = pixels;
  const fine = line.offsets.length;
  let inside = 0;
  pixel.fill(0);
  for (let i = 0; i < fine; i++) {
    const v = line.row + line.offsets[i]!;
    for (let j = 0; j < fine; j++) {
      const u = line.offsets[j]! + step;
      const x = a * u + (x0 - b * v);
      const y = b * u + (y0 + a * v);
      if (!(x > -1 && y > -1 && x < width && y < height)) continue;
      colour.fill(0);
      addNearBorder(pixels, x, y, colour);
      for (let k = 0; k < 3; k++) pixel[k]! += colour[k]!;
      if (x >= -0.5 && y >= -0.5 && x <= width - 0.5 && y <= height - 0.5) inside++;
    }
  }
  for (let k = 0; k < 3; k++) out[at + k] = pixel[k]! * (1 / (fine * fine)) + 0.5;
  return inside;
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
 * @param memory for the picture, of any content; new memory when left out.
 * @returns eight-bit RGB `[height, width, 3]`.
 */
export function sample(
  pyramid: Pyramid,
  toPhotograph: Similarity,
  width: number,
  height: number,
  memory?: ArrayBuffer,
): Sampled {
  const grid = gridOf(pyramid, toPhotograph);
  const out = new Uint8Array(memory ?? new ArrayBuffer(width * height * 3), 0, width * height * 3);
  if (memory !== undefined) out.fill(0);
  if (grid.a === 1 && grid.b === 0 && Number.isInteger(grid.x0) && Number.isInteger(grid.y0)) {
    return cut(grid.pixels, grid.x0, grid.y0, { data: out, width, height });
  }
  const { fine } = grid;
  const offsets = Array.from({ length: fine }, (_, index) => (index + 0.5) / fine - 0.5);
  const write = fine === 1 ? writeOnce : writeMean;
  let inside = 0;
  for (let row = 0; row < height; row++) {
    const line = { grid, row, offsets };
    const start = row * width * 3;
    const [first, end] = stepsInside(line, width);
    // Most pixels need not be asked one by one whether they lie inside.
    write(line, first, end, out, start);
    inside += (end - first) * fine * fine;
    for (let step = 0; step < first; step++) inside += writeAnywhere(line, step, out, start + step * 3);
    for (let step = end; step < width; step++) inside += writeAnywhere(line, step, out, start + step * 3);
  }
  return { data: out, width, height, inside: (inside * (1 / (fine * fine))) / (width * height) };
}
