/** @file Keeps the embeddings of images in a file: each image passes the network once, also in a run that goes on after a stop. */
import { createHash } from "node:crypto";
import { appendFile } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder, writeError } from "../base/files.ts";
import { wholeLinesOf } from "../data/lines.ts";
import type { Embedder } from "../model/verifier.ts";

const bytesOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** The lines of the file: an image by the digest of its pixels, and its embedding in base64. */
async function readLines(path: string, size: number): Promise<Map<string, Float32Array>> {
  const known = new Map<string, Float32Array>();
  for await (const bytes of wholeLinesOf(path)) {
    const line = bytes.toString("latin1");
    const [digest, content] = line.split(" ");
    const values = Buffer.from(content ?? "", "base64");
    if (digest === undefined || values.length !== size * Float32Array.BYTES_PER_ELEMENT) continue;
    known.set(digest, new Float32Array(new Uint8Array(values).buffer));
  }
  return known;
}

export interface CachedEmbedderOptions {
  /** Called at the start with the number of embeddings that the file holds, unless it holds none. */
  readonly onKnown?: ((count: number) => void) | undefined;
  /** Called once where the file cannot be written to, which then goes on without it. Default: that is an error. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/**
 * The same network, which is asked only for images that the file does not hold yet.
 * @param path of the file; it belongs to one network with one set of weights.
 */
export async function cachedEmbedder<E extends Embedder>(
  embedder: E,
  path: string,
  { onKnown, onFailure }: CachedEmbedderOptions = {},
): Promise<E> {
  const { embeddingSize: size } = embedder;
  let failed = false;
  const known = await readLines(path, size).catch((error: unknown) => {
    if (onFailure === undefined) throw error;
    onFailure(error);
    failed = true;
    return new Map<string, Float32Array>();
  });
  if (known.size > 0) onKnown?.(known.size);
  const write = async (lines: readonly string[]) => {
    if (failed) return;
    try {
      await makeFolder(dirname(path));
      await appendFile(path, lines.join(""));
    } catch (error) {
      if (onFailure === undefined) throw writeError(path, error);
      if (!failed) onFailure(error);
      failed = true;
    }
  };
  return {
    ...embedder,
    async embed(images, count) {
      const length = images.length / count;
      const rows = Array.from({ length: count }, (_, row) =>
        images.subarray(row * length, (row + 1) * length),
      );
      const digests = rows.map((row) => createHash("sha256").update(bytesOf(row)).digest("base64"));
      const missing = [...rows.keys()].filter((row) => !known.has(digests[row]!));
      if (missing.length > 0) {
        const asked = new Float32Array(missing.length * length);
        for (const [to, row] of missing.entries()) asked.set(rows[row]!, to * length);
        const values = await embedder.embed(asked, missing.length);
        const lines = missing.map((row, i) => {
          const embedding = values.slice(i * size, (i + 1) * size);
          known.set(digests[row]!, embedding);
          return `${digests[row]} ${bytesOf(embedding).toString("base64")}\n`;
        });
        await write(lines);
      }
      const result = new Float32Array(count * size);
      for (const [row, digest] of digests.entries()) result.set(known.get(digest)!, row * size);
      return result;
    },
    [Symbol.asyncDispose]: () => embedder[Symbol.asyncDispose](),
  };
}
