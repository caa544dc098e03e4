/** @file The only door to sharp: image files to pixels, pixels and SVG to image files. */
import { lstat } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Sharp, SharpOptions } from "sharp";
import {
  CUT_OFF,
  DAMAGED,
  FaceError,
  messageOf,
  SCANS_MISSING,
  SYSTEM_REASONS,
  systemCode,
  UNKNOWN_REASON,
  UNUSUAL_JPEG,
} from "../base/errors.ts";
import { readWhole } from "../base/files.ts";
import { isBmp, readBmp } from "./bmp.ts";
import { isHevc, profileOf, readHeic } from "./heic.ts";
import { readNetpbm } from "./netpbm.ts";
import { resizeInto } from "./resize.ts";
import type { ImageSettings, Pixels } from "./settings.ts";
import { tiffOf } from "./tiff.ts";

/** Its fifty modules are required: imported, they take more than twice the time, which is felt at each start of a command. */
const sharp = createRequire(import.meta.url)("sharp") as typeof import("sharp").default;

/** Formats that can be read. `netpbm` is PBM, PGM and PPM; `heif` is AVIF and HEIC. */
export type ImageFormat = "jpeg" | "png" | "gif" | "webp" | "tiff" | "heif" | "bmp" | "netpbm";

/** Bytes as Latin-1 text. */
function text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

/**
 * The format of a file by its first bytes; undefined for any other. SVG is left out on purpose: it is a program
 * for a renderer, not a photograph, and must not run because somebody sent it.
 */
export function imageFormat(bytes: Uint8Array): ImageFormat | undefined {
  const start = text(bytes, 0, 4);
  if (start.startsWith("\xff\xd8\xff")) return "jpeg";
  if (start === "\x89PNG") return "png";
  if (start === "GIF8") return "gif";
  if (start === "RIFF" && text(bytes, 8, 12) === "WEBP") return "webp";
  if (start === "II*\0" || start === "MM\0*" || start === "II+\0" || start === "MM\0+") return "tiff";
  if (text(bytes, 4, 8) === "ftyp") return "heif";
  if (isBmp(bytes)) return "bmp";
  if (/^P[1-6][\s#]/.test(start)) return "netpbm";
  return undefined;
}

/** What a file that is no image may be, by its first bytes. */
const OTHER_CONTENT: Readonly<Record<string, readonly string[]>> = {
  "a Git LFS pointer, not the image; fetch it with git lfs pull": ["version https://git-lfs"],
  "a web page, not an image; a download may have failed": ["<!doctype html", "<html", "<head", "<body"],
  "an SVG drawing, not a photograph": ["<svg", "<?xml"],
  "a JPEG XL image; convert it to JPEG or PNG": ["\xff\x0a", "\0\0\0\x0cjxl "],
  "a JPEG 2000 image; convert it to JPEG or PNG": ["\0\0\0\x0cjp  ", "\xffo\xffq"],
  "a PDF document; export its pages as JPEG": ["%pdf"],
  "a Photoshop document; export it as JPEG or PNG": ["8bps"],
  "an archive, not an image; unpack it": ["pk\x03\x04", "\x1f\x8b", "rar!", "7z\xbc\xaf"],
  "a file of zeros; the copy may have failed": ["\0\0\0\0"],
};

/** Why bytes of no known format are no image. */
function notAnImage(bytes: Uint8Array): string {
  if (bytes.length === 0) return "the file is empty";
  const start = text(bytes, 0, 200).toLowerCase();
  const found = Object.entries(OTHER_CONTENT).find(([, starts]) =>
    starts.some((each) => start.startsWith(each) || start.trimStart().startsWith(each)),
  );
  return found?.[0] ?? "not an image of a known format";
}

/** File name extensions of these formats, in lower case, without the dot. */
export const IMAGE_EXTENSIONS: ReadonlySet<string> = new Set(
  "jpg jpeg jpe jfif png gif webp tif tiff avif heic heif hif bmp dib pgm ppm pbm pnm".split(" "),
);

export type { Pixels } from "./settings.ts";

/** A file's path or its whole content. */
export type ImageSource = string | Uint8Array;

export interface DecodeOptions {
  /** Largest number of pixels; a larger image is refused before it is decoded. Default 100 million. */
  readonly maxPixels?: number;
  /** Applies the EXIF orientation. Default true. */
  readonly orient?: boolean;
  /**
   * Keeps the colours as stored: ignores colour profiles and drops transparency instead of laying it on black, as
   * TensorFlow's decoding ops do. Default false.
   */
  readonly storedColours?: boolean;
}

/** More than cameras of 2026 have; 300 MB decoded. */
const DEFAULT_MAX_PIXELS = 100_000_000;

/** Dots per inch at which one SVG pixel is one pixel. */
const SVG_DENSITY = 72;

// Decoded files are cached by the pixel cache; the cache of libvips would only use more memory.
sharp.cache(false);
// Several images are decoded concurrently, each with one thread.
sharp.concurrency(1);

/** Whether a file is of a known kind, but not whole. */
const isBroken = (reason: string | undefined) =>
  reason === CUT_OFF ||
  reason === DAMAGED ||
  reason === SCANS_MISSING ||
  reason?.startsWith("damaged HEIC") === true;

/** What an address is that was given as a path, and what to do, by how it begins. */
const ADDRESSES: readonly (readonly [start: RegExp, reason: string, hint: string])[] = [
  [
    /^data:/i,
    "it is a data URL, not a path",
    "save the picture to a file and name that; a program passes its bytes",
  ],
  [/^blob:/i, "it is the address of an object in a program, not a path", "pass the object's bytes"],
  [/^file:/i, "it is a file URL, not a path", "name the path alone; a program converts it by fileURLToPath"],
  [/^[a-z][a-z0-9+.-]+:\/\//i, "it is an address, not a path", "download it first and name the file"],
];

/** Characters of a data URL that an error shows. */
const SHOWN_OF_DATA = 40;

/** Why a path names no file, where the path itself shows it. */
function wrongPath(path: string): { readonly reason: string; readonly hint: string } | undefined {
  if (path === "") return { reason: "the path is empty", hint: "name a photograph; a variable may be unset" };
  if (path.includes("\0")) return { reason: "the path holds a zero byte", hint: "check the path" };
  const address = ADDRESSES.find(([start]) => start.test(path));
  return address && { reason: address[1], hint: address[2] };
}

/** A path as an error names it, without the content that it may carry. */
const shownPath = (path: string) =>
  /^data:/i.test(path) && path.length > SHOWN_OF_DATA ? `${path.slice(0, SHOWN_OF_DATA)}…` : path;

/** What to do about an image that cannot be read. @param code the system's. */
function hintFor(code: string | undefined, reason: string | undefined): string {
  if (code === "ENOENT") return "check the path";
  if (code === "EISDIR") return "name a photograph in it";
  const system = code === undefined ? undefined : SYSTEM_REASONS[code];
  if (system !== undefined) return system.hint;
  if (isBroken(reason)) return "copy the file again from where it came, or save it anew in an image editor";
  if (reason === UNUSUAL_JPEG) return "save it as an ordinary JPEG, or as PNG";
  return "JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, BMP, PGM, PPM and PBM can be read";
}

/** The system's codes for a path at which there is no file. */
const ABSENT: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"]);

/** Why there is no file at a path. */
async function absence(path: ImageSource): Promise<string> {
  const isLink =
    typeof path === "string" && (await lstat(path).catch(() => undefined))?.isSymbolicLink() === true;
  return isLink ? "it is a link that leads nowhere" : "no such file";
}

/** Runs a step of decoding; its errors name the image. @param file where the image lies, where that is not its name. */
async function reading<T>(source: ImageSource, work: () => Promise<T>, file = source): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const path = typeof source === "string" ? source : undefined;
    const name = path === undefined || path === "" ? "the image" : shownPath(path);
    const code = systemCode(error);
    const wrong = path === undefined || !ABSENT.has(code) ? undefined : wrongPath(path);
    const said = messageOf(error).split("\n")[0];
    // libvips gives no reason for some damaged files, such as interlaced PNGs.
    const reason =
      wrong?.reason ?? (code === "ENOENT" ? await absence(file) : said === UNKNOWN_REASON ? DAMAGED : said);
    throw new FaceError("IMAGE_UNREADABLE", `cannot read ${name}: ${reason}`, {
      hint: wrong?.hint ?? hintFor(code, reason),
      cause: error,
    });
  }
}

const fromPixels = ({ data, width, height }: Pixels, options: SharpOptions = {}): Sharp =>
  sharp(data, { ...options, raw: { width, height, channels: 3 } });

/** Opens the content of a file as an upright, opaque image. */
async function open(
  bytes: Uint8Array,
  options: DecodeOptions,
  failOn: NonNullable<SharpOptions["failOn"]> = "error",
): Promise<Sharp> {
  const limit = options.maxPixels ?? DEFAULT_MAX_PIXELS;
  const format = imageFormat(bytes);
  if (format === undefined) {
    throw new Error(notAnImage(bytes));
  }
  const { orient = true, storedColours = false } = options;
  const common: SharpOptions = { limitInputPixels: limit, failOn, ignoreIcc: storedColours };
  if (format === "netpbm" || format === "bmp") {
    return fromPixels((format === "bmp" ? readBmp : readNetpbm)(bytes, limit), common);
  }
  if (format === "heif" && isHevc(bytes)) {
    const pixels = await readHeic(bytes, limit);
    const profile = storedColours ? undefined : profileOf(bytes);
    return profile === undefined ? fromPixels(pixels, common) : sharp(tiffOf(pixels, profile), common);
  }
  const image = orient ? sharp(bytes, common).autoOrient() : sharp(bytes, common);
  // A JPEG is opaque, and a step of libvips that does nothing takes its time.
  if (format === "jpeg") return image;
  return storedColours ? image.removeAlpha() : image.flatten({ background: "black" });
}

/** The pixels as eight-bit RGB, whatever the depth and colours of the file. */
async function rgb(image: Sharp): Promise<Pixels> {
  const { data, info } = await image
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** JPEG's marker of the end. */
const END_OF_IMAGE = [0xff, 0xd9];

/** Warnings of libjpeg that concern no pixel, such as bytes left over before a marker that does not belong to the pixels. */
const HARMLESS =
  /\d+ extraneous bytes before marker 0x(?!d[0-7])|Unknown Adobe|unknown JFIF|Invalid SOS parameters|bad ICC marker/;
/** Its warnings of pixels that are missing or wrong. */
const WRONG_PIXELS = /premature end|bad (?:Huffman|arithmetic) code|found marker/;

/** libvips keeps one text of errors for all that fail at a time, so a text may be of another file, or lost. */
const TEXT_ATTEMPTS = 3;
let judging: Promise<unknown> = Promise.resolve();

/** Whether a JPEG that is refused for a warning only has harmless ones. Files are judged one after the other. */
async function isHarmless(fails: () => Promise<unknown>): Promise<boolean> {
  const judge = async () => {
    for (let attempt = 0; attempt < TEXT_ATTEMPTS; attempt++) {
      const said = await fails().then(() => "", messageInFull);
      if (WRONG_PIXELS.test(said)) return false;
      if (HARMLESS.test(said)) return true;
    }
    return false;
  };
  const judged = judging.then(judge, judge);
  judging = judged;
  return await judged;
}

const messageInFull = (error: unknown) => (error instanceof Error ? error.message : String(error));

/**
 * The error of a file that is broken, which says whether it is cut off or damaged. Decoders say either for both, and libvips gives
 * the words of another file where several fail at a time.
 */
async function namedDamage(bytes: Uint8Array, format: ImageFormat, error: unknown): Promise<unknown> {
  const reason = messageOf(error);
  if (reason !== CUT_OFF && reason !== DAMAGED && reason !== UNKNOWN_REASON) return error;
  const { isCutOff } = await import("./cut-off.ts");
  const isCut = isCutOff(bytes, format);
  return isCut === undefined ? error : new Error(isCut ? CUT_OFF : DAMAGED, { cause: error });
}

/** Whether a picture has no colour anywhere. */
async function isGrey(bytes: Uint8Array, options: DecodeOptions): Promise<boolean> {
  const { data } = await rgb(await open(bytes, { ...options, storedColours: true }));
  for (let i = 0; i < data.length; i += 3) {
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  }
  return true;
}

/** Refuses a JPEG that ends before its scans are complete. Colours without detail are complete where there is no colour. */
async function requireScans(bytes: Uint8Array, options: DecodeOptions): Promise<void> {
  const { scansOf } = await import("./jpeg-scans.ts");
  const { ended, lacks } = scansOf(bytes);
  if (!ended || lacks === "nothing" || (lacks === "detail" && (await isGrey(bytes, options)))) return;
  throw new Error(SCANS_MISSING);
}

/**
 * Decodes the content of a file. Of a JPEG every pixel must be there: the decoder fills with grey what a damaged file lacks, and
 * only warns, of scans that are missing not even that. TensorFlow takes such a file, so with `storedColours` it is taken too. A JPEG that only lacks its end is read:
 * with the end marker added, a decoder that misses any pixel of a scan warns, unless the scan is coded arithmetically.
 */
async function decoded<T>(
  bytes: Uint8Array,
  options: DecodeOptions,
  read: (image: Sharp) => Promise<T>,
): Promise<T> {
  const format = imageFormat(bytes);
  if (format !== "jpeg") {
    try {
      return await read(await open(bytes, options));
    } catch (error) {
      throw format === undefined ? error : await namedDamage(bytes, format, error);
    }
  }
  if (options.storedColours !== true) await requireScans(bytes, options);
  try {
    return await read(await open(bytes, options, options.storedColours === true ? "error" : "warning"));
  } catch (error) {
    const whole = Buffer.concat([bytes, Buffer.from(END_OF_IMAGE)]);
    const { scansOf } = await import("./jpeg-scans.ts");
    const { lacks, arithmetic } = scansOf(bytes);
    if (lacks === "nothing" && !arithmetic) {
      const result = await open(whole, options, "warning")
        .then(read)
        .then(
          (value) => ({ value }),
          () => undefined,
        );
      if (result !== undefined) return result.value;
    }
    if (await isHarmless(async () => read(await open(bytes, options, "warning")))) {
      return await read(await open(bytes, options));
    }
    throw await namedDamage(bytes, format, error);
  }
}

const load = (source: ImageSource): Promise<Uint8Array> =>
  typeof source === "string" ? readWhole(source) : Promise.resolve(source);

/**
 * The content of an image file.
 * @param name what errors call it.
 * @throws FaceError `IMAGE_UNREADABLE` for one that is missing or cannot be read.
 */
export const readImageFile = (path: string, name = path): Promise<Uint8Array> =>
  reading(name, () => readWhole(path), path);

/**
 * Decodes an image to a model's size; `ImageSettings` says how.
 * @returns eight-bit RGB, `[settings.height, settings.width, 3]`
 * @throws FaceError `IMAGE_UNREADABLE` for a file that is missing, damaged, cut off, of no known format, or too large.
 */
export function decodeImage(
  source: ImageSource,
  settings: ImageSettings,
  options: DecodeOptions = {},
): Promise<Uint8Array> {
  return reading(source, async () => {
    const bytes = await load(source);
    const resized = (image: Sharp) =>
      image.resize(settings.width, settings.height, {
        fit: "fill",
        kernel: "linear",
        // Scaling inside the JPEG decoder would make pixels depend on the file's format.
        fastShrinkOnLoad: false,
      });
    return (await decoded(bytes, options, (image) => rgb(resized(image)))).data;
  });
}

/**
 * Decodes an image at its own size.
 * @throws FaceError `IMAGE_UNREADABLE` as `decodeImage`.
 */
export function decodePixels(source: ImageSource, options: DecodeOptions = {}): Promise<Pixels> {
  return reading(source, async () => decoded(await load(source), options, rgb));
}

/** An image at a quarter of its size. */
export interface Quarter {
  readonly pixels: Pixels;
  /** Of the whole image, four times those of the pixels. */
  readonly width: number;
  readonly height: number;
}

/** Smaller images are decoded so fast that a quarter saves nothing. */
const QUARTERED_PIXELS = 3_000_000;

/**
 * Decodes a large JPEG at a quarter of its size, in half of the time: the decoder computes no more of each block. Each pixel is
 * the mean of sixteen to within 0.4 of 255 in the mean.
 * @returns `undefined` for other formats, and for sizes that are small or no multiple of four.
 * @throws FaceError `IMAGE_UNREADABLE` as `decodeImage`.
 */
export function decodeQuarter(
  source: ImageSource,
  options: DecodeOptions = {},
): Promise<Quarter | undefined> {
  return reading(source, async () => {
    const bytes = await load(source);
    if (imageFormat(bytes) !== "jpeg") return undefined;
    const { sizeOf } = await import("./jpeg-scans.ts");
    if ((sizeOf(bytes) ?? Number.POSITIVE_INFINITY) < QUARTERED_PIXELS) return undefined;
    const stored = await (await open(bytes, options)).metadata();
    const { width, height } = options.orient === false ? stored : stored.autoOrient;
    if (width * height < QUARTERED_PIXELS || width % 4 !== 0 || height % 4 !== 0) return undefined;
    const pixels = await decoded(bytes, options, (image) =>
      rgb(image.resize(width / 4, height / 4, { fit: "fill", kernel: "linear" })),
    );
    return { pixels, width, height };
  });
}

/**
 * Decodes an image to a model's size as floats in [0, 1], as a graph of TensorFlow does; see `resizeInto`.
 * @param out receives `[settings.height, settings.width, 3]` from `offset` on
 * @throws FaceError `IMAGE_UNREADABLE` as `decodeImage`.
 */
export async function decodeInto(
  source: ImageSource,
  settings: ImageSettings,
  out: Float32Array,
  offset: number,
  options: DecodeOptions = {},
): Promise<void> {
  await resizeInto(await decodePixels(source, options), settings, out, offset);
}

/** Eight-bit RGB `[height, width, 3]` as a PNG file. */
export async function encodePng(pixels: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  return fromPixels({ data: pixels, width, height }).png().toBuffer();
}

/** Eight-bit RGB `[height, width, 3]` as a JPEG file; `quality` from 1 to 100. */
export async function encodeJpeg(
  pixels: Uint8Array,
  width: number,
  height: number,
  quality = 90,
): Promise<Uint8Array> {
  return fromPixels({ data: pixels, width, height }).jpeg({ quality }).toBuffer();
}

/** Formats that pictures can be written in. */
export const WRITTEN_FORMATS = ["png", "jpg", "webp"] as const;
export type WrittenFormat = (typeof WRITTEN_FORMATS)[number];

const WRITTEN_QUALITY = 95;

/** Pixels as a file: without loss as PNG, at a quality of 95 otherwise. */
export async function encodePixels(pixels: Pixels, format: WrittenFormat): Promise<Uint8Array> {
  const image = fromPixels(pixels);
  if (format === "png") return await image.png().toBuffer();
  const quality = WRITTEN_QUALITY;
  return await (format === "jpg" ? image.jpeg({ quality }) : image.webp({ quality })).toBuffer();
}

/**
 * An SVG drawing as a PNG file.
 * @param options.width columns of the image. Default: the width of the drawing.
 * @throws FaceError `FILE_INVALID` when the drawing is not SVG.
 */
export async function rasterizeSvg(svg: string, options: { width?: number } = {}): Promise<Uint8Array> {
  try {
    const { width: natural } = await sharp(Buffer.from(svg)).metadata();
    const scale = options.width === undefined ? 1 : options.width / natural;
    // Rendering at the final size keeps lines and letters sharp.
    const image = sharp(Buffer.from(svg), { density: SVG_DENSITY * scale });
    return await image
      .resize({ ...(options.width === undefined ? {} : { width: options.width }) })
      .png()
      .toBuffer();
  } catch (error) {
    throw new FaceError("FILE_INVALID", `cannot draw the SVG: ${messageOf(error)}`, { cause: error });
  }
}
