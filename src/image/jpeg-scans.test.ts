/** @file JPEGs of several scans, cut off behind each of them, with and without the marker of the end. */
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodePixels } from "./decode.ts";
import { scansOf, sizeOf } from "./jpeg-scans.ts";

const drawn = sharp(
  Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => 100 + ((i * 2654435761) >>> 27)),
  { raw: { width: 96, height: 96, channels: 3 } },
);

const hasAllScans = (file: Uint8Array) => scansOf(file).lacks === "nothing";

/** Where a file's scans begin. */
function placesOf(file: Buffer): number[] {
  const places: number[] = [];
  const scan = Buffer.from([0xff, 0xda]);
  for (let at = file.indexOf(scan); at >= 0; at = file.indexOf(scan, at + 1)) places.push(at);
  return places;
}

describe("the size of a JPEG", () => {
  it("is read from its head, whatever stands before it", async () => {
    for (const options of [{}, { progressive: true }]) {
      const file = await drawn
        .clone()
        .resize(300, 20)
        .jpeg(options)
        .withExif({ IFD0: { Copyright: "\u00ff".repeat(99) } })
        .toBuffer();
      expect(sizeOf(file)).toBe(6000);
      expect(sizeOf(file.subarray(0, file.indexOf(Buffer.from([0xff, 0xdb]))))).toBeUndefined();
    }
  });

  it("is unknown where the number of lines comes later", async () => {
    const file = await drawn.clone().jpeg().toBuffer();
    const frame = file.indexOf(Buffer.from([0xff, 0xc0]));
    file.fill(0, frame + 5, frame + 7);
    expect(sizeOf(file)).toBeUndefined();
  });
});

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
    const places = placesOf(file).slice(1);
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
    const last = placesOf(file).at(-1)!;
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

const END = Buffer.from([0xff, 0xd9]);
const MISSING = { code: "IMAGE_UNREADABLE", message: "cannot read the image: some of its scans are missing" };

/** Grey in a file of three components. */
const grey = sharp(
  Uint8Array.from({ length: 96 * 96 * 3 }, (_, i) => 100 + ((Math.floor(i / 3) * 2654435761) >>> 27)),
  { raw: { width: 96, height: 96, channels: 3 } },
);

/** Scripts of libjpeg and of mozjpeg, for colours of full and of half size, and for four inks. */
const SCRIPTS = [
  { progressive: true },
  { progressive: true, chromaSubsampling: "4:4:4" },
  { progressive: true, optimiseScans: true },
  { mozjpeg: true },
  { mozjpeg: true, progressive: false },
];

/** A JPEG of three components of one size, each of which is a scan of its own, as T.81 allows without progression. */
async function inThreeScans(): Promise<Buffer> {
  const planes = await Promise.all(
    ([0, 1, 2] as const).map((channel) =>
      drawn.clone().extractChannel(channel).jpeg({ optimiseCoding: false, quality: 90 }).toBuffer(),
    ),
  );
  const [first] = planes as [Buffer, Buffer, Buffer];
  const frame = first.indexOf(Buffer.from([0xff, 0xc0]));
  const behind = frame + 2 + first.readUInt16BE(frame + 2);
  const sizes = first.subarray(frame + 5, frame + 9);
  const components = [1, 2, 3].flatMap((id) => [id, 0x11, 0]);
  const head = Buffer.from([0xff, 0xc0, 0, 17, 8, ...sizes, 3, ...components]);
  const scans = planes.map((plane, i) => {
    const scan = Buffer.from(plane.subarray(plane.indexOf(Buffer.from([0xff, 0xda])), -2));
    scan[5] = i + 1;
    return scan;
  });
  const tables = first.subarray(behind, first.indexOf(Buffer.from([0xff, 0xda])));
  return Buffer.concat([first.subarray(0, frame), head, tables, ...scans, END]);
}

describe("a JPEG with its end", () => {
  it.each(SCRIPTS)("is read where it has all scans: %j", async (script) => {
    const flat = sharp({ create: { width: 20, height: 30, channels: 3, background: "#c03020" } });
    const tiny = sharp({ create: { width: 1, height: 1, channels: 3, background: "#c03020" } });
    for (const picture of [drawn, grey, flat, tiny, drawn.clone().toColourspace("cmyk")]) {
      for (const image of [picture.clone(), picture.clone().greyscale().toColourspace("b-w")]) {
        const file = await image.jpeg(script).toBuffer();
        expect(scansOf(file)).toEqual({ ended: false, lacks: "nothing", arithmetic: false });
        await expect(decodePixels(file)).resolves.toBeDefined();
      }
    }
  });

  it.each(SCRIPTS)("is refused where its last scans are missing: %j", async (script) => {
    const file = await drawn.clone().jpeg(script).toBuffer();
    for (const at of placesOf(file).slice(1)) {
      const cut = Buffer.concat([file.subarray(0, at), END]);
      expect(scansOf(cut)).toMatchObject({ ended: true });
      await expect(decodePixels(cut)).rejects.toMatchObject(MISSING);
      // TensorFlow's operator gives what is left of it.
      await expect(decodePixels(cut, { storedColours: true })).resolves.toBeDefined();
    }
  });

  it("may lack the detail of its colours where it has none", async () => {
    const file = await grey.clone().jpeg({ mozjpeg: true }).toBuffer();
    const whole = await decodePixels(file);
    const places = placesOf(file);
    expect(places).toHaveLength(4);
    const cuts = places.slice(1).map((at) => Buffer.concat([file.subarray(0, at), END]));
    await expect(decodePixels(cuts[0]!)).rejects.toMatchObject(MISSING);
    for (const cut of cuts.slice(1)) {
      expect(scansOf(cut)).toEqual({ ended: true, lacks: "detail", arithmetic: false });
      expect(await decodePixels(cut)).toEqual(whole);
    }
  });

  it("is refused where a component that is a scan of its own is missing", async () => {
    const file = await inThreeScans();
    expect(scansOf(file)).toEqual({ ended: false, lacks: "nothing", arithmetic: false });
    await expect(decodePixels(file)).resolves.toMatchObject({ width: 96, height: 96 });
    for (const at of placesOf(file).slice(1)) {
      await expect(decodePixels(Buffer.concat([file.subarray(0, at), END]))).rejects.toMatchObject(MISSING);
    }
  });

  it("is judged by its first picture, where a preview follows", async () => {
    const file = await drawn.clone().jpeg({ progressive: true }).toBuffer();
    const preview = await drawn.clone().resize(16, 16).jpeg().toBuffer();
    await expect(decodePixels(Buffer.concat([file, preview]))).resolves.toBeDefined();
    const cut = Buffer.concat([file.subarray(0, placesOf(file).at(-1)), END, preview]);
    await expect(decodePixels(cut)).rejects.toMatchObject(MISSING);
  });
});

/** 16 by 16 pixels of noise, which libjpeg-turbo coded arithmetically. */
const ARITHMETIC = Buffer.from(
  [
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdB",
    "RkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09P",
    "T09PT09PT09PT09PT0//yQARCAAQABADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwC/g1CyTO0tmJyimnG9",
    "I80xsTezl6mD5ma2qySfUpS27Bm+IcFKEl7DWo9loC/X/p3uQTUvGsq+FnD1JXlof4N2HuXyLeGsFv4VWNoUOvKBK4FpgoRy",
    "HjB8OUeNOP/Z",
  ].join(""),
  "base64",
);

describe("a JPEG with arithmetic coding", () => {
  it("is read where it is whole, and refused where its end is missing: a decoder invents what a scan lacks", async () => {
    const { width, height } = await decodePixels(ARITHMETIC);
    expect([width, height]).toEqual([16, 16]);
    const scan = ARITHMETIC.indexOf(Buffer.from([0xff, 0xda]));
    for (const end of [scan + 20, scan + 60, ARITHMETIC.length - 20, ARITHMETIC.length - 2]) {
      await expect(decodePixels(ARITHMETIC.subarray(0, end)), String(end)).rejects.toMatchObject({
        code: "IMAGE_UNREADABLE",
        message: "cannot read the image: the file is cut off",
      });
    }
  });
});
