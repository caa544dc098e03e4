/** @file Drawn photographs: always the same, different where they should be, and no shortcut to who is on them. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ImageSettings } from "../image/settings.ts";
import { DRAWING_VERSION, drawPhoto, type SyntheticPhoto } from "./draw.ts";

const SMALL: ImageSettings = { height: 40, width: 40, channels: 3 };
const PHOTO: SyntheticPhoto = { seed: 1, identity: 2, number: 3, difficulty: 1 };

const hash = (pixels: Uint8Array) => createHash("sha256").update(pixels).digest("hex").slice(0, 16);

/** Share of (same, different) comparisons in which the same person is closer: 0.5 is chance, 1 is perfect. */
function auc(
  people: number,
  photos: number,
  difficulty: number,
  feature: (pixels: Uint8Array) => number[],
): number {
  const shown = Array.from({ length: people * photos }, (_, i) => {
    const photo = { seed: 5, identity: Math.floor(i / photos), number: i % photos, difficulty };
    return feature(drawPhoto(photo, SMALL));
  });
  const same: number[] = [];
  const different: number[] = [];
  shown.forEach((a, i) => {
    shown.slice(0, i).forEach((b, j) => {
      const distance = a.reduce((sum, value, k) => sum + (value - b[k]!) ** 2, 0);
      (Math.floor(i / photos) === Math.floor(j / photos) ? same : different).push(distance);
    });
  });
  const closer = same.map((s) => different.filter((d) => s < d).length / different.length);
  return closer.reduce((a, b) => a + b, 0) / closer.length;
}

const meanColour = (pixels: Uint8Array) =>
  [0, 1, 2].map(
    (channel) => pixels.reduce((sum, v, i) => sum + (i % 3 === channel ? v : 0), 0) / pixels.length,
  );

/** A picture of 10×10 grey squares, freed of brightness and contrast. */
function coarse(pixels: Uint8Array): number[] {
  const squares = new Array<number>(100).fill(0);
  for (let i = 0; i < 1600; i++)
    squares[Math.floor(i / 160) * 10 + Math.floor((i % 40) / 4)]! += pixels[i * 3 + 1]!;
  const mean = squares.reduce((a, b) => a + b, 0) / 100;
  const deviation = Math.sqrt(squares.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 100);
  return squares.map((v) => (v - mean) / deviation);
}

describe("drawPhoto", () => {
  it("gives the same pixels on every machine and at every run", () => {
    const sizes: ImageSettings[] = [
      SMALL,
      { height: 112, width: 112, channels: 3 },
      { height: 96, width: 130, channels: 3 },
    ];
    const hashes = sizes.map((settings) => hash(drawPhoto(PHOTO, settings)));
    // When a change of the drawing changes these, raise DRAWING_VERSION with them: caches hold the old pixels.
    expect({ version: DRAWING_VERSION, hashes }).toMatchInlineSnapshot(`
      {
        "hashes": [
          "00888dc9c1813c3f",
          "0dbc9c70c7ab4405",
          "819bb6fbe421f01d",
        ],
        "version": 2,
      }
    `);
    expect(sizes.map((settings) => hash(drawPhoto(PHOTO, settings)))).toEqual(hashes);
  });

  it("differs by person, photograph, seed and difficulty", () => {
    const others = [{ identity: 3 }, { number: 4 }, { seed: 2 }, { difficulty: 0.5 }, {}];
    const hashes = others.map((other) => hash(drawPhoto({ ...PHOTO, ...other }, SMALL)));
    expect(new Set(hashes).size).toBe(5);
  });

  it("fills the picture with more than one tone, whatever the circumstances", () => {
    for (let identity = 0; identity < 12; identity++) {
      for (const difficulty of [0, 1, 2]) {
        const pixels = drawPhoto({ seed: 3, identity, number: identity, difficulty }, SMALL);
        const mean = pixels.reduce((a, b) => a + b, 0) / pixels.length;
        const deviation = Math.sqrt(pixels.reduce((sum, v) => sum + (v - mean) ** 2, 0) / pixels.length);
        expect(deviation).toBeGreaterThan(8);
      }
    }
  });

  it("does not tell people apart by plain colour", () => {
    expect(auc(24, 4, 1, meanColour)).toBeLessThan(0.68);
  });

  it("tells people apart by their faces, less easily as difficulty grows", () => {
    const easy = auc(24, 4, 0.1, coarse);
    const meant = auc(24, 4, 1, coarse);
    const hard = auc(24, 4, 2, coarse);
    expect(easy).toBeGreaterThan(0.72);
    expect(meant).toBeLessThan(easy);
    expect(hard).toBeLessThan(meant);
    expect(hard).toBeGreaterThan(0.5);
  });
});
