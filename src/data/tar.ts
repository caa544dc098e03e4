/** @file Reads tar archives as a stream: POSIX ustar with GNU and pax long names. */
import type { PackedFile } from "../base/zip.ts";

const BLOCK = 512;
/** A long name is a path, not a book. */
const MAX_NAME_BYTES = 65_536;

/** Takes exact numbers of bytes from a stream of chunks. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done === true) return false;
    this.#left = value;
    return true;
  }

  /** Hands over the next bytes piece by piece. */
  async #take(count: number, use: (piece: Uint8Array) => void): Promise<void> {
    for (let wanted = count; wanted > 0; ) {
      if (this.#left.length === 0 && !(await this.#more())) throw new Error("the archive is cut off");
      const piece = this.#left.subarray(0, wanted);
      this.#left = this.#left.subarray(piece.length);
      wanted -= piece.length;
      use(piece);
    }
  }

  async read(count: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(count);
    let at = 0;
    await this.#take(count, (piece) => {
      bytes.set(piece, at);
      at += piece.length;
    });
    return bytes;
  }

  skip(count: number): Promise<void> {
    return this.#take(count, () => undefined);
  }

  /** Reads to the end, so that whatever unpacks the stream checks its checksum. */
  async drain(): Promise<void> {
    while (await this.#more()) this.#left = new Uint8Array(0);
  }
}

/** Text up to the first zero byte. */
function textAt(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? length : end);
}

/** A number in octal digits, or, when the first bit is set, in binary (GNU, for files of 8 GB and more). */
function numberAt(header: Buffer, start: number, length: number): number {
  if (header[start]! & 0x80) return Number(header.readBigUInt64BE(start + length - 8));
  const digits = textAt(header, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new Error("a tar header holds something other than a number");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

/** The sum of the header's bytes, its own field taken as spaces. */
function checksum(header: Buffer): number {
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
}

/** The `path` and `size` records of a pax header: lines of `length key=value`. */
function paxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(32, at);
    const length = Number(bytes.toString("latin1", at, space));
    if (space < 0 || !Number.isInteger(length) || length < 5) throw new Error("a pax header is malformed");
    const [key, ...value] = bytes.toString("utf8", space + 1, at + length - 1).split("=");
    records.set(key!, value.join("="));
    at += length;
  }
  return records;
}

function nameOf(header: Buffer): string {
  const name = textAt(header, 0, 100);
  const prefix = textAt(header, 257, 5) === "ustar" ? textAt(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** What stands before the content of an entry. */
interface Header {
  /** The type flag: `0` is a file, `5` a folder, `L`, `x` and `g` say something about the next entry or all. */
  readonly kind: string;
  readonly path: string;
  readonly size: number;
  /** Bytes that the content takes, filled up to whole blocks. */
  readonly padded: number;
}

/** Reads a header, whose path and size an entry before it may have replaced; undefined at the end of the archive. */
async function readHeader(
  reader: ByteReader,
  long: ReadonlyMap<string, string>,
): Promise<Header | undefined> {
  const header = await reader.read(BLOCK);
  if (header.every((byte) => byte === 0)) return undefined;
  if (numberAt(header, 148, 8) !== checksum(header)) throw new Error("the checksum of a tar header is wrong");
  const size = long.has("size") ? Number(long.get("size")) : numberAt(header, 124, 12);
  if (!Number.isSafeInteger(size) || size < 0) throw new Error(`a tar header claims ${size} bytes`);
  return {
    kind: header[156] === 0 ? "0" : String.fromCharCode(header[156]!),
    path: long.get("path") ?? nameOf(header),
    size,
    padded: Math.ceil(size / BLOCK) * BLOCK,
  };
}

/** What an entry says about the next one. */
async function readLong(reader: ByteReader, { kind, size, padded }: Header): Promise<Map<string, string>> {
  if (size > MAX_NAME_BYTES) throw new Error("a tar header is too long");
  const bytes = (await reader.read(padded)).subarray(0, size);
  return kind === "L" ? new Map([["path", textAt(bytes, 0, size)]]) : paxRecords(bytes);
}

/**
 * Lists the regular files of a tar stream in order. Folders are left out, since files name theirs.
 * @throws Error when the archive is cut off or malformed, or holds a link or a device.
 */
export async function* readTar(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<PackedFile> {
  const reader = new ByteReader(chunks);
  let long = new Map<string, string>();
  for (let header = await readHeader(reader, long); header; header = await readHeader(reader, long)) {
    const { kind, path, size, padded } = header;
    if (kind === "L" || kind === "x") {
      long = await readLong(reader, header);
      continue;
    }
    long = new Map();
    let unread = padded;
    if (kind === "0") {
      const read = async () => {
        unread = 0;
        return (await reader.read(padded)).subarray(0, size);
      };
      yield { path, size, read };
    } else if (kind !== "5" && kind !== "g") {
      throw new Error(`${path} is a link or a device, which a dataset has no use for`);
    }
    await reader.skip(unread);
  }
  await reader.drain();
}
