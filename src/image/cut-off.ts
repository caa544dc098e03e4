/** @file Whether an image file that cannot be decoded is cut off, by the lengths that it states; decoders call both kinds of damage alike. */
import type { ImageFormat } from "./decode.ts";
import { hasEnd } from "./jpeg-scans.ts";

/** Whether four bytes are letters, digits or spaces, as the names of chunks and boxes are. */
const isName = (view: DataView, at: number) =>
  [0, 1, 2, 3].every((i) => /[A-Za-z0-9 ]/.test(String.fromCharCode(view.getUint8(at + i))));
const nameAt = (view: DataView, at: number) =>
  String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));

/** PNG's signature, and what a chunk has beside its content: length, name, checksum. */
const SIGNATURE = 8;
const AROUND_CHUNK = 12;

/** Chunks up to IEND; a name that is none, or an end that is there, says that something before it has changed. */
function isPngCut(view: DataView): boolean {
  const end = view.byteLength - AROUND_CHUNK;
  if (end > 0 && nameAt(view, end + 4) === "IEND") return false;
  let at = SIGNATURE;
  while (at + 8 <= view.byteLength) {
    if (!isName(view, at + 4)) return false;
    if (nameAt(view, at + 4) === "IEND") return at + AROUND_CHUNK > view.byteLength;
    at += AROUND_CHUNK + view.getUint32(at);
  }
  return true;
}

/** RIFF states the length of all that follows its first eight bytes. */
const isWebpCut = (view: DataView) => view.byteLength < 12 || view.getUint32(4, true) + 8 > view.byteLength;

/** Boxes of ISO 14496-12, of which the pixels are one. */
function isHeifCut(view: DataView): boolean {
  let [at, hasPixels] = [0, false];
  while (at + 16 <= view.byteLength) {
    if (!isName(view, at + 4)) return false;
    hasPixels ||= /mdat|idat/.test(nameAt(view, at + 4));
    const stated = view.getUint32(at);
    // 1: the length follows in eight bytes; 0: the box goes to the end.
    const size = stated === 1 ? Number(view.getBigUint64(at + 8)) : stated;
    if (size < 8) return false;
    at += size;
  }
  return at > view.byteLength || !hasPixels;
}

/** Tags of TIFF 6.0: where strips and tiles begin, and how long they are. */
const PLACES = new Map([
  [273, 279],
  [324, 325],
]);
const [SHORT, LONG] = [3, 4];
/** Bytes of a value of each type, from 1 on. */
const TYPE_BYTES = [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/** Whether the values of a tag lie behind the end of the file, such as the tables of a JPEG. @param entry where it stands. */
function isOutside(view: DataView, entry: number, little: boolean): boolean {
  const [type, count] = [view.getUint16(entry + 2, little), view.getUint32(entry + 4, little)];
  const size = count * (TYPE_BYTES[type - 1] ?? 0);
  return size > 4 && view.getUint32(entry + 8, little) + size > view.byteLength;
}

/** The numbers of a tag; none where they are of another type. @param entry where it stands. */
function numbersOf(view: DataView, entry: number, little: boolean): number[] | undefined {
  const [type, count] = [view.getUint16(entry + 2, little), view.getUint32(entry + 4, little)];
  if (type !== SHORT && type !== LONG) return undefined;
  const size = type === SHORT ? 2 : 4;
  const start = count * size <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
  return Array.from({ length: count }, (_, i) =>
    type === SHORT ? view.getUint16(start + i * size, little) : view.getUint32(start + i * size, little),
  );
}

/** A file of 4 GB and more, BigTIFF, has eight bytes for the place of its first directory. */
function isTiffCut(view: DataView): boolean {
  if (view.byteLength < 16) return true;
  const little = view.getUint8(0) === 0x49;
  const isBig = view.getUint16(2, little) === 43;
  const at = isBig ? Number(view.getBigUint64(8, little)) : view.getUint32(4, little);
  if (at + 2 > view.byteLength) return true;
  if (isBig) return false;
  const count = view.getUint16(at, little);
  if (at + 2 + 12 * count > view.byteLength) return true;
  const tags = new Map<number, number[] | undefined>();
  for (let i = 0; i < count; i++) {
    const entry = at + 2 + 12 * i;
    if (isOutside(view, entry, little)) return true;
    const tag = view.getUint16(entry, little);
    if ([...PLACES].flat().includes(tag)) tags.set(tag, numbersOf(view, entry, little));
  }
  return [...PLACES].some(([offsets, lengths]) => {
    if (!tags.has(offsets) || !tags.has(lengths)) return false;
    const [starts, sizes] = [tags.get(offsets), tags.get(lengths)];
    if (starts === undefined || sizes === undefined) return true;
    return starts.some((start, i) => start + (sizes[i] ?? 0) > view.byteLength);
  });
}

const CHECKS: Partial<Record<ImageFormat, (view: DataView) => boolean>> = {
  jpeg: ({ buffer, byteOffset, byteLength }) => !hasEnd(new Uint8Array(buffer, byteOffset, byteLength)),
  png: isPngCut,
  webp: isWebpCut,
  heif: isHeifCut,
  tiff: isTiffCut,
};

/**
 * Whether a file ends before the lengths that it states, or a JPEG before its end.
 * @returns undefined for a format whose decoder says so itself.
 */
export function isCutOff(bytes: Uint8Array, format: ImageFormat): boolean | undefined {
  return CHECKS[format]?.(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
