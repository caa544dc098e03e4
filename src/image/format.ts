/** @file Tells image formats apart by their first bytes. */

/** Formats that can be read. `netpbm` is PBM, PGM and PPM; `heif` is AVIF and HEIC. */
export type ImageFormat = "jpeg" | "png" | "gif" | "webp" | "tiff" | "heif" | "netpbm";

/** Bytes as Latin-1 text, for comparing with letters. */
function text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

/**
 * The format of a file's content; undefined for anything else. SVG is not among them on purpose: a drawing is a program,
 * not a photograph, and is never run because somebody sent it.
 */
export function imageFormat(bytes: Uint8Array): ImageFormat | undefined {
  const start = text(bytes, 0, 4);
  if (start.startsWith("\xff\xd8\xff")) return "jpeg";
  if (start === "\x89PNG") return "png";
  if (start === "GIF8") return "gif";
  if (start === "RIFF" && text(bytes, 8, 12) === "WEBP") return "webp";
  if (start === "II*\0" || start === "MM\0*" || start === "II+\0" || start === "MM\0+") return "tiff";
  if (text(bytes, 4, 8) === "ftyp") return "heif";
  if (/^P[1-6][\s#]/.test(start)) return "netpbm";
  return undefined;
}

/** Endings of files that `imageFormat` may know, in lower case, without the dot. */
export const IMAGE_EXTENSIONS: ReadonlySet<string> = new Set([
  "jpg",
  "jpeg",
  "jpe",
  "jfif",
  "png",
  "gif",
  "webp",
  "tif",
  "tiff",
  "avif",
  "heif",
  "pgm",
  "ppm",
  "pbm",
  "pnm",
]);
