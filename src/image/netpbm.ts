/** @file Reads PBM, PGM and PPM files, plain and raw, 8 and 16 bits (netpbm.sourceforge.net/doc/pnm.html). */
// Hand-written because the libvips that sharp brings cannot read them.
import type { Pixels } from "./settings.ts";

interface Header {
  /** The digit after the P. */
  readonly kind: number;
  readonly width: number;
  readonly height: number;
  /** The sample of full intensity. */
  readonly maximum: number;
  /** Offset of the samples. */
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

  #skipSpace(): void {
    const bytes = this.#bytes;
    for (; this.position < bytes.length; this.position++) {
      const byte = bytes[this.position]!;
      if (byte === 35) while (this.position < bytes.length && bytes[this.position] !== 10) this.position++;
      else if (!isSpace(byte)) return;
    }
  }

  /** The next number; with `digits` 1 the next digit, since bits of plain PBM files need no space between them. */
  next(digits = Number.POSITIVE_INFINITY): number {
    this.#skipSpace();
    const start = this.position;
    let value = 0;
    while (this.position - start < digits && isDigit(this.#bytes[this.position] ?? 0)) {
      value = value * 10 + (this.#bytes[this.position++]! - 48);
    }
    if (this.position === start || (digits === 1 && value > 1)) {
      throw new Error(
        `the netpbm file is cut off or holds something other than ${digits === 1 ? "bits" : "numbers"}`,
      );
    }
    return value;
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
  // Exactly one white space separates the header from raw samples.
  return { kind, width, height, maximum, dataStart: reader.position + 1 };
}

/** A function that returns the sample at an index, after checking that the file has them all. */
function sampler(bytes: Uint8Array, header: Header, count: number): (index: number) => number {
  const { kind, width, height, maximum, dataStart } = header;
  const rowBytes = Math.ceil(width / 8);
  // A sample of a plain file takes at least one byte, so a small file cannot claim a large image.
  const needed = kind === 4 ? rowBytes * height : count * (kind > 4 && maximum > 255 ? 2 : 1);
  if (bytes.length - dataStart < needed) {
    throw new Error(`the netpbm file is cut off: ${bytes.length} of ${dataStart + needed} bytes`);
  }
  if (kind < 4) {
    // In index order only, which is how they are read.
    const reader = new NumberReader(bytes, dataStart - 1);
    return () => (kind === 1 ? 1 - reader.next(1) : Math.min(reader.next(), maximum));
  }
  // Rows of bits are padded to whole bytes; 1 is black.
  if (kind === 4) {
    return (index) => {
      const [row, column] = [Math.floor(index / width), index % width];
      return 1 - ((bytes[dataStart + row * rowBytes + (column >> 3)]! >> (7 - (column & 7))) & 1);
    };
  }
  if (maximum <= 255) return (index) => bytes[dataStart + index]!;
  return (index) => (bytes[dataStart + 2 * index]! << 8) | bytes[dataStart + 2 * index + 1]!;
}

/**
 * Reads a netpbm file (P1 to P6).
 * @throws Error when the file is cut off, malformed, or larger than `maxPixels`.
 */
export function readNetpbm(bytes: Uint8Array, maxPixels: number): Pixels {
  const header = readHeader(bytes, maxPixels);
  const { kind, width, height, maximum } = header;
  const channels = kind === 3 || kind === 6 ? 3 : 1;
  const count = width * height * channels;
  const sample = sampler(bytes, header, count);
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < count; i++) {
    const value = Math.min(255, Math.round((sample(i) * 255) / maximum));
    if (channels === 3) data[i] = value;
    else data[3 * i] = data[3 * i + 1] = data[3 * i + 2] = value;
  }
  return { data, width, height };
}
