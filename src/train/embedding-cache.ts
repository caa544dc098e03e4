/** @file Keeps the embeddings of a run's images in its folder: each image passes the network once, also in a resumed run. */
import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "../base/errors.ts";
import { writeError } from "../base/files.ts";
import type { Embedder } from "../model/verifier.ts";

const bytesOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** A line of the file: an image by the digest of its pixels, and its embedding in base64. */
async function readLines(path: string, size: number): Promise<Map<string, Float32Array>> {
  const known = new Map<string, Float32Array>();
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  });
  for (const line of text.split("\n")) {
    // The last line may be cut off where the run was killed.
    const [digest, content] = line.split(" ");
    const bytes = Buffer.from(content ?? "", "base64");
    if (digest === undefined || bytes.length !== size * Float32Array.BYTES_PER_ELEMENT) continue;
    known.set(digest, new Float32Array(new Uint8Array(bytes).buffer));
  }
  return known;
}

/**
 * The same network, which is asked only for images that the file does not hold yet.
 * @param path of the file; it belongs to one network with one set of weights.
 */
export async function cachedEmbedder<E extends Embedder>(embedder: E, path: string): Promise<E> {
  const { embeddingSize: size } = embedder;
  const known = await readLines(path, size);
  await mkdir(dirname(path), { recursive: true });
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
        await appendFile(path, lines.join("")).catch((error: unknown) => {
          throw writeError(path, error);
        });
      }
      const result = new Float32Array(count * size);
      for (const [row, digest] of digests.entries()) result.set(known.get(digest)!, row * size);
      return result;
    },
    [Symbol.asyncDispose]: () => embedder[Symbol.asyncDispose](),
  };
}
