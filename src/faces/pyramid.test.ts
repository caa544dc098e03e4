/** @file Pictures sampled from photographs: exact where they must be, without aliasing where they shrink. */
import { describe, expect, it } from "vitest";
import type { Pixels } from "../image/settings.ts";
import { Pyramid, sample } from "./pyramid.ts";
import { IDENTITY, similarityAbout } from "./similarity.ts";

function grey(width: number, height: number, value: (x: number, y: number) => number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at += 3) data.fill(value(x, y), at, at + 3);
  return { data, width, height };
}

const reds = ({ data }: Pixels) => [...data].filter((_, i) => i % 3 === 0);

describe("Pyramid", () => {
  it("halves by the mean of four, leaving out a last odd row and column", () => {
    const { pixels, halvings } = new Pyramid(grey(5, 3, (x, y) => 10 * x + y)).level(1);
    expect([pixels.width, pixels.height, halvings]).toEqual([2, 1, 1]);
    expect(reds(pixels)).toEqual([6, 26]);
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
