/** @file Progressive JPEGs, cut off behind each of their scans. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodePixels } from "./decode.ts";
import { hasAllScans } from "./jpeg-scans.ts";

const drawn = sharp(
  Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => 100 + ((i * 2654435761) >>> 27)),
  { raw: { width: 96, height: 96, channels: 3 } },
);

/** Where a file's scans begin. */
function scansOf(file: Buffer): number[] {
  const places: number[] = [];
  const scan = Buffer.from([0xff, 0xda]);
  for (let at = file.indexOf(scan); at >= 0; at = file.indexOf(scan, at + 1)) places.push(at);
  return places;
}

describe("a JPEG without its end", () => {
  it("is read where it has all scans", async () => {
    for (const options of [{}, { progressive: true }, { progressive: true, chromaSubsampling: "4:4:4" }]) {
      const file = await drawn.clone().jpeg(options).toBuffer();
      const cut = file.subarray(0, -2);
      expect([hasAllScans(file), hasAllScans(cut)]).toEqual([true, true]);
      expect(await decodePixels(cut)).toEqual(await decodePixels(file));
    }
    const grey = await drawn.clone().greyscale().jpeg({ progressive: true }).toBuffer();
    expect(hasAllScans(grey.subarray(0, -2))).toBe(true);
  });

  it("is refused where it is cut off between two scans", async () => {
    const file = await drawn.clone().jpeg({ progressive: true }).toBuffer();
    const places = scansOf(file).slice(1);
    expect(places.length).toBeGreaterThan(4);
    for (const at of places) {
      const cut = file.subarray(0, at);
      expect(hasAllScans(cut)).toBe(false);
      await expect(decodePixels(cut)).rejects.toMatchObject({
        code: "IMAGE_UNREADABLE",
        message: "cannot read the image: the file is cut off",
      });
    }
  });

  it("is judged by what there is, wherever it is cut off", async () => {
    const file = await drawn.clone().jpeg({ progressive: true }).toBuffer();
    const last = scansOf(file).at(-1)!;
    for (let at = 0; at < last; at++) {
      // Before the frame nothing is known to be missing; then a decoder has nothing to decode.
      const cut = file.subarray(0, at);
      if (cut.includes(Buffer.from([0xff, 0xda]))) expect(hasAllScans(cut), String(at)).toBe(false);
      else expect(() => hasAllScans(cut)).not.toThrow();
    }
  });

  it("is read among others that fail at the same time", async () => {
    const file = await drawn.clone().jpeg().toBuffer();
    const whole = await decodePixels(file);
    const wrong = Buffer.concat([file.subarray(0, file.length >> 1), file.subarray(-2)]);
    for (let round = 0; round < 5; round++) {
      const work = Array.from({ length: 24 }, (_, i) =>
        i % 4 === 0
          ? expect(decodePixels(wrong)).rejects.toMatchObject({ code: "IMAGE_UNREADABLE" })
          : decodePixels(file.subarray(0, -1 - (i % 2))).then((pixels) => expect(pixels).toEqual(whole)),
      );
      await Promise.all(work);
    }
  });
});
