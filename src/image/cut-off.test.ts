/** @file Files of each format that are cut off, or have wrong bytes: the message says which. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodePixels } from "./decode.ts";

/** A picture of some noise, so that most of its file is pixels. */
const noisy = sharp(
  Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => 100 + ((i * 2654435761) >>> 27)),
  { raw: { width: 96, height: 96, channels: 3 } },
);
const WRITTEN = {
  jpeg: () => noisy.clone().jpeg(),
  "progressive jpeg": () => noisy.clone().jpeg({ progressive: true }),
  png: () => noisy.clone().png(),
  "interlaced png": () => noisy.clone().png({ progressive: true }),
  "png of a palette": () => noisy.clone().png({ palette: true }),
  webp: () => noisy.clone().webp(),
  "webp without loss": () => noisy.clone().webp({ lossless: true }),
  gif: () => noisy.clone().gif(),
  "tiff as it is": () => noisy.clone().tiff({ compression: "none" }),
  "tiff with LZW": () => noisy.clone().tiff({ compression: "lzw" }),
  "tiff with deflate": () => noisy.clone().tiff({ compression: "deflate" }),
  "tiff with a JPEG": () => noisy.clone().tiff({ compression: "jpeg" }),
  "tiff in tiles": () =>
    noisy.clone().tiff({ compression: "lzw", tile: true, tileWidth: 32, tileHeight: 32 }),
  avif: () => noisy.clone().avif(),
} as const;
const formats = Object.keys(WRITTEN) as (keyof typeof WRITTEN)[];

const HINT = "copy the file again from where it came, or save it anew in an image editor";
const said = (message: string) => ({
  code: "IMAGE_UNREADABLE",
  message: `cannot read the image: ${message}`,
  hint: HINT,
});

describe("a file of each format", () => {
  it.each(formats)("is called cut off where it is: %s", async (format) => {
    const file = await WRITTEN[format]().toBuffer();
    for (const share of [0.25, 0.5, 0.75, 0.95, 0.98]) {
      const cut = file.subarray(0, Math.floor(file.length * share));
      await expect(decodePixels(cut), String(share)).rejects.toMatchObject(said("the file is cut off"));
    }
  });

  // Nothing tells wrong pixels of a GIF, of a TIFF without compression, and of most tiles; of a progressive JPEG a scan may be lost.
  it.each(formats.filter((format) => !/gif|as it is|tiles|progressive/.test(format)))(
    "is called damaged where bytes are wrong: %s",
    async (format) => {
      const file = await WRITTEN[format]().toBuffer();
      for (const share of [0.4, 0.5, 0.6]) {
        const wrong = Buffer.from(file);
        const at = Math.floor(file.length * share);
        wrong.fill(0, at, at + 24);
        // What can still be read of a format without checksums is read.
        const message = await decodePixels(wrong).then(
          () => undefined,
          (error: Error) => error.message,
        );
        if (message !== undefined || format.includes("png"))
          expect(message).toBe("cannot read the image: its bytes are damaged");
      }
    },
  );

  it("is called damaged for a wrong checksum or length within a PNG that has its end", async () => {
    const file = await WRITTEN.png().toBuffer();
    const data = file.indexOf("IDAT");
    for (const at of [data - 3, data + file.readUInt32BE(data - 4) + 5]) {
      const wrong = Buffer.from(file);
      wrong[at]! ^= 1;
      await expect(decodePixels(wrong)).rejects.toMatchObject(said("its bytes are damaged"));
    }
    const short = Buffer.concat([file.subarray(0, data + 100), file.subarray(data + 108)]);
    await expect(decodePixels(short)).rejects.toMatchObject(said("its bytes are damaged"));
  });

  it("is called damaged where wrong bytes of a JPEG look like a part that is longer than the file", async () => {
    const file = await WRITTEN.jpeg().toBuffer();
    file.set([0xff, 0xfe, 0xff, 0xff], file.length >> 1);
    await expect(decodePixels(file)).rejects.toMatchObject(said("its bytes are damaged"));
  });

  it("is called what it is among others that fail at the same time", async () => {
    const jpeg = await WRITTEN.jpeg().toBuffer();
    const png = await WRITTEN.png().toBuffer();
    const cut = [jpeg, png].map((file) => file.subarray(0, file.length >> 1));
    const wrong = [jpeg, png].map((file) => {
      const copy = Buffer.from(file);
      copy.fill(0, file.length >> 1, (file.length >> 1) + 40);
      return copy;
    });
    const files = Array.from({ length: 30 }, () => [...cut, ...wrong]).flat();
    const messages = await Promise.all(
      files.map((file) => decodePixels(file).catch((error: Error) => error.message)),
    );
    expect(new Set(messages.filter((_, i) => i % 4 < 2))).toEqual(
      new Set(["cannot read the image: the file is cut off"]),
    );
    expect(new Set(messages.filter((_, i) => i % 4 >= 2))).toEqual(
      new Set(["cannot read the image: its bytes are damaged"]),
    );
  });
});
