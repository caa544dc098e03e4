/** @file Which pictures show nothing: one colour with whatever specks, but no face. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { isOfOneColour, requireContent } from "./blank.ts";
import { decodePixels, encodePixels } from "./decode.ts";
import { resizeInto } from "./resize.ts";

const SIDE = 112;
const LFW = join(import.meta.dirname, "../../../shared/datasets/lfw");

/** A picture of one level of grey, changed pixel by pixel. */
function picture(level: number, change: (pixel: number, level: number) => number = (_, same) => same) {
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let pixel = 0; pixel < SIDE * SIDE; pixel++) data.fill(change(pixel, level), 3 * pixel, 3 * pixel + 3);
  return { data, width: SIDE, height: SIDE };
}

const random = new Random(1);

describe("a picture of one colour", () => {
  it.each([
    ["plain", picture(255)],
    [
      "with four white pixels",
      picture(0, (pixel, level) => ([5, 900, 7000, 12_000].includes(pixel) ? 255 : level)),
    ],
    ["with a white pixel in fifty", picture(40, (_, level) => (random.chance(0.02) ? 255 : level))],
    [
      "with black and white in a third",
      picture(128, (_, level) => (random.chance(0.33) ? 255 * random.integer(2) : level)),
    ],
    ["with faint noise", picture(128, (_, level) => level + 6 * (random.uniform() - 0.5))],
    ["with clear noise", picture(128, (_, level) => level + 60 * (random.uniform() - 0.5))],
    ["with nothing but noise", picture(0, () => random.integer(256))],
    ["with black or white pixels only", picture(0, () => 255 * random.integer(2))],
    ["with a line across", picture(200, (pixel, level) => (Math.floor(pixel / SIDE) === 50 ? 0 : level))],
  ])("%s shows nothing", (_, blank) => {
    expect(isOfOneColour(blank)).toBe(true);
    const floats = { ...blank, data: Float32Array.from(blank.data, (value) => value / 255) };
    expect(isOfOneColour(floats)).toBe(true);
    expect(() => requireContent(blank, "blank.png")).toThrow(
      "blank.png is of one colour, or nearly so: it shows no face",
    );
  });

  it.each([32, 64, 96, 224])(
    "may have any noise from pixel to pixel at %i pixels, and be a JPEG",
    async (side) => {
      for (const strength of [10, 40, 120]) {
        for (let i = 0; i < 10; i++) {
          const data = Uint8Array.from({ length: 3 * side * side }, () =>
            Math.round(128 + strength * (random.uniform() + random.uniform() - 1)),
          );
          const noise = { data, width: side, height: side };
          expect(isOfOneColour(noise)).toBe(true);
          expect(isOfOneColour(await decodePixels(await encodePixels(noise, "jpg")))).toBe(true);
        }
      }
    },
  );

  it("may be of a few pixels", () => {
    expect(isOfOneColour({ data: Uint8Array.of(9, 9, 9), width: 1, height: 1 })).toBe(true);
    expect(isOfOneColour({ data: Uint8Array.of(200, 0, 0, 0, 0, 0), width: 2, height: 1 })).toBe(false);
  });
});

describe("a face", () => {
  it("in outline shows something", () => {
    const oval = picture(180, (pixel, level) =>
      Math.hypot((pixel % SIDE) - 56, Math.floor(pixel / SIDE) - 56) < 40 ? level - 12 : level,
    );
    expect(isOfOneColour(oval)).toBe(false);
  });

  it.skipIf(!existsSync(LFW))(
    "of a photograph of LFW shows something, however faint, dark or grainy (skipped without LFW)",
    async () => {
      const people = readdirSync(LFW, { withFileTypes: true }).filter((entry) => entry.isDirectory());
      const refused: string[] = [];
      for (const { name } of people.filter((_, i) => i % 20 === 0)) {
        const path = join(LFW, name, readdirSync(join(LFW, name)).find((file) => file.endsWith(".jpg"))!);
        const data = new Float32Array(SIDE * SIDE * 3);
        await resizeInto(await decodePixels(path), { height: SIDE, width: SIDE, channels: 3 }, data, 0);
        for (const [part, above, grain = 0] of [
          [1, 0],
          [0.2, 0.7],
          [0.2, 0],
          [0.2, 0.4, 0.06],
          [1, 0, 0.2],
        ] as const) {
          const changed = data.map((value) => value * part + above + grain * (2 * random.uniform() - 1));
          if (isOfOneColour({ data: changed, width: SIDE, height: SIDE })) refused.push(path);
        }
      }
      expect(refused).toEqual([]);
    },
  );
});
