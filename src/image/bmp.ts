/** @file Reads Windows bitmaps without compression: 1, 4, 8, 16, 24 and 32 bits (learn.microsoft.com, "Bitmap Storage"). */
// Hand-written because the libvips that sharp brings cannot read them.
import type { Pixels } from "./settings.ts";

const FILE_HEADER_BYTES = 14;
/** Size of OS/2's header, which has two-byte sides and three-byte colours. */
const CORE_HEADER_BYTES = 12;
const HEADER_BYTES: ReadonlySet<number> = new Set([CORE_HEADER_BYTES, 40, 52, 56, 64, 108, 124]);
/** Compressions: none, and masks that say which bits are which colour. */
const [RGB, BITFIELDS, ALPHA_BITFIELDS] = [0, 3, 6];
const DEPTHS: ReadonlySet<number> = new Set([1, 4, 8, 16, 24, 32]);

/** Whether a file is a bitmap: its first letters, and a header of a known size. */
export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d && bytes[15] === 0 && HEADER_BYTES.has(bytes[14] ?? 0);
}

/** Moves the bits of a mask to the range 0 to 255. */
function channelOf(mask: number): (value: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const most = mask >>> shift;
  return (value) => Math.round((((value & mask) >>> shift) * 255) / most);
}

const DEFAULT_MASKS: Readonly<Record<number, readonly number[]>> = {
  16: [0x7c00, 0x03e0, 0x001f],
  32: [0xff0000, 0x00ff00, 0x0000ff],
};

interface Header {
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  readonly depth: number;
  readonly headerBytes: number;
  readonly compression: number;
  readonly colours: number;
  readonly dataStart: number;
}

function readHeader(file: DataView, maxPixels: number): Header {
  const headerBytes = file.getUint32(FILE_HEADER_BYTES, true);
  const isCore = headerBytes === CORE_HEADER_BYTES;
  const side = (at: number) =>
    isCore ? file.getUint16(18 + at * 2, true) : file.getInt32(18 + at * 4, true);
  const [width, signed] = [side(0), side(1)];
  const height = Math.abs(signed);
  const depth = file.getUint16(isCore ? 24 : 28, true);
  const compression = isCore ? RGB! : file.getUint32(30, true);
  if (!(width > 0 && height > 0 && DEPTHS.has(depth))) throw new Error("damaged BMP file: impossible header");
  if (width * height > maxPixels) throw new Error("Input image exceeds pixel limit");
  if (![RGB, BITFIELDS, ALPHA_BITFIELDS].includes(compression))
    throw new Error("a compressed BMP file; save it as PNG");
  return {
    width,
    height,
    isTopDown: signed < 0,
    depth,
    headerBytes,
    compression,
    colours: isCore ? 0 : file.getUint32(46, true),
    dataStart: file.getUint32(10, true),
  };
}

/** What turns a stored value into red, green and blue. */
function colourReader(bytes: Uint8Array, file: DataView, header: Header): (value: number) => number[] {
  const { depth, headerBytes, compression, colours } = header;
  const start = FILE_HEADER_BYTES + headerBytes;
  if (depth <= 8) {
    const entry = headerBytes === CORE_HEADER_BYTES ? 3 : 4;
    const count = Math.min(colours || 1 << depth, 1 << depth);
    return (value) => {
      if (value >= count) return [0, 0, 0];
      const at = start + value * entry;
      return [bytes[at + 2]!, bytes[at + 1]!, bytes[at]!];
    };
  }
  if (depth === 24) return (value) => [value >>> 16, (value >>> 8) & 255, value & 255];
  // The masks follow the shortest header and are part of the others, so they lie in the same place.
  const masks =
    compression === RGB
      ? DEFAULT_MASKS[depth]!
      : [0, 4, 8].map((at) => file.getUint32(FILE_HEADER_BYTES + 40 + at, true));
  const channels = masks.map(channelOf);
  return (value) => channels.map((channel) => channel(value));
}

/**
 * Decodes a bitmap; transparency is ignored, since most programs leave it at zero.
 * @throws Error for a damaged, cut-off, compressed or too large file.
 */
export function readBmp(bytes: Uint8Array, maxPixels: number): Pixels {
  const file = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(file, maxPixels);
  const { width, height, depth, dataStart } = header;
  const stride = Math.ceil((width * depth) / 32) * 4;
  if (dataStart + stride * height > bytes.length) throw new Error("the BMP file is cut off");
  const colour = colourReader(bytes, file, header);
  const data = new Uint8Array(width * height * 3);
  const stored = (row: number, x: number): number => {
    if (depth < 8) {
      const bit = x * depth;
      return (bytes[row + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
    }
    let value = 0;
    const at = row + x * (depth / 8);
    for (let i = depth / 8 - 1; i >= 0; i--) value = (value << 8) | bytes[at + i]!;
    return value >>> 0;
  };
  for (let y = 0; y < height; y++) {
    const row = dataStart + stride * (header.isTopDown ? y : height - 1 - y);
    for (let x = 0; x < width; x++) data.set(colour(stored(row, x)), (y * width + x) * 3);
  }
  return { data, width, height };
}
