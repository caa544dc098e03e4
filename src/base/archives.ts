/** @file Reads zip and gzipped tar archives file by file; the only door to yauzl and tar-stream. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { crc32, createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { requireRegular } from "./files.ts";

/** A regular file of an archive. */
export interface PackedFile {
  readonly path: string;
  /** Bytes of the content, as the archive claims; nothing that is read is longer. */
  readonly size: number;
  /** Reads the content. Only possible before the next file is asked for. */
  read(): Promise<Uint8Array>;
}

async function readStream(stream: AsyncIterable<Buffer>, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for await (const chunk of stream) {
    if (at + chunk.length > size) throw new Error("a file is longer than the archive says");
    at += chunk.copy(bytes, at);
  }
  if (at !== size) throw new Error("a file is shorter than the archive says");
  return bytes;
}

/** Reads one file of a zip archive and compares its checksum. */
async function readZipped(zip: ZipFile, entry: Entry): Promise<Uint8Array> {
  const bytes = await readStream(await zip.openReadStreamPromise(entry), entry.uncompressedSize);
  if (crc32(bytes) !== entry.crc32) throw new Error(`the checksum of ${entry.fileName} is wrong`);
  return bytes;
}

const SYMBOLIC_LINK = 0o120000;
const FILE_KIND = 0o170000;

async function startsWith(path: string, magic: string): Promise<boolean> {
  await requireRegular(path);
  const file = await open(path);
  try {
    const start = Buffer.alloc(magic.length);
    await file.read(start, 0, start.length, 0);
    return start.toString("latin1") === magic;
  } finally {
    await file.close();
  }
}

/** Whether a file starts like a zip archive. */
export const isZip = (path: string): Promise<boolean> => startsWith(path, "PK");

/** Whether a file starts like a gzip file. */
export const isGzip = (path: string): Promise<boolean> => startsWith(path, "\x1f\x8b");

/**
 * The files of a zip archive, in its order.
 * @throws Error when the archive is damaged or holds a link.
 */
export async function* zipFiles(path: string): AsyncGenerator<PackedFile> {
  await requireRegular(path);
  const zip = await openPromise(path, { lazyEntries: true });
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith("/")) continue;
      if (((entry.externalFileAttributes >>> 16) & FILE_KIND) === SYMBOLIC_LINK) {
        throw new Error(`${entry.fileName} is a link, and only files are wanted`);
      }
      yield { path: entry.fileName, size: entry.uncompressedSize, read: () => readZipped(zip, entry) };
    }
  } finally {
    zip.close();
  }
}

/** A tar archive ends with blocks of zeros, so that one without its last files can be recognised. */
const TAR_BLOCK = 512;

async function* requireTarEnd(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    tail = Buffer.concat([tail, chunk.subarray(-TAR_BLOCK)]).subarray(-TAR_BLOCK);
    yield chunk;
  }
  if (tail.length < TAR_BLOCK || tail.some((byte) => byte !== 0)) throw new Error("the archive is cut off");
}

/**
 * The regular files of a gzipped tar archive, in its order.
 * @throws Error when the archive is damaged or cut off, or holds a link or a device.
 */
export async function* gzippedTarFiles(path: string): AsyncGenerator<PackedFile> {
  await requireRegular(path);
  const entries = extract();
  const unpacking = pipeline(createReadStream(path), createGunzip(), requireTarEnd, entries);
  // The loop throws the same error; a rejection that nobody handles would end the process.
  unpacking.catch(() => undefined);
  for await (const entry of entries) {
    const { type, name, size = 0 } = entry.header;
    if (type === "file") yield { path: name, size, read: () => readStream(entry, size) };
    else if (type !== "directory")
      throw new Error(`${name} is a link or a device, and only files are wanted`);
    entry.resume();
  }
  await unpacking;
}
