/** @file Scores of pairs of real files, by a verifier that compares colours. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import { openDataset } from "../data/dataset.ts";
import type { ImageRef } from "../data/identity.ts";
import { Loader } from "../data/loader.ts";
import type { Pair } from "../data/pairs.ts";
import type { AnyVerifier, PairVerifier, Verifier } from "../model/verifier.ts";
import { lossAndAccuracy, scoreLists, scorePairs } from "./score-pairs.ts";

const SIDE = 8;
const IMAGES = 40;
const LEVELS = 255;
const BROKEN = 7;

/** Embeds an image as its first pixel's red; photo n of the folder has red n. */
class RedVerifier implements Verifier {
  readonly image = { height: SIDE, width: SIDE };
  readonly embeddingSize = 1;
  readonly concurrency = 2;
  embedded = 0;

  async embed(images: Float32Array, count: number): Promise<Float32Array> {
    this.embedded += count;
    return Float32Array.from({ length: count }, (_, i) => images[(i * images.length) / count]! * LEVELS);
  }

  async compare(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array> {
    return Float32Array.from(
      { length: count },
      (_, i) => 1 / (1 + Math.abs(anchors[i]! - verifications[i]!)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Compares two images at once by the same rule. */
class RedPairVerifier implements PairVerifier {
  readonly image = { height: SIDE, width: SIDE };
  readonly concurrency = 2;

  async score(anchors: Float32Array, verifications: Float32Array, count: number): Promise<Float32Array> {
    const red = (images: Float32Array, i: number) => images[(i * images.length) / count]! * LEVELS;
    return Float32Array.from(
      { length: count },
      (_, i) => 1 / (1 + Math.abs(red(anchors, i) - red(verifications, i))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

let images: readonly ImageRef[];
let loader: Loader;

beforeAll(async () => {
  const folder = await temporaryFolder();
  const files = Array.from({ length: IMAGES }, (_, n) => `person/${String(n).padStart(2, "0")}.png`);
  await writePhotos(folder, files, SIDE);
  await writeFile(join(folder, files[BROKEN]!), "not an image");
  const { identities } = await openDataset({ path: folder, dataset: "folder" });
  images = identities[0]!.images;
  loader = new Loader({ settings: { height: SIDE, width: SIDE, channels: 3 }, cacheFolder: false });
});

afterAll(() => loader.close());

const pair = (left: number, right: number): Pair => ({
  left: images[left]!,
  right: images[right]!,
  same: left === right,
});

describe("scorePairs", () => {
  it("scores each pair in its place and embeds each image once", async () => {
    const verifier = new RedVerifier();
    // More than one batch of comparisons.
    const pairs = Array.from({ length: 300 }, (_, i) => pair(10 + (i % 30), 10 + ((i * 7) % 30)));
    const { scores, unreadable } = await scorePairs(verifier, loader, pairs);
    const expected = pairs.map((_, i) => 1 / (1 + Math.abs((i % 30) - ((i * 7) % 30))));
    expect(scores).toBeAllClose(expected);
    expect(unreadable).toEqual([]);
    expect(verifier.embedded).toBe(30);
  });

  it("leaves pairs of unreadable images without a score", async () => {
    const pairs = [pair(1, 2), pair(BROKEN, 3), pair(4, BROKEN), pair(5, 5)];
    const result = await scorePairs(new RedVerifier(), loader, pairs);
    expect(result.scores).toBeAllClose([0.5, Number.NaN, Number.NaN, 1]);
    expect(result.unreadable).toEqual([1, 2]);
    // One pair at just one half counts as different; one is sure.
    const { loss, accuracy } = lossAndAccuracy(pairs, result);
    expect(accuracy).toBe(1);
    expect(loss).toBeCloseTo(-(Math.log(0.5) + Math.log(1 - 1e-7)) / 2, 6);
  });

  it("scores alike by a model that takes two images at once", async () => {
    const pairs = Array.from({ length: 75 }, (_, i) => pair(i % IMAGES, (i * 7) % IMAGES));
    const expected = await scorePairs(new RedVerifier(), loader, pairs);
    const actual = await scorePairs(new RedPairVerifier(), loader, pairs);
    expect(actual.unreadable).toEqual(expected.unreadable);
    expect(actual.unreadable.length).toBeGreaterThan(2);
    expect(actual.scores).toBeAllClose(expected.scores);
  });

  it("says when a model has diverged", async () => {
    const verifier = new RedVerifier();
    verifier.embed = async (_, count) => new Float32Array(count).fill(Number.NaN);
    await expect(scorePairs(verifier, loader, [pair(1, 2)])).rejects.toMatchObject({ code: "MODEL_INVALID" });
    const other = new RedPairVerifier();
    other.score = async (_a, _b, count) => new Float32Array(count).fill(Number.POSITIVE_INFINITY);
    await expect(scorePairs(other, loader, [pair(1, 2)])).rejects.toMatchObject({ code: "MODEL_INVALID" });
  });

  it("passes on what goes wrong in the engine", async () => {
    const verifier = new RedVerifier();
    verifier.embed = () => Promise.reject(new Error("the engine failed"));
    const pairs = images.slice(8).map((_, i) => pair(i + 8, i + 8));
    await expect(scorePairs(verifier, loader, pairs)).rejects.toThrow("the engine failed");
  });
});

describe("scoreLists", () => {
  const progressOf = async (verifier: AnyVerifier, lists: readonly (readonly Pair[])[]) => {
    const progress: number[][] = [];
    await scoreLists(verifier, loader, lists, ({ images, totalImages }) =>
      progress.push([images, totalImages]),
    );
    return progress;
  };

  it("counts each image once per list, and ends where images are unreadable", async () => {
    const lists = [[pair(1, 2), pair(2, 3)], [pair(1, BROKEN)], []];
    expect(await progressOf(new RedVerifier(), lists)).toEqual([
      [3, 5],
      [4, 5],
      [5, 5],
    ]);
  });

  it("counts both images of every pair where two are taken at once", async () => {
    expect(await progressOf(new RedPairVerifier(), [[pair(1, 2), pair(BROKEN, 3)]])).toEqual([
      [2, 4],
      [4, 4],
    ]);
  });
});
