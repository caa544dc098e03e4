/** @file Random changes: what they do, and that the seed alone decides. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { augmentImage } from "./augment.ts";
import type { ImageSettings } from "./settings.ts";

const SETTINGS: ImageSettings = { height: 5, width: 6, channels: 3 };
const IMAGE = Uint8Array.from({ length: 5 * 6 * 3 }, (_, i) => i);
const at = (pixels: Uint8Array, row: number, column: number) => pixels[(row * 6 + column) * 3]!;

describe("augmentImage", () => {
  it("returns the very same pixels when nothing is to be changed", () => {
    expect(augmentImage(IMAGE, SETTINGS, {}, new Random(1))).toBe(IMAGE);
  });

  it("mirrors left and right with the given probability", () => {
    const mirrored = augmentImage(IMAGE, SETTINGS, { flip: 1 }, new Random(1));
    for (let row = 0; row < 5; row++) {
      for (let column = 0; column < 6; column++)
        expect(at(mirrored, row, column)).toBe(at(IMAGE, row, 5 - column));
    }
    expect(augmentImage(mirrored, SETTINGS, { flip: 1 }, new Random(2))).toEqual(IMAGE);
    const flips = Array.from({ length: 400 }, (_, seed) =>
      augmentImage(IMAGE, SETTINGS, { flip: 0.5 }, new Random(seed)),
    );
    expect(flips.filter((pixels) => pixels !== IMAGE).length).toBeGreaterThan(150);
    expect(flips.filter((pixels) => pixels === IMAGE).length).toBeGreaterThan(150);
  });

  it("shifts within its limit and repeats the border", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const shifted = augmentImage(IMAGE, SETTINGS, { shift: 0.34 }, new Random(seed));
      const centre = at(shifted, 2, 2);
      const column = (centre / 3) % 6;
      const row = Math.floor(centre / 18);
      seen.add(`${2 - column} ${2 - row}`);
      expect(Math.abs(2 - column)).toBeLessThanOrEqual(2);
      expect(Math.abs(2 - row)).toBeLessThanOrEqual(2);
    }
    expect(seen.size).toBe(25);
  });

  it("is decided by the seed alone and never changes its input", () => {
    const before = IMAGE.slice();
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, flip) => {
        const settings = { flip, shift: 0.2 };
        const once = augmentImage(IMAGE, SETTINGS, settings, new Random(seed));
        expect(augmentImage(IMAGE, SETTINGS, settings, new Random(seed))).toEqual(once);
        expect(IMAGE).toEqual(before);
      }),
    );
  });
});
