/** @file Reads tensor bundles: the files `variables.index` and `variables.data-…` with a model's variables. */
import type { FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { FaceError, messageOf } from "../../base/errors.ts";
import { openRegular, readRegular } from "../../base/files.ts";
import { bytesPerElement, fromBytes, shapeText, sizeOf, type Tensor } from "../../base/tensor.ts";
import { type BundleEntry, type BundleIndex, parseBundleIndex } from "./bundle-index.ts";
import { ByteCursor, uint32Bytes } from "./byte-cursor.ts";
import { crc32c, masked } from "./crc32c.ts";

/** An index lists names and places only; TensorFlow's take about 80 bytes per tensor. */
const LARGEST_INDEX = 2 ** 28;
/** One call to the system reads 2 GB at most. */
const LARGEST_READ = 2 ** 30;

const digits = (n: number) => String(n).padStart(5, "0");

/** `variables.data-00000-of-00001` */
export function shardPath(prefix: string, shard: number, shards: number): string {
  return `${prefix}.data-${digits(shard)}-of-${digits(shards)}`;
}

function missing(path: string, error: unknown): FaceError {
  return new FaceError("MODEL_INVALID", `cannot read ${path}: ${messageOf(error)}`, {
    hint: "copy the whole folder of the model, its variables included",
    cause: error,
  });
}

interface Shard {
  readonly path: string;
  readonly file: FileHandle;
  readonly size: number;
}

async function openShard(path: string): Promise<Shard> {
  try {
    return { path, ...(await openRegular(path)) };
  } catch (error) {
    throw error instanceof FaceError ? error : missing(path, error);
  }
}

/** Part of a file, in memory of its own so that elements of any width can use the bytes in place. */
async function readPart({ file, path }: Shard, offset: number, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(size - done, LARGEST_READ), offset + done);
    if (bytesRead === 0) throw missing(path, new Error("it ends too early"));
    done += bytesRead;
  }
  return bytes;
}

/** A bundle on disk. Only the tensors that are asked for are read. */
export class Bundle {
  readonly keys: ReadonlySet<string>;
  readonly #prefix: string;
  readonly #index: BundleIndex;

  private constructor(prefix: string, index: BundleIndex) {
    this.#prefix = prefix;
    this.#index = index;
    this.keys = index.keys;
  }

  /**
   * Reads a bundle's index.
   * @param prefix path without ending: `…/variables/variables`
   * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
   */
  static async open(prefix: string): Promise<Bundle> {
    const path = `${prefix}.index`;
    try {
      return new Bundle(prefix, parseBundleIndex(await readRegular(path, LARGEST_INDEX), basename(path)));
    } catch (error) {
      throw error instanceof FaceError ? error : missing(path, error);
    }
  }

  /** The index entry of a tensor. */
  entry(key: string): BundleEntry {
    return this.#index.entry(key);
  }

  /**
   * Reads tensors, in the order in which they lie in the files.
   * @throws FaceError `MODEL_INVALID` for a missing shard, a tensor that reaches past its end, or a wrong checksum.
   */
  async read(keys: Iterable<string>): Promise<Map<string, Tensor>> {
    const wanted = [...new Set(keys)].map((key) => ({ key, entry: this.entry(key) }));
    wanted.sort((a, b) => a.entry.shard - b.entry.shard || a.entry.offset - b.entry.offset);
    const shards = new Map<number, Shard>();
    try {
      for (const { shard } of wanted.map(({ entry }) => entry)) {
        if (!shards.has(shard)) shards.set(shard, await this.#openShard(shard));
      }
      this.#checkPlaces(wanted, shards);
      const values = new Map<string, Tensor>();
      for (const { key, entry } of wanted) {
        const bytes = await readPart(shards.get(entry.shard)!, entry.offset, entry.size);
        values.set(key, decodeBundleTensor(entry, bytes, key));
      }
      return values;
    } finally {
      await Promise.all([...shards.values()].map(({ file }) => file.close()));
    }
  }

  #openShard(shard: number): Promise<Shard> {
    return openShard(shardPath(this.#prefix, shard, this.#index.shards));
  }

  /** Checks, before memory is allocated, that every tensor lies within its shard and none overlap. */
  #checkPlaces(
    wanted: readonly { key: string; entry: BundleEntry }[],
    shards: ReadonlyMap<number, Shard>,
  ): void {
    const ends = new Map<number, number>();
    for (const { key, entry } of wanted) {
      checkEntrySize(entry, key);
      const { path, size } = shards.get(entry.shard)!;
      const end = entry.offset + entry.size;
      if (end > size) {
        throw new FaceError(
          "MODEL_INVALID",
          `${basename(path)} is cut off: ${key} ends at ${end}, the file at ${size}`,
        );
      }
      if (entry.size > 0 && entry.offset < (ends.get(entry.shard) ?? 0)) {
        throw new FaceError("MODEL_INVALID", `${key} overlaps another tensor in ${basename(path)}`);
      }
      ends.set(entry.shard, Math.max(end, ends.get(entry.shard) ?? 0));
    }
  }
}

// The bytes of one tensor: raw elements, or strings with their lengths, and a checksum.

/** A string's length for checksums: 32 bits, or 64 for longer strings. */
function lengthBytes(length: number): Uint8Array {
  const high = Math.floor(length / 2 ** 32);
  return Uint8Array.from([length, ...(high > 0 ? [high] : [])].flatMap(uint32Bytes));
}

/** Checksum of the strings' lengths. */
export function lengthsChecksum(lengths: readonly number[]): number {
  return lengths.reduce((crc, length) => crc32c(lengthBytes(length), crc), 0);
}

/** The least bytes of a tensor: strings have a length of at least one byte each, and a checksum of the lengths. */
function leastSize({ dtype, shape }: BundleEntry): number {
  return dtype === "string" ? sizeOf(shape) + 4 : sizeOf(shape) * bytesPerElement(dtype);
}

/**
 * Checks, before anything is read, that an entry's size fits its tensor.
 * @throws FaceError `MODEL_INVALID`.
 */
function checkEntrySize(entry: BundleEntry, what: string): void {
  const least = leastSize(entry);
  if (entry.dtype === "string" ? entry.size >= least : entry.size === least) return;
  const wanted = `a ${entry.dtype} tensor of shape ${shapeText(entry.shape)} takes ${least} bytes`;
  throw new FaceError("MODEL_INVALID", `${what} is damaged: ${wanted}, it has ${entry.size}`);
}

function checkSum(entry: BundleEntry, crc: number, what: string): void {
  if (masked(crc) === entry.checksum) return;
  throw new FaceError("MODEL_INVALID", `${what} is damaged: its checksum is wrong`);
}

function strings(entry: BundleEntry, bytes: Uint8Array, what: string): Tensor<"string"> {
  const cursor = new ByteCursor(bytes, what);
  const lengths = Array.from({ length: sizeOf(entry.shape) }, () => cursor.varint());
  const ofLengths = lengthsChecksum(lengths);
  const stored = cursor.take(4);
  if (masked(ofLengths) !== new ByteCursor(stored, what).uint32()) {
    throw cursor.damaged("the checksum of its lengths is wrong");
  }
  checkSum(entry, crc32c(cursor.bytes.subarray(cursor.at), crc32c(stored, ofLengths)), what);
  const data = lengths.map((length) => cursor.take(length));
  if (cursor.left > 0) throw cursor.damaged("it is longer than its strings");
  return { dtype: "string", shape: entry.shape, data };
}

/**
 * Decodes a tensor, which may use the bytes in place.
 * @throws FaceError `MODEL_INVALID` when checksum or lengths are wrong.
 */
function decodeBundleTensor(entry: BundleEntry, bytes: Uint8Array, what: string): Tensor {
  checkEntrySize(entry, what);
  if (entry.dtype === "string") return strings(entry, bytes, what);
  checkSum(entry, crc32c(bytes), what);
  return fromBytes(entry.dtype, entry.shape, bytes);
}
