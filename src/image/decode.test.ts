/** @file Decoding real files of every format, upright, opaque, at a model's size, and refusing the rest. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { TURNED_HEIC } from "../../test/support/heic.ts";
import { plain, temporaryFolder } from "../../test/support/photos.ts";
import type { FaceError } from "../base/errors.ts";
import {
  decodeImage,
  decodePixels,
  decodeQuarter,
  encodeJpeg,
  encodePng,
  rasterizeSvg,
  readImageFile,
} from "./decode.ts";
import { profileOf } from "./heic.ts";
import type { ImageSettings } from "./settings.ts";
import { tiffOf } from "./tiff.ts";

const SMALL: ImageSettings = { height: 8, width: 12, channels: 3 };

/** Left half red, right half blue, 40 columns by 20 rows. */
const halves = Uint8Array.from({ length: 40 * 20 * 3 }, (_, i) => {
  const left = Math.floor(i / 3) % 40 < 20;
  return [left ? 255 : 0, 0, left ? 0 : 255][i % 3]!;
});
const raw = sharp(halves, { raw: { width: 40, height: 20, channels: 3 } });

const pixel = (data: Uint8Array, width: number, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

describe("decodeImage", () => {
  it.each(["png", "jpeg", "webp", "tiff", "gif", "avif"] as const)("reads %s", async (format) => {
    const bytes = await raw.clone().toFormat(format).toBuffer();
    const data = await decodeImage(bytes, SMALL);
    expect(data).toHaveLength(8 * 12 * 3);
    const [r, , b] = pixel(data, 12, 1, 4);
    expect(r).toBeGreaterThan(230);
    expect(b).toBeLessThan(40);
    expect(pixel(data, 12, 10, 4)[2]).toBeGreaterThan(230);
  });

  it("reads grey, palette, 16-bit, CMYK and animated files as RGB", async () => {
    const png = await raw.clone().png().toBuffer();
    const files = [
      await raw.clone().greyscale().png().toBuffer(),
      await raw.clone().png({ palette: true }).toBuffer(),
      await raw.clone().toColourspace("rgb16").png().toBuffer(),
      await raw.clone().toColourspace("cmyk").jpeg().toBuffer(),
      await sharp([png, png], { join: { animated: true } })
        .gif()
        .toBuffer(),
    ];
    for (const bytes of files) expect(await decodeImage(bytes, SMALL)).toHaveLength(8 * 12 * 3);
  });

  it("reads HEIC files upright, also those that are called JPEG", async () => {
    const { data, width, height } = await decodePixels(TURNED_HEIC);
    expect([width, height]).toEqual([48, 64]);
    const corners = [
      [5, 5, [40, 60, 210]],
      [42, 5, [220, 40, 30]],
      [5, 58, [240, 240, 240]],
      [42, 58, [30, 200, 60]],
    ] as const;
    for (const [x, y, wanted] of corners) {
      for (const [channel, value] of pixel(data, width, x, y).entries())
        expect(Math.abs(value - wanted[channel]!)).toBeLessThan(4);
    }
    const misnamed = join(await temporaryFolder(), "IMG_1.jpg");
    await writeFile(misnamed, TURNED_HEIC);
    expect(await decodeImage(misnamed, SMALL)).toHaveLength(8 * 12 * 3);
    await expect(decodePixels(TURNED_HEIC.subarray(0, 500))).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: expect.stringMatching(/damaged HEIC file: (it is cut off|no image can be read from it)$/),
      hint: expect.stringContaining("copy the file again"),
    });
    await expect(decodePixels(TURNED_HEIC, { maxPixels: 100 })).rejects.toThrow("it has too many pixels");
  });

  it("converts pixels with a colour profile, as telephones store them, to sRGB", async () => {
    const wide = await raw.clone().withIccProfile("p3").png().toBuffer();
    const { icc = new Uint8Array() } = await sharp(wide).metadata();
    const stored = await sharp(wide, { ignoreIcc: true }).raw().toBuffer();
    const { data } = await decodePixels(tiffOf({ data: stored, width: 40, height: 20 }, icc));
    const away = (pixels: Uint8Array) => Math.max(...pixels.map((value, i) => Math.abs(value - halves[i]!)));
    expect(away(stored)).toBeGreaterThan(20);
    expect(away(data)).toBeLessThan(6);
  });

  it("finds the colour profile in a HEIC file", () => {
    const box = Buffer.concat([Buffer.from([0, 0, 0, 15]), Buffer.from("colrprofICC")]);
    expect(profileOf(Buffer.concat([TURNED_HEIC, box]))).toEqual(Buffer.from("ICC"));
    expect(profileOf(TURNED_HEIC)).toBeUndefined();
    expect(profileOf(Buffer.concat([TURNED_HEIC, box.subarray(0, 14)]))).toBeUndefined();
  });

  it("keeps 16-bit values in scale", async () => {
    const bytes = await sharp(
      Uint16Array.from({ length: 16 * 16 * 3 }, () => 32_896),
      {
        raw: { width: 16, height: 16, channels: 3 },
      },
    )
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    const data = await decodeImage(bytes, SMALL);
    expect([...new Set(data)]).toEqual([128]);
  });

  it("turns an image as its EXIF orientation says, unless told not to", async () => {
    // 6: the top of the scene is at the right of the file; upright, the left half becomes the top half.
    const bytes = await raw.clone().jpeg({ quality: 95 }).withMetadata({ orientation: 6 }).toBuffer();
    const upright = await decodePixels(bytes);
    expect([upright.width, upright.height]).toEqual([20, 40]);
    expect(pixel(upright.data, 20, 10, 2)[0]).toBeGreaterThan(230);
    expect(pixel(upright.data, 20, 10, 37)[2]).toBeGreaterThan(230);
    const asStored = await decodePixels(bytes, { orient: false });
    expect([asStored.width, asStored.height]).toEqual([40, 20]);
  });

  it("lays transparency on black", async () => {
    const bytes = await sharp({
      create: { width: 9, height: 9, channels: 4, background: { r: 255, g: 255, b: 255, alpha: 0 } },
    })
      .png()
      .toBuffer();
    expect(Math.max(...(await decodeImage(bytes, SMALL)))).toBe(0);
  });

  it("gives the same pixels whatever file they came in", async () => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 2654435761) >>> 24);
    const source = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    const [png, tiff, webp] = await Promise.all([
      source.clone().png().toBuffer(),
      source.clone().tiff({ compression: "none" }).toBuffer(),
      source.clone().webp({ lossless: true }).toBuffer(),
    ]);
    const expected = await decodeImage(png, SMALL);
    expect(await decodeImage(tiff, SMALL)).toEqual(expected);
    expect(await decodeImage(webp, SMALL)).toEqual(expected);
  });

  it("resizes bilinearly with antialiasing: a triangle as wide as the reduction", async () => {
    const [from, to] = [250, 112];
    const noise = Uint8Array.from({ length: from * from * 3 }, (_, i) => (i * 2654435761) >>> 24);
    const data = await decodeImage(await encodePng(noise, from, from), {
      height: to,
      width: to,
      channels: 3,
    });
    const scale = from / to;
    const taps = (i: number) => {
      const centre = (i + 0.5) * scale;
      const weights = Array.from({ length: from }, (_, j) =>
        Math.max(0, 1 - Math.abs(j + 0.5 - centre) / scale),
      );
      const total = weights.reduce((a, b) => a + b, 0);
      return weights.map((w, j) => [j, w / total] as const).filter(([, w]) => w > 0);
    };
    for (const [x, y] of [
      [20, 30],
      [55, 56],
      [90, 40],
    ] as const) {
      let expected = 0;
      for (const [row, v] of taps(y)) {
        for (const [column, h] of taps(x)) expected += v * h * noise[(row * from + column) * 3]!;
      }
      expect(Math.abs(pixel(data, to, x, y)[0]! - expected)).toBeLessThan(2);
    }
  });

  it("reads PGM files by path", async () => {
    const path = join(await temporaryFolder(), "face.pgm");
    await writeFile(path, Buffer.concat([Buffer.from("P5\n# a comment\n4 4\n255\n"), Buffer.alloc(16, 77)]));
    expect([...new Set(await decodeImage(path, SMALL))]).toEqual([77]);
  });
});

const failure = (work: Promise<unknown>): Promise<FaceError> =>
  work.then(
    () => expect.unreachable("it was read"),
    (error: FaceError) => error,
  );

describe("decodeQuarter", () => {
  const [width, height] = [2048, 1536];
  // Every fourth column of stripes: detail that a quarter of the size does not have.
  const drawn = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return x % 4 === 0 ? 60 : 80 + (x >> 4) + (i % 3) * 10 + (y >> 5);
  });
  const jpeg = (format: "jpeg" | "png" = "jpeg") =>
    sharp(drawn, { raw: { width, height, channels: 3 } }).toFormat(format, { quality: 95 });

  it.each([1, 6])("gives the means of sixteen pixels, upright by orientation %i", async (orientation) => {
    const file = await jpeg().withMetadata({ orientation }).toBuffer();
    const whole = await decodePixels(file);
    const lying = (await decodeQuarter(file, { orient: false }))!;
    expect([lying.width, lying.height, lying.pixels.width, lying.pixels.height]).toEqual([
      ...[width, height, width / 4, height / 4],
    ]);
    const quarter = (await decodeQuarter(file))!;
    expect([quarter.width, quarter.height]).toEqual([whole.width, whole.height]);
    const { pixels } = quarter;
    expect([pixels.width, pixels.height]).toEqual([whole.width / 4, whole.height / 4]);
    let difference = 0;
    for (let i = 0; i < pixels.data.length; i++) {
      const [x, y] = [Math.floor(i / 3) % pixels.width, Math.floor(i / 3 / pixels.width)];
      let sum = 0;
      for (let row = 4 * y; row < 4 * y + 4; row++) {
        for (let column = 4 * x; column < 4 * x + 4; column++)
          sum += whole.data[(row * whole.width + column) * 3 + (i % 3)]!;
      }
      difference += Math.abs(sum / 16 - pixels.data[i]!);
    }
    expect(difference / pixels.data.length).toBeLessThan(0.6);
  });

  it("leaves other formats, small files and sizes that are no multiple of four to be decoded whole", async () => {
    expect(await decodeQuarter(await jpeg("png").toBuffer())).toBeUndefined();
    expect(await decodeQuarter(await jpeg().resize(800, 600).toBuffer())).toBeUndefined();
    expect(await decodeQuarter(await jpeg().resize(2046, 1536).toBuffer())).toBeUndefined();
  });

  it("refuses what is cut off, missing or too large, as whole decoding does", async () => {
    const file = await jpeg().toBuffer();
    const [cut, missing] = [file.subarray(0, file.length / 2), "no/such/file.jpg"];
    for (const source of [cut, missing]) {
      const { code, message } = await failure(decodePixels(source));
      await expect(decodeQuarter(source)).rejects.toMatchObject({ code, message });
    }
    await expect(decodeQuarter(file, { maxPixels: 1000 })).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
    });
    // A JPEG that only lacks its end is read.
    expect(await decodeQuarter(file.subarray(0, file.length - 2))).toBeDefined();
  });
});

describe("what cannot be read", () => {
  const refused = (bytes: Uint8Array) => expect(decodeImage(bytes, SMALL)).rejects;

  it("names the file and the reason", async () => {
    const folder = await temporaryFolder();
    const missing = join(folder, "nobody.jpg");
    await expect(decodeImage(missing, SMALL)).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: `cannot read ${missing}: no such file`,
    });
    await expect(decodeImage("", SMALL)).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: "cannot read the image: the path is empty",
    });
    const text = join(folder, "text.jpg");
    await writeFile(text, "not a picture");
    await expect(decodeImage(text, SMALL)).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: `cannot read ${text}: not an image of a known format`,
    });
  });

  it.each([
    [
      `data:image/jpeg;base64,${"/9j/4AAQ".repeat(4000)}`,
      "cannot read data:image/jpeg;base64,/9j/4AAQ/9j/4AAQ/…: it is a data URL, not a path",
      /a program passes its bytes/,
    ],
    ["data:,", "cannot read data:,: it is a data URL, not a path", /save the picture to a file/],
    [
      "https://example.org/a.jpg",
      "cannot read https://example.org/a.jpg: it is an address, not a path",
      /download it/,
    ],
    ["S3://bucket/a.jpg", "cannot read S3://bucket/a.jpg: it is an address, not a path", /download it/],
    ["file:///no/a.jpg", "cannot read file:///no/a.jpg: it is a file URL, not a path", /name the path alone/],
    ["blob:nodedata:1f", /not a path$/, /the object's bytes/],
    ["a\0.jpg", "cannot read a\0.jpg: the path holds a zero byte", /check the path/],
  ])("says of what is no path what it is: %.30s", async (path, message, hint) => {
    const expected = {
      code: "IMAGE_UNREADABLE",
      message: typeof message === "string" ? message : expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    };
    await expect(decodePixels(path)).rejects.toMatchObject(expected);
    await expect(decodeImage(path, SMALL)).rejects.toMatchObject(expected);
    await expect(readImageFile(path)).rejects.toMatchObject(expected);
  });

  it("reads a file whose name looks like an address", async () => {
    const folder = await temporaryFolder();
    const before = process.cwd();
    process.chdir(folder);
    try {
      await writeFile("data:a.png", await raw.clone().png().toBuffer());
      expect((await decodePixels("data:a.png")).width).toBeGreaterThan(0);
    } finally {
      process.chdir(before);
    }
  });

  it("refuses files that are empty, cut off, damaged or drawings", async () => {
    const jpeg = await raw.clone().jpeg().toBuffer();
    const png = await raw.clone().png().toBuffer();
    await refused(new Uint8Array(0)).toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: expect.stringMatching(/empty/),
    });
    await refused(jpeg.subarray(0, jpeg.length / 2)).toMatchObject({ code: "IMAGE_UNREADABLE" });
    await refused(png.subarray(0, png.length - 30)).toMatchObject({ code: "IMAGE_UNREADABLE" });
    await refused(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')).toMatchObject({
      code: "IMAGE_UNREADABLE",
    });
  });

  /** A picture of some noise, so that its file has bytes to damage, and is compressed. */
  const noisy = sharp(
    Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => 100 + ((i * 2654435761) >>> 27)),
    { raw: { width: 96, height: 96, channels: 3 } },
  );
  const DAMAGED = {
    code: "IMAGE_UNREADABLE",
    message: expect.stringMatching(/^cannot read the image: (its bytes are damaged|the file is cut off)$/),
    hint: expect.stringContaining("copy the file again"),
  };
  const changed = (bytes: Uint8Array, change: (copy: Buffer) => void) => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };
  const END = Buffer.from([0xff, 0xd9]);

  it.each([false, true])(
    "refuses a JPEG that lacks pixels or has wrong ones, progressive %s",
    async (progressive) => {
      const jpeg = await noisy.clone().jpeg({ progressive }).toBuffer();
      // Within the pixels of the last scan; a progressive file has tables of codes in its middle.
      const places = [jpeg.length - 60, ...(progressive ? [] : [jpeg.length >> 1])];
      for (const at of places) {
        const rest = jpeg.subarray(at);
        const overwritten = [...new Uint8Array(40), ...rest.subarray(40)];
        for (const tail of [END, [...END, ...rest], ...(progressive ? [] : [overwritten])]) {
          const bytes = Buffer.concat([jpeg.subarray(0, at), Buffer.from(tail)]);
          await expect(decodePixels(bytes)).rejects.toMatchObject(DAMAGED);
          // TensorFlow's operator gives what is left of it.
          const stored = await decodePixels(bytes, { storedColours: true });
          expect(stored).toMatchObject({ width: 96, height: 96 });
        }
      }
    },
  );

  it("refuses a large JPEG that lacks pixels before a quarter of it is taken", async () => {
    const large = await noisy.clone().resize(2048, 1536).jpeg().toBuffer();
    const bytes = Buffer.concat([large.subarray(0, large.length >> 1), END]);
    await expect(decodeQuarter(bytes)).rejects.toMatchObject(DAMAGED);
  });

  it("reads a JPEG with bytes that are left over", async () => {
    const jpeg = await noisy.clone().jpeg().toBuffer();
    const whole = await decodePixels(jpeg);
    const first = 4 + jpeg.readUInt16BE(4);
    const before = Buffer.concat([jpeg.subarray(0, first), Buffer.from([1, 2, 3]), jpeg.subarray(first)]);
    const behind = Buffer.concat([jpeg, Buffer.alloc(5000, 7)]);
    for (const bytes of [before, behind]) expect(await decodePixels(bytes)).toEqual(whole);
  });

  it("refuses an interlaced PNG and a TIFF with a wrong byte", async () => {
    const png = await noisy.clone().png({ progressive: true }).toBuffer();
    const tiff = await noisy.clone().tiff({ compression: "deflate" }).toBuffer();
    for (const bytes of [png, tiff]) {
      for (let at = 400; at < bytes.length - 400; at += bytes.length >> 3) {
        const wrong = changed(bytes, (copy) => copy.fill(0, at, at + 64));
        await expect(decodePixels(wrong)).rejects.toMatchObject({
          code: "IMAGE_UNREADABLE",
          hint: expect.stringContaining("copy the file again"),
        });
      }
    }
  });

  it("names kinds of JPEG that are not read, and sizes that are too large for one", async () => {
    const jpeg = await noisy.clone().jpeg().toBuffer();
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    await refused(changed(jpeg, (copy) => copy.writeUInt8(12, frame + 4))).toMatchObject({
      message: expect.stringContaining("a kind of JPEG that is not read, such as one of 12 bits a colour"),
      hint: "save it as an ordinary JPEG, or as PNG",
    });
    await refused(changed(jpeg, (copy) => copy.fill(0xff, frame + 5, frame + 9))).toMatchObject({
      message: "cannot read the image: it has too many pixels",
    });
  });

  it("refuses image bombs without unpacking them", async () => {
    const tiny = await sharp({ create: { width: 9, height: 9, channels: 3, background: "red" } })
      .png()
      .toBuffer();
    const bomb = Buffer.from(tiny);
    bomb.writeUInt32BE(60_000, 16);
    bomb.writeUInt32BE(60_000, 20);
    await refused(bomb).toMatchObject({ code: "IMAGE_UNREADABLE" });
    await refused(Buffer.from("P6\n60000 60000\n255\n")).toMatchObject({
      message: expect.stringMatching(/exceed the limit/),
    });
    await expect(decodeImage(tiny, SMALL, { maxPixels: 80 })).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
    });
    await expect(decodeImage(tiny, SMALL, { maxPixels: 81 })).resolves.toBeDefined();
  });
});

describe("writing pictures", () => {
  it("writes PNG files that are read back unchanged, and JPEG files that nearly are", async () => {
    const back = await decodePixels(await encodePng(halves, 40, 20));
    expect(Buffer.from(back.data).equals(Buffer.from(halves))).toBe(true);
    const grey = plain(16, [90, 120, 150]);
    const jpeg = await decodePixels(await encodeJpeg(grey, 16, 16));
    for (const [i, value] of jpeg.data.entries()) expect(Math.abs(value - grey[i]!)).toBeLessThan(4);
  });

  it("draws SVG at its own width and at any other", async () => {
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20" fill="#0f0"/></svg>';
    expect(await decodePixels(await rasterizeSvg(svg))).toMatchObject({ width: 30, height: 20 });
    const large = await decodePixels(await rasterizeSvg(svg, { width: 900 }));
    expect(large).toMatchObject({ width: 900, height: 600 });
    expect(pixel(large.data, 900, 450, 300)).toEqual([0, 255, 0]);
    await expect(rasterizeSvg("<svg")).rejects.toMatchObject({ code: "FILE_INVALID" });
  });
});
