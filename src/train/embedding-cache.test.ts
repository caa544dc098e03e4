/** @file Embeddings that are kept in a file: after a kill, after a change of an image, and where nothing can be written. */
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import type { Embedder } from "../model/verifier.ts";
import { cachedEmbedder } from "./embedding-cache.ts";

/** An embedding of two numbers, sum and first value, that counts the images it was asked for. */
function counting(): Embedder & { asked: number } {
  return {
    asked: 0,
    image: { height: 1, width: 1 },
    embeddingSize: 2,
    concurrency: 1,
    async embed(images, count) {
      this.asked += count;
      const length = images.length / count;
      return Float32Array.from({ length: 2 * count }, (_, i) => {
        const row = images.subarray(Math.floor(i / 2) * length, (Math.floor(i / 2) + 1) * length);
        return i % 2 === 0 ? row.reduce((sum, value) => sum + value, 0) : row[0]!;
      });
    },
    async [Symbol.asyncDispose]() {},
  };
}

const images = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
const EXPECTED = [6, 1, 15, 4, 24, 7];
const newPath = async () => join(await temporaryFolder(), "below/embeddings.txt");

/** The cached embedder over a new network, and how many images the network was asked for. */
async function opened(path: string, options?: Parameters<typeof cachedEmbedder>[2]) {
  const network = counting();
  const embed = network.embed.bind(network);
  const cached = await cachedEmbedder({ ...network, embed }, path, options);
  return { cached, asked: () => network.asked };
}

describe("embeddings in a file", () => {
  it("are taken from it, but for an image that has changed", async () => {
    const path = await newPath();
    const first = await opened(path);
    expect([...(await first.cached.embed(images, 3))]).toEqual(EXPECTED);
    const known: number[] = [];
    const again = await opened(path, { onKnown: (count) => known.push(count) });
    const changed = Float32Array.from(images, (value, i) => (i === 4 ? 50 : value));
    expect([...(await again.cached.embed(changed, 3))]).toEqual([6, 1, 60, 4, 24, 7]);
    expect([again.asked(), known]).toEqual([1, [3]]);
  });

  it("lose half a line that a kill left, and the next line stands by itself", async () => {
    const path = await newPath();
    const first = await opened(path);
    await first.cached.embed(images.subarray(0, 6), 2);
    const whole = await readFile(path, "utf8");
    const [, second] = whole.split("\n");
    await writeFile(path, whole.slice(0, whole.length - 5));
    const resumed = await opened(path);
    expect([...(await resumed.cached.embed(images, 3))]).toEqual(EXPECTED);
    expect(resumed.asked()).toBe(2);
    expect((await readFile(path, "utf8")).split("\n")[1]).toBe(second);
    await appendFile(path, "half a li");
    const last = await opened(path);
    await last.cached.embed(images, 3);
    expect(last.asked()).toBe(0);
  });

  it("are an error where nothing can be written, or are reported once and left out", async () => {
    const path = join(await temporaryFolder(), "file");
    await writeFile(path, "");
    const below = join(path, "embeddings.txt");
    await expect(opened(below).then(({ cached }) => cached.embed(images, 3))).rejects.toThrow();
    const failures: unknown[] = [];
    const kept = await opened(below, { onFailure: (error) => failures.push(error) });
    for (const _ of [1, 2]) expect([...(await kept.cached.embed(images, 3))]).toEqual(EXPECTED);
    expect([kept.asked(), failures.length]).toEqual([3, 1]);
  });
});
