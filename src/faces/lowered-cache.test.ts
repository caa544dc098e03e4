/** @file Kept networks: taken where they are whole and this program's, made again otherwise. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { keptNetwork } from "./lowered-cache.ts";

const FILE = new Uint8Array([1, 2, 3]);
const NETWORK = new Uint8Array(1000).fill(7);

async function setUp() {
  const folder = await temporaryFolder();
  const lower = vi.fn(() => NETWORK);
  const ask = (kind = "net", file = FILE) => keptNetwork(kind, file, lower, folder);
  expect(await ask()).toEqual(NETWORK);
  const [name = ""] = await readdir(join(folder, "networks"));
  return { folder, lower, ask, path: join(folder, "networks", name) };
}

describe("kept networks", () => {
  it("are made once for each kind and file", async () => {
    const { lower, ask } = await setUp();
    expect(new Uint8Array(await ask())).toEqual(NETWORK);
    expect(lower).toHaveBeenCalledTimes(1);
    await ask("other");
    await ask("net", new Uint8Array([1, 2, 4]));
    expect(lower).toHaveBeenCalledTimes(3);
  });

  it.each([
    ["a changed byte", (content: Buffer) => content.fill(8, 700, 701)],
    ["a lost end", (content: Buffer) => content.subarray(0, 900)],
    ["a lost beginning", (content: Buffer) => content.subarray(1)],
    ["nothing in it", () => Buffer.alloc(0)],
    ["another version's head", (content: Buffer) => content.fill("faceid 9", 0, 8)],
  ])("with %s are made again", async (_, damage) => {
    const { lower, ask, path } = await setUp();
    const whole = await readFile(path);
    await writeFile(path, damage(Buffer.from(whole)));
    expect(await ask()).toEqual(NETWORK);
    expect(lower).toHaveBeenCalledTimes(2);
    expect(await readFile(path)).toEqual(whole);
  });

  it("are not needed: a folder that cannot be made is no error", async () => {
    const lower = vi.fn(() => NETWORK);
    const { path } = await setUp();
    expect(await keptNetwork("net", FILE, lower, path)).toEqual(NETWORK);
    expect(lower).toHaveBeenCalledTimes(1);
  });

  it("are not made of a file that is refused", async () => {
    const folder = await temporaryFolder();
    const refuse = () => {
      throw new RangeError("no network");
    };
    await expect(keptNetwork("net", FILE, refuse, folder)).rejects.toThrow("no network");
    expect(await readdir(folder)).toEqual([]);
  });
});
