/** @file Pictures sampled from photographs: exact where they must be, without aliasing where they shrink. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import type { Pixels } from "../image/settings.ts";
import { Pyramid, sample } from "./pyramid.ts";
import { IDENTITY, type Similarity, similarityAbout } from "./similarity.ts";

function grey(width: number, height: number, value: (x: number, y: number) => number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at += 3) data.fill(value(x, y), at, at + 3);
  return { data, width, height };
}

/** The picture of `sample` as its description has it: each sample by itself, summed in 32 bits, without any short cut. */
function plainly(photograph: Pyramid, to: Similarity, side: number): number[] {
  const { pixels, halvings } = photograph.level(Math.max(0, Math.floor(Math.log2(Math.hypot(to.a, to.b)))));
  const shrink = 1 / 2 ** halvings;
  const [a, b] = [to.a * shrink, to.b * shrink];
  const [x0, y0] = [(to.x0 + 0.5) * shrink - 0.5, (to.y0 + 0.5) * shrink - 0.5];
  const fine = Math.max(1, Math.round(Math.hypot(a, b)));
  const offsets = Array.from({ length: fine }, (_, i) => (i + 0.5) / fine - 0.5);
  const { data, width, height } = pixels;
  const value = (column: number, row: number, k: number) =>
    column < 0 || row < 0 || column >= width || row >= height ? 0 : data[(row * width + column) * 3 + k]!;
  return Array.from({ length: side * side * 3 }, (_, at) => {
    const [column, row, k] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side), at % 3];
    let sum = 0;
    for (const v of offsets.map((offset) => row + offset)) {
      for (const u of offsets.map((offset) => column + offset)) {
        const [x, y] = [a * u + (x0 - b * v), b * u + (y0 + a * v)];
        const [left, top] = [Math.floor(x), Math.floor(y)];
        const [right, down] = [x - left, y - top];
        sum = Math.fround(
          sum +
            (1 - right) * (1 - down) * value(left, top, k) +
            right * (1 - down) * value(left + 1, top, k) +
            (1 - right) * down * value(left, top + 1, k) +
            right * down * value(left + 1, top + 1, k),
        );
      }
    }
    return Math.floor(sum * (1 / (fine * fine)) + 0.5);
  });
}

const reds = ({ data }: Pixels) => [...data].filter((_, i) => i % 3 === 0);

describe("Pyramid", () => {
  it("halves by the mean of four, leaving out a last odd row and column", () => {
    const { pixels, halvings } = new Pyramid(grey(5, 3, (x, y) => 10 * x + y)).level(1);
    expect([pixels.width, pixels.height, halvings]).toEqual([2, 1, 1]);
    expect(reds(pixels)).toEqual([6, 26]);
  });

  it("rounds each mean of any four bytes, whatever the width", () => {
    const random = new Random(6);
    for (let width = 2; width < 14; width++) {
      // Within a larger buffer, at an odd place.
      const data = new Uint8Array(width * 5 * 3 + 7)
        .map(() => [0, 1, 254, 255][random.integer(4)]!)
        .subarray(7);
      const { pixels } = new Pyramid({ data, width, height: 5 }).level(1);
      const byte = (column: number, row: number, k: number) => data[(row * width + column) * 3 + k]!;
      const expected = [0, 1].flatMap((row) =>
        Array.from({ length: width >> 1 }, (_, column) =>
          [0, 1, 2].map((k) => {
            const [left, top] = [2 * column, 2 * row];
            const four = [byte(left, top, k), byte(left + 1, top, k), byte(left, top + 1, k)];
            return Math.floor((four.reduce((a, b) => a + b) + byte(left + 1, top + 1, k) + 2) / 4);
          }),
        ).flat(),
      );
      expect([...pixels.data], `${width} wide`).toEqual(expected);
    }
  });

  it("samples the same from a level that is halved already, and tells when finer ones are missing", () => {
    const random = new Random(9);
    const data = Uint8Array.from({ length: 64 * 48 * 3 }, () => random.integer(256));
    const whole = new Pyramid({ data, width: 64, height: 48 });
    const quarter = new Pyramid(whole.level(2).pixels, { width: 64, height: 48, halvings: 2 });
    expect(quarter.size).toEqual({ width: 64, height: 48 });
    const eighth = { a: 7, b: 1, x0: 3, y0: 2 };
    expect(sample(quarter, eighth, 8, 6)).toEqual(sample(whole, eighth, 8, 6));
    expect(quarter.isTooCoarse).toBe(false);
    sample(quarter, { a: 3, b: 0, x0: 0, y0: 0 }, 8, 6);
    expect(quarter.isTooCoarse).toBe(true);
  });

  it("stops where there is nothing left to halve", () => {
    expect(new Pyramid(grey(9, 2, () => 7)).level(10).halvings).toBe(1);
  });
});

describe("sample", () => {
  const photograph = new Pyramid(grey(8, 6, (x, y) => 20 * x + y));

  it("returns the photograph itself by the identity", () => {
    const { data, inside } = sample(photograph, IDENTITY, 8, 6);
    expect(data).toEqual(photograph.level(0).pixels.data);
    expect(inside).toBe(1);
  });

  it("mixes four pixels between them", () => {
    expect(reds(sample(photograph, { a: 1, b: 0, x0: 2.5, y0: 1.5 }, 1, 1))).toEqual([52]);
  });

  it("turns clockwise", () => {
    // A quarter turn: the picture's row runs down the photograph's first column.
    const turned = sample(photograph, { a: 0, b: 1, x0: 0, y0: 0 }, 6, 1);
    expect(reds(turned)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("is black beyond the border, fades to it over one pixel, and says how much lies inside", () => {
    const white = new Pyramid(grey(4, 4, () => 200));
    const { data, width, height, inside } = sample(white, { a: 1, b: 0, x0: -3.25, y0: 0 }, 6, 1);
    expect(reds({ data, width, height })).toEqual([0, 0, 0, 150, 200, 200]);
    expect(inside).toBe(0.5);
  });

  it("keeps the mean of a fine pattern when it shrinks, where single samples would not", () => {
    const stripes = new Pyramid(grey(640, 640, (x) => (x % 2 === 0 ? 0 : 255)));
    for (const shrink of [2, 3, 4.5, 10]) {
      const to = similarityAbout([15.5, 15.5], [319.5, 319.5], shrink, 0.3);
      const values = reds(sample(stripes, to, 32, 32));
      for (const value of values) expect(Math.abs(value - 128), `shrunk ${shrink} times`).toBeLessThan(8);
    }
  });

  it("gives the same bytes as each sample by itself, at any size, place and angle, in any memory", () => {
    const random = new Random(5);
    const noise = new Uint8Array(61 * 47 * 3).map(() => random.integer(256));
    const photograph = new Pyramid({ data: noise, width: 61, height: 47 });
    const memory = new ArrayBuffer(24 * 24 * 3);
    for (let i = 0; i < 60; i++) {
      const centre = [80 * random.uniform() - 10, 60 * random.uniform() - 8] as const;
      const scale = 2 ** (4 * random.uniform() - 2);
      const to = similarityAbout([11.5, 11.5], centre, scale, 7 * random.uniform());
      const { data } = sample(photograph, to, 24, 24);
      expect([...data], JSON.stringify(to)).toEqual(plainly(photograph, to, 24));
      new Uint8Array(memory).fill(99);
      expect(sample(photograph, to, 24, 24, memory).data).toEqual(data);
    }
  });

  it("places what it shrinks where it belongs", () => {
    // A ramp stays the same ramp, whatever level it is taken from.
    const ramp = new Pyramid(grey(250, 250, (x) => x));
    for (const shrink of [1, 2, 3, 5]) {
      const middle = 124.5;
      const values = reds(sample(ramp, similarityAbout([4.5, 4.5], [middle, middle], shrink, 0), 10, 1));
      for (const [x, value] of values.entries())
        expect(Math.abs(value - (middle + (x - 4.5) * shrink))).toBeLessThanOrEqual(1);
    }
  });
});
