/** @file The cache of decoded pixels: hits, misses, damage, change, limits. */
import { readdirSync, statSync } from "node:fs";
import { chmod, open, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import type { ImageSettings } from "../image/settings.ts";
import type { ImageRef } from "./identity.ts";
import { defaultCacheFolder, PixelCache } from "./pixel-cache.ts";

const SETTINGS: ImageSettings = { height: 4, width: 5, channels: 3 };
const SIZE = 60;

const drawn = (number: number): ImageRef => ({
  kind: "synthetic",
  photo: { seed: 1, identity: 2, number, difficulty: 1 },
  index: number,
});

const pixelsOf = (number: number) => Uint8Array.from({ length: SIZE }, (_, i) => (i * 7 + number) % 256);

/** A cache that counts how often it had to decode. */
async function counting(folder: string, megabytes = 1) {
  const cache = new PixelCache(folder, SETTINGS, megabytes);
  const counter = { decoded: 0 };
  const read = async (number: number, image: ImageRef = drawn(number)) => {
    const pixels = await cache.pixels(image, async () => {
      counter.decoded++;
      return pixelsOf(number);
    });
    expect(Buffer.from(pixels).equals(Buffer.from(pixelsOf(number)))).toBe(true);
  };
  return { cache, counter, read };
}

describe("PixelCache", () => {
  it("decodes once, for every user of the folder, now and later", async () => {
    const folder = await temporaryFolder();
    const first = await counting(folder);
    const second = await counting(folder);
    for (let round = 0; round < 3; round++) for (let n = 0; n < 50; n++) await first.read(n);
    for (let n = 0; n < 50; n++) await second.read(n);
    first.cache[Symbol.dispose]();
    const later = await counting(folder);
    for (let n = 0; n < 50; n++) await later.read(n);
    expect([first.counter.decoded, second.counter.decoded, later.counter.decoded]).toEqual([50, 0, 0]);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("notices a changed file", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "photo");
    const image: ImageRef = { kind: "file", path, index: 0 };
    const { counter, read } = await counting(folder);
    await writeFile(path, "one");
    await read(1, image);
    await read(1, image);
    await writeFile(path, "three");
    await read(2, image);
    await utimes(path, 1000, 2000);
    await read(3, image);
    expect(counter.decoded).toBe(3);
  });

  it("does not keep what cannot be looked at, and hands on the decoder's error", async () => {
    const { cache } = await counting(await temporaryFolder());
    const image: ImageRef = { kind: "file", path: "/no/such/photo.jpg", index: 0 };
    await expect(cache.pixels(image, () => Promise.reject(new Error("gone")))).rejects.toThrow("gone");
    await expect(cache.pixels(drawn(1), () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  });

  it("decodes again what was damaged, wherever the damage is", async () => {
    const folder = await temporaryFolder();
    const { counter, read } = await counting(folder);
    for (let n = 0; n < 20; n++) await read(n);
    const path = join(folder, readdirSync(folder)[0]!);
    const file = await open(path, "r+");
    const { size } = await file.stat();
    for (let at = 0; at < size; at += 50) await file.write(Buffer.of(255), 0, 1, at);
    await file.close();
    for (let n = 0; n < 20; n++) await read(n);
    expect(counter.decoded).toBeGreaterThan(30);
    const before = counter.decoded;
    for (let n = 0; n < 20; n++) await read(n);
    expect(counter.decoded).toBeLessThan(before + 5);
    await truncate(path, 100);
    for (let n = 0; n < 20; n++) await read(n);
  });

  it("stays within its limit and still serves most of what it holds", async () => {
    const folder = await temporaryFolder();
    const megabytes = 0.005;
    const { counter, read } = await counting(folder, megabytes);
    for (let n = 0; n < 400; n++) await read(n);
    expect(statSync(join(folder, readdirSync(folder)[0]!)).size).toBeLessThanOrEqual(megabytes * 2 ** 20);
    expect(counter.decoded).toBe(400);
    for (let n = 0; n < 400; n++) await read(n);
    expect(counter.decoded).toBeGreaterThan(700);
    expect(counter.decoded).toBeLessThan(790);
  });

  it.skipIf(process.getuid?.() === 0)("fails to open where it may not write (skipped for root)", async () => {
    const folder = await temporaryFolder();
    await chmod(folder, 0o500);
    expect(() => new PixelCache(folder, SETTINGS, 1)).toThrow(/EACCES/);
  });
});

describe("defaultCacheFolder", () => {
  it("follows FACEID_CACHE_DIR, then the system's custom", () => {
    expect(defaultCacheFolder({ FACEID_CACHE_DIR: "/fast/disk" })).toBe("/fast/disk");
    expect(defaultCacheFolder({ XDG_CACHE_HOME: "/x", LOCALAPPDATA: "/x" })).toMatch(/faceid/);
    expect(defaultCacheFolder({})).toMatch(/faceid/);
  });
});
