/** @file A teacher: the pretrained network of a model pack, and its embeddings of crops, which a file keeps. */
import { createHash } from "node:crypto";
import { appendFile, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { FaceError, systemCode } from "../base/errors.ts";
import { makeFolder, writeError } from "../base/files.ts";
import { eachLimited } from "../base/limiter.ts";
import type { Log } from "../base/log.ts";
import type { ImageRef } from "../data/identity.ts";
import type { Loader } from "../data/loader.ts";
import { defaultCacheFolder } from "../data/pixel-cache.ts";
import { EMBEDDING_SIDE, EMBEDDING_SIZE, type FaceEmbedder } from "../faces/embedder.ts";
import { openLowered } from "../faces/lowered-cache.ts";
import { openPack } from "../faces/models.ts";
import { openEmbedder } from "../faces/open-embedder.ts";
import { SessionPool } from "../onnx/runtime/session-pool.ts";

/** Numbers in an embedding of a teacher. */
export const TEACHER_SIZE = EMBEDDING_SIZE;

const KEY_BYTES = 16;
const VALUE_BYTES = TEACHER_SIZE * Float32Array.BYTES_PER_ELEMENT;
/** Key, embedding, and the checksum of both. */
const ENTRY_BYTES = KEY_BYTES + VALUE_BYTES + 4;

/** Raise this when the embedding of a crop changes, which makes old entries invalid. */
const EMBEDDING_VERSION = 1;

/** A file of embeddings, each under a digest of its crop's pixels. Several processes may append to it. */
class EmbeddingFile {
  readonly #path: string;
  readonly #known = new Map<string, Float32Array>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Reads what there is; damaged entries are left out, since they can be computed again. */
  static async open(path: string): Promise<EmbeddingFile> {
    const file = new EmbeddingFile(path);
    const bytes = await readFile(path).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; ) {
      const entry = bytes.subarray(at, at + ENTRY_BYTES);
      const isWhole = crc32(entry.subarray(0, ENTRY_BYTES - 4)) === entry.readUInt32LE(ENTRY_BYTES - 4);
      // After an entry that was cut off, the next one begins at an odd place.
      at += isWhole ? ENTRY_BYTES : 1;
      if (!isWhole) continue;
      const value = new Uint8Array(entry.subarray(KEY_BYTES, KEY_BYTES + VALUE_BYTES));
      file.#known.set(entry.toString("hex", 0, KEY_BYTES), new Float32Array(value.buffer));
    }
    return file;
  }

  get(key: string): Float32Array | undefined {
    return this.#known.get(key);
  }

  async add(key: string, embedding: Float32Array): Promise<void> {
    this.#known.set(key, embedding);
    const entry = Buffer.alloc(ENTRY_BYTES);
    entry.write(key, "hex");
    entry.set(new Uint8Array(embedding.buffer, embedding.byteOffset, VALUE_BYTES), KEY_BYTES);
    entry.writeUInt32LE(crc32(entry.subarray(0, ENTRY_BYTES - 4)), ENTRY_BYTES - 4);
    try {
      await makeFolder(dirname(this.#path));
      await appendFile(this.#path, entry);
    } catch (error) {
      throw writeError(this.#path, error);
    }
  }
}

/** Images in one call of the loader. */
const BATCH = 16;

/** Bytes of pixels in [0, 1]. */
const bytesOf = (pixels: Float32Array): Uint8Array =>
  Uint8Array.from(pixels, (value) => Math.round(value * 255));

const asCrop = (data: Uint8Array) => ({ data, width: EMBEDDING_SIDE, height: EMBEDDING_SIDE });

/** The pretrained network, in one thread for each core. */
export class Teacher implements AsyncDisposable {
  readonly #embedder: FaceEmbedder;
  /** Embeds crops that are seen once: faster, and without the mirror image. */
  readonly #passing: FaceEmbedder;
  readonly #file: EmbeddingFile;

  private constructor(embedder: FaceEmbedder, passing: FaceEmbedder, file: EmbeddingFile) {
    this.#embedder = embedder;
    this.#passing = passing;
    this.#file = file;
  }

  /**
   * Opens the teacher of this name, a model pack, which is fetched first where it is missing.
   * @throws FaceError as `openPack` and `openEmbedder` do.
   */
  static async open(name: string, log: Log, cacheFolder = defaultCacheFolder()): Promise<Teacher> {
    const { files, about } = await openPack(name, { log });
    const digest = about.files.embedding.sha256;
    const [model, file] = await Promise.all([
      readFile(files.embedding),
      EmbeddingFile.open(join(cacheFolder, `teacher-${EMBEDDING_VERSION}-${digest.slice(0, 16)}.bin`)),
    ]);
    const open = openLowered((bytes) => SessionPool.open(bytes, availableParallelism()));
    const embedder = await openEmbedder(model, open);
    const passing = await openEmbedder(model, open, { precision: "int8" }).catch((error: unknown) => {
      if (!(error instanceof FaceError) || error.code !== "MODEL_UNSUPPORTED") throw error;
      return openEmbedder(model, open, { mirror: false });
    });
    return new Teacher(embedder, passing, file);
  }

  /** The embedding of a crop `[112, 112, 3]` in [0, 1] that is not asked for again. */
  embedOnce(crop: Float32Array): Promise<Float32Array> {
    return this.#passing.embed(asCrop(bytesOf(crop)));
  }

  /**
   * The embeddings of images by their index, each with its mirror image; those that a file has are not computed again.
   * Images that cannot be read are left out.
   * @throws FaceError `INTERRUPTED` on the signal; `DISK_FULL`.
   */
  async embedAll(
    images: readonly ImageRef[],
    loader: Loader,
    { signal, onProgress = () => undefined }: EmbedAllOptions = {},
  ): Promise<Map<number, Float32Array>> {
    const size = EMBEDDING_SIDE * EMBEDDING_SIDE * 3;
    const embeddings = new Map<number, Float32Array>();
    await eachLimited(loader.imageBatches(images, { batchSize: BATCH }), 2, async (batch) => {
      if (signal?.aborted)
        throw new FaceError("INTERRUPTED", "stopped while the teacher embedded the photographs");
      const rows = [...batch.positions].map(async (position, row) => {
        const pixels = bytesOf(batch.images.subarray(row * size, (row + 1) * size));
        embeddings.set(images[position]!.index, await this.#embedding(pixels));
      });
      await Promise.all(rows);
      onProgress(embeddings.size, images.length);
    });
    return embeddings;
  }

  async #embedding(pixels: Uint8Array): Promise<Float32Array> {
    const key = createHash("sha256")
      .update(pixels)
      .digest("hex")
      .slice(0, 2 * KEY_BYTES);
    const known = this.#file.get(key);
    if (known !== undefined) return known;
    const embedding = await this.#embedder.embed(asCrop(pixels));
    await this.#file.add(key, embedding);
    return embedding;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#embedder.close();
    await this.#passing.close();
  }
}

export interface EmbedAllOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}
