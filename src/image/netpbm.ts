/** @file Reads PBM, PGM and PPM files, plain and raw, 8 and 16 bits (netpbm.sourceforge.net/doc/pnm.html). */
import type { Pixels } from "./settings.ts";

interface Header {
  /** The digit after the P. */
  readonly kind: number;
  readonly width: number;
  readonly height: number;
  /** The sample that means full intensity. */
  readonly maximum: number;
  /** Where the samples begin. */
  readonly dataStart: number;
}

const MAX_SAMPLE = 65_535;
const isSpace = (byte: number) => byte === 32 || (byte >= 9 && byte <= 13);
const isDigit = (byte: number) => byte >= 48 && byte <= 57;

/** Reads the whitespace-separated decimal numbers of a header or of a plain file; `#` begins a comment. */
class NumberReader {
  position: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes;
    this.position = position;
  }

  skipSpace(): void {
    const bytes = this.#bytes;
    while (this.position < bytes.length) {
      const byte = bytes[this.position]!;
      if (byte === 35) while (this.position < bytes.length && bytes[this.position] !== 10) this.position++;
      else if (!isSpace(byte)) return;
      this.position++;
    }
  }

  next(): number {
    this.skipSpace();
    const start = this.position;
    let value = 0;
    while (this.position < this.#bytes.length && isDigit(this.#bytes[this.position]!)) {
      value = value * 10 + (this.#bytes[this.position++]! - 48);
    }
    if (this.position === start)
      throw new Error("the netpbm file is cut off or holds something other than numbers");
    return value;
  }

  /** A bit of a plain PBM file, which needs no space around it. */
  nextBit(): number {
    this.skipSpace();
    const byte = this.#bytes[this.position++];
    if (byte !== 48 && byte !== 49)
      throw new Error("the netpbm file is cut off or holds something other than bits");
    return byte - 48;
  }
}

function readHeader(bytes: Uint8Array, maxPixels: number): Header {
  const kind = bytes[1]! - 48;
  const reader = new NumberReader(bytes, 2);
  const width = reader.next();
  const height = reader.next();
  const maximum = kind === 1 || kind === 4 ? 1 : reader.next();
  if (width < 1 || height < 1 || maximum < 1 || maximum > MAX_SAMPLE) {
    throw new Error(`the netpbm header claims ${width}x${height} pixels of maximum ${maximum}`);
  }
  if (width * height > maxPixels)
    throw new Error(`${width}x${height} pixels exceed the limit of ${maxPixels}`);
  // Exactly one white space stands between the header and raw samples.
  return { kind, width, height, maximum, dataStart: reader.position + 1 };
}

/** Samples of a raw PGM or PPM file, one or two bytes each, most significant first. */
function rawSamples(bytes: Uint8Array, header: Header, count: number): ArrayLike<number> {
  const wide = header.maximum > 255;
  const end = header.dataStart + count * (wide ? 2 : 1);
  if (bytes.length < end) throw new Error(`the netpbm file is cut off: ${bytes.length} of ${end} bytes`);
  if (!wide) return bytes.subarray(header.dataStart, end);
  const samples = new Uint16Array(count);
  for (let i = 0, at = header.dataStart; i < count; i++, at += 2) {
    samples[i] = (bytes[at]! << 8) | bytes[at + 1]!;
  }
  return samples;
}

/** Bits of a raw PBM file, each row filled up to whole bytes; 1 is black. */
function rawBits(bytes: Uint8Array, header: Header): Uint8Array {
  const { width, height, dataStart } = header;
  const rowBytes = Math.ceil(width / 8);
  const end = dataStart + rowBytes * height;
  if (bytes.length < end) throw new Error(`the netpbm file is cut off: ${bytes.length} of ${end} bytes`);
  const samples = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = (bytes[dataStart + y * rowBytes + (x >> 3)]! >> (7 - (x & 7))) & 1;
      samples[y * width + x] = 1 - bit;
    }
  }
  return samples;
}

function readSamples(bytes: Uint8Array, header: Header, count: number): ArrayLike<number> {
  if (header.kind === 4) return rawBits(bytes, header);
  if (header.kind > 4) return rawSamples(bytes, header, count);
  // Every sample of a plain file takes at least one byte: a tiny file cannot make us allocate much.
  if (bytes.length - header.dataStart < count) throw new Error("the netpbm file is cut off");
  const reader = new NumberReader(bytes, header.dataStart - 1);
  return Uint16Array.from({ length: count }, () =>
    header.kind === 1 ? 1 - reader.nextBit() : Math.min(reader.next(), header.maximum),
  );
}

/**
 * Reads a netpbm file (P1 to P6).
 * @throws Error when the file is cut off, malformed, or larger than `maxPixels`.
 */
export function readNetpbm(bytes: Uint8Array, maxPixels: number): Pixels {
  const header = readHeader(bytes, maxPixels);
  const { kind, width, height, maximum } = header;
  const coloured = kind === 3 || kind === 6;
  const size = width * height * 3;
  const samples = readSamples(bytes, header, coloured ? size : width * height);
  const data = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const sample = samples[coloured ? i : Math.floor(i / 3)]!;
    data[i] = Math.min(255, Math.round((sample * 255) / maximum));
  }
  return { data, width, height };
}
