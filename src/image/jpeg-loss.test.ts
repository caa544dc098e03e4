/** @file The loss of JPEG, compared with what a JPEG library makes of the same pixels. */
import { describe, expect, it } from "vitest";
import { decodePixels, encodeJpeg } from "./decode.ts";
import { loseAsJpeg } from "./jpeg-loss.ts";

const SIDE = 60;

/** A coloured disc before stripes that grow finer. */
const picture = () =>
  Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => {
    const x = Math.floor(i / 3) % SIDE;
    const y = Math.floor(i / 3 / SIDE);
    if (Math.hypot(x - 25, y - 28) < 18) return [210, 150 - x, 120 + y][i % 3]!;
    return 128 + 90 * Math.sin((x * x) / 40) * [1, 0.8, 0.3][i % 3]!;
  });

function difference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

describe("loseAsJpeg", () => {
  it.each([20, 50, 80])("comes close to a JPEG library at quality %i", async (quality) => {
    const pixels = picture();
    const library = (await decodePixels(await encodeJpeg(pixels, SIDE, SIDE, quality))).data;
    const ours = pixels.slice();
    loseAsJpeg(ours, SIDE, SIDE, quality);
    const lost = difference(library, pixels);
    expect(lost).toBeGreaterThan(0.3);
    expect(difference(ours, pixels)).toBeGreaterThan(lost / 2);
    expect(difference(ours, library)).toBeLessThan(lost * 0.75);
  });

  it("loses more at lower quality, and leaves a plain picture alone", () => {
    const losses = [90, 60, 30, 10].map((quality) => {
      const pixels = picture();
      loseAsJpeg(pixels, SIDE, SIDE, quality);
      return difference(pixels, picture());
    });
    expect([...losses].sort((a, b) => a - b)).toEqual(losses);
    const plain = new Uint8Array(13 * 9 * 3).fill(128);
    loseAsJpeg(plain, 13, 9, 30);
    expect([...new Set(plain)]).toEqual([128]);
  });
});
