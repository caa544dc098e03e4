/** @file Reads zip archives file by file; the only door to yauzl. */
import { open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { type Entry, openPromise, type ZipFile } from "yauzl";

/** A regular file of an archive. */
export interface PackedFile {
  readonly path: string;
  /** Bytes of the content, as the archive claims; nothing that is read is longer. */
  readonly size: number;
  /** The content; to be called before the next file is asked for, or not at all. */
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

/** Whether a file begins as a zip archive does. */
export async function isZip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const start = Buffer.alloc(2);
    await file.read(start, 0, 2, 0);
    return start.toString("latin1") === "PK";
  } finally {
    await file.close();
  }
}

/**
 * The files of a zip archive, in its order.
 * @throws Error when the archive is damaged, or holds a link
 */
export async function* zipFiles(path: string): AsyncGenerator<PackedFile> {
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
