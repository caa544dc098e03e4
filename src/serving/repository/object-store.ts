/** @file What remote models are read from: objects in buckets. Each is checked while it is copied into a file. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FaceError, messageOf } from "../../base/errors.ts";
import { crc32c } from "../../savedmodel/format/crc32c.ts";
import { StatusError } from "../status.ts";
import type { RemoteScheme } from "./model-config.ts";

/** An object below a prefix. */
export interface StoredObject {
  /** Its key without the prefix. */
  readonly name: string;
  readonly key: string;
  readonly size: number;
  /** Changes with the object: an ETag, or the number of its generation. */
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly sums?: Checksums;
}

/** What the bytes of an object must sum up to. */
export interface Checksums {
  /** MD5 in hexadecimal digits. */
  readonly md5?: string;
  readonly crc32c?: number;
}

/** The source of a model's versions. */
export interface ObjectStore {
  /** All objects below a prefix. @throws FaceError. */
  list(bucket: string, prefix: string, signal: AbortSignal): Promise<StoredObject[]>;
  /** Copies an object into a file. @throws FaceError `DOWNLOAD_FAILED` where it is not the one that was listed. */
  copy(bucket: string, object: StoredObject, file: string, signal: AbortSignal): Promise<void>;
}

/** More objects than any model has in all its versions. */
const MOST_OBJECTS = 100_000;
/** Pages in a row that hold nothing, after which a listing would hardly end. */
const MOST_EMPTY_PAGES = 100;

/**
 * The objects of all pages of a listing.
 * @param address what is listed, for messages.
 * @param hint what to check where the listing does not end.
 * @throws FaceError `DOWNLOAD_FAILED` or `CONFIG_INVALID` for a listing that is no model's, or whatever `pages` throws.
 */
export async function collectPages(
  address: string,
  pages: AsyncIterable<readonly StoredObject[]>,
  hint: string,
): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  let empty = 0;
  for await (const page of pages) {
    objects.push(...page);
    empty = page.length === 0 ? empty + 1 : 0;
    if (empty > MOST_EMPTY_PAGES) {
      const text = `the listing of ${address} does not end: ${empty} pages in a row are empty`;
      throw new FaceError("DOWNLOAD_FAILED", text, { hint });
    }
    if (objects.length > MOST_OBJECTS) {
      const text = `${address} has more than ${MOST_OBJECTS} objects`;
      throw new FaceError("CONFIG_INVALID", text, { hint: "name the prefix of one model" });
    }
  }
  return objects;
}

/** The difference between an object and its listing. */
export const changedObject = (key: string, what: string, cause?: unknown) =>
  new FaceError("DOWNLOAD_FAILED", `${key} is not as it was listed: ${what}`, {
    hint: "it is fetched again at the next listing",
    cause,
  });

/**
 * Writes an object's bytes into a new file.
 * @throws FaceError `DOWNLOAD_FAILED` where size or checksums are not those of the listing, or the system's error.
 */
export async function writeObject(
  { key, size, sums = {} }: StoredObject,
  body: AsyncIterable<Uint8Array>,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const digest = createHash("md5");
  let bytes = 0;
  let crc = 0;
  const counted = async function* () {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > size) throw changedObject(key, `it has more than ${size} bytes`);
      if (sums.md5 !== undefined) digest.update(chunk);
      if (sums.crc32c !== undefined) crc = crc32c(chunk, crc);
      yield chunk;
    }
  };
  await pipeline(Readable.from(counted()), createWriteStream(file, { flags: "wx", flush: true }), { signal });
  if (bytes !== size) throw changedObject(key, `${bytes} bytes came, ${size} were listed`);
  if (sums.md5 !== undefined && digest.digest("hex") !== sums.md5) {
    throw changedObject(key, "its MD5 is another one");
  }
  if (sums.crc32c !== undefined && crc !== sums.crc32c)
    throw changedObject(key, "its CRC-32C is another one");
}

/**
 * A client that is not among faceid's own dependencies.
 * @param name the package with the version that the tests run with.
 * @throws StatusError `FAILED_PRECONDITION` where it is not installed.
 */
export async function optionalClient<T>(
  scheme: RemoteScheme,
  name: string,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const text = `Models at ${scheme}:// take a package that is not installed here: npm install ${name}`;
    throw new StatusError("FAILED_PRECONDITION", text, { cause: error });
  }
}

/** An error of a storage, with what was asked. */
export const storageError = (address: string, error: unknown, hint: string): FaceError =>
  error instanceof FaceError
    ? error
    : new FaceError("DOWNLOAD_FAILED", `${address} cannot be read: ${messageOf(error)}`, {
        hint,
        cause: error,
      });
