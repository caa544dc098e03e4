/** @file Batches from real threads: what they hold, unreadable images, ahead of a busy user. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder, writePhotos } from "../../test/support/photos.ts";
import type { Log } from "../base/log.ts";
import { Random } from "../base/random.ts";
import type { ImageSettings } from "../image/settings.ts";
import { openDataset } from "./dataset.ts";
import type { Identity, ImageRef } from "./identity.ts";
import { Loader } from "./loader.ts";
import { type Pair, samplePairs } from "./pairs.ts";

const SETTINGS: ImageSettings = { height: 8, width: 8, channels: 3 };
const SIZE = 8 * 8 * 3;
const PEOPLE = 6;
const EACH = 4;

const warnings: string[] = [];
const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (message) => warnings.push(message),
  error: () => undefined,
};

let folder: string;
let identities: readonly Identity[];
let images: ImageRef[];
let loader: Loader;

/** Image n of the folder has red n: which image stands in a row of a batch. */
const shown = (values: Float32Array, row: number) => Math.round(values[row * SIZE]! * 255);

async function all<T>(batches: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const batch of batches) list.push(batch);
  return list;
}

beforeAll(async () => {
  folder = await temporaryFolder();
  const files = Array.from({ length: PEOPLE * EACH }, (_, n) => `p${Math.floor(n / EACH)}/${n % EACH}.png`);
  await writePhotos(folder, files, 8);
  ({ identities } = await openDataset({ path: folder, dataset: "folder" }));
  images = identities.flatMap((identity) => [...identity.images]);
  loader = new Loader({ settings: SETTINGS, workers: 2, cacheFolder: join(folder, "cache"), log });
});

afterAll(() => loader.close());

describe("Loader", () => {
  it("lays images over others by their weight, without changes of colours and details", async () => {
    const items = [0, 4].map((n) => ({
      image: images[n]!,
      label: 0,
      over: { image: images[n + 10]!, weight: 0.25 },
    }));
    const augment = { flip: 0.5, noise: 1, cutout: 1, light: { chance: 1, range: 0.5 } };
    const [batch] = await all(loader.labelledBatches(items, { batchSize: 2, seed: 3, augment }));
    expect([0, 1].map((row) => shown(batch!.images, row))).toEqual([3, 7]);
    expect(batch!.items).toEqual(items);
  });

  it("yields each image once, in order, as floats", async () => {
    const batches = await all(loader.imageBatches(images, { batchSize: 5 }));
    expect(batches.map(({ count }) => count)).toEqual([5, 5, 5, 5, 4]);
    expect(batches.flatMap(({ positions }) => [...positions])).toEqual(images.map((_, i) => i));
    for (const { images: values, count, positions } of batches) {
      expect(values).toHaveLength(count * SIZE);
      expect(Array.from(positions, (_, row) => shown(values, row))).toEqual([...positions]);
    }
    expect(batches[0]!.images[1]).toBe(Math.fround(100 / 255));
    const rest = await all(loader.imageBatches(images, { batchSize: 5, start: 3 }));
    expect(rest.flatMap(({ positions }) => [...positions])).toEqual([15, 16, 17, 18, 19, 20, 21, 22, 23]);
  });

  it("yields pairs with both images and the label", async () => {
    const pairs = samplePairs(identities, { count: 22, random: new Random(4) });
    const batches = await all(loader.pairBatches(pairs, { batchSize: 8, seed: 1 }));
    expect(batches.map(({ count }) => count)).toEqual([8, 8, 6]);
    batches.forEach((batch, b) => {
      expect(batch.left).toHaveLength(batch.count * SIZE);
      expect(batch.right).toHaveLength(batch.count * SIZE);
      batch.pairs.forEach((pair, row) => {
        expect(pair).toBe(pairs[b * 8 + row]);
        expect(shown(batch.left, row)).toBe(pair.left.index);
        expect(shown(batch.right, row)).toBe(pair.right.index);
        expect(batch.same[row]).toBe(pair.same ? 1 : 0);
      });
    });
    const full = await all(loader.pairBatches(pairs, { batchSize: 8, seed: 1, dropLast: true, start: 1 }));
    expect(full.map(({ pairs: [first] }) => first)).toEqual([pairs[8]]);
  });

  it("yields labelled images", async () => {
    const items = images.map((image, i) => ({ image, label: Math.floor(i / EACH) }));
    const [first, , third] = await all(loader.labelledBatches(items, { batchSize: 8, seed: 1 }));
    expect([...first!.labels]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect([third!.count, shown(third!.images, 7)]).toEqual([8, 23]);
  });

  it("augments by seed and place alone, not by threads or batch size", async () => {
    const drawn = await openDataset({ dataset: "synthetic", imagesPerId: 3, synthetic: { identities: 4 } });
    const pairs = samplePairs(drawn.identities, { count: 12, random: new Random(1) });
    const settings = { ...SETTINGS, height: 24, width: 24 };
    const augment = { flip: 0.5, shift: 0.2 };
    await using one = new Loader({ settings, workers: 1, cacheFolder: false, prefetch: 1 });
    await using many = new Loader({ settings, workers: 3, cacheFolder: join(folder, "cache"), prefetch: 8 });
    const options = { batchSize: 4, seed: 7, augment };
    const expected = await all(one.pairBatches(pairs, options));
    expect(await all(many.pairBatches(pairs, options))).toEqual(expected);
    expect(await all(many.pairBatches(pairs, options))).toEqual(expected);
    expect(await all(many.pairBatches(pairs, { ...options, start: 2 }))).toEqual(expected.slice(2));
    expect(await all(many.pairBatches(pairs, { ...options, seed: 8 }))).not.toEqual(expected);
  });

  it("loads ahead while its user is busy", async () => {
    const batches = loader.imageBatches(images, { batchSize: 4 });
    await batches.next();
    // The thread of this test is blocked, as by a native call, while the loader's threads go on.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
    for (let i = 0; i < 4; i++) {
      const settled = await Promise.race([
        batches.next().then(() => "loaded"),
        new Promise((resolve) => setTimeout(resolve, 50, "late")),
      ]);
      expect(settled).toBe("loaded");
    }
    await batches.return(undefined);
  });
});

describe("unreadable images", () => {
  const broken = (path: string): ImageRef => ({ kind: "file", path, index: 99 });
  let bad: ImageRef;

  beforeAll(async () => {
    await writeFile(join(folder, "bad.jpg"), "no picture");
    bad = broken(join(folder, "bad.jpg"));
  });

  it("are left out of a list, reported once, and counted", async () => {
    const missing = broken(join(folder, "gone.jpg"));
    const list = [images[3]!, bad, images[5]!, missing, bad, images[7]!];
    const [batch] = await all(loader.imageBatches(list, { batchSize: 6 }));
    expect([...batch!.positions]).toEqual([0, 2, 5]);
    expect([0, 1, 2].map((row) => shown(batch!.images, row))).toEqual([3, 5, 7]);
    expect(loader.unreadable).toEqual([join(folder, "bad.jpg"), join(folder, "gone.jpg")]);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain("bad.jpg");
    expect(warnings[1]).toMatch(/; it is left out, 2 unreadable images so far$/);
  });

  it("give their place in a training batch to the next readable row", async () => {
    const pair = (left: number, right: ImageRef | number): Pair => ({
      left: images[left]!,
      right: typeof right === "number" ? images[right]! : right,
      same: false,
    });
    const pairs = [pair(0, 1), pair(2, bad), pair(4, 5), pair(6, bad)];
    const [batch] = await all(loader.pairBatches(pairs, { batchSize: 4, seed: 1 }));
    expect(batch!.pairs).toEqual([pairs[0], pairs[2], pairs[2], pairs[0]]);
    expect([0, 1, 2, 3].map((row) => shown(batch!.left, row))).toEqual([0, 4, 4, 0]);
    expect([0, 1, 2, 3].map((row) => shown(batch!.right, row))).toEqual([1, 5, 5, 1]);
    await expect(all(loader.pairBatches([pairs[1]!], { batchSize: 4, seed: 1 }))).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
    });
  });

  it("are an error when strict", async () => {
    await using strict = new Loader({ settings: SETTINGS, strict: true, cacheFolder: false });
    await expect(all(strict.imageBatches([images[0]!, bad], { batchSize: 2 }))).rejects.toMatchObject({
      code: "IMAGE_UNREADABLE",
      message: expect.stringContaining("bad.jpg"),
    });
  });

  it("does without a cache that cannot be had, saying so once", async () => {
    warnings.length = 0;
    const blocked = join(folder, "bad.jpg", "cache");
    await using plain = new Loader({ settings: SETTINGS, workers: 2, cacheFolder: blocked, log });
    expect(await all(plain.imageBatches(images, { batchSize: 6 }))).toHaveLength(4);
    expect(warnings).toEqual([expect.stringContaining("decoded images are not kept")]);
  });

  it("fails clearly once it is closed", async () => {
    const closed = new Loader({ settings: SETTINGS, cacheFolder: false });
    await closed.close();
    await expect(all(closed.imageBatches(images, { batchSize: 6 }))).rejects.toMatchObject({
      code: "INTERNAL",
    });
  });
});
