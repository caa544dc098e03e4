/** @file Kept networks: taken where they are whole and this program's, made again otherwise. */
import { execFile, execFileSync } from "node:child_process";
import { chownSync, lstatSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { keptNetwork } from "./lowered-cache.ts";

const execute = promisify(execFile);

function linkTo(path: string, content: Buffer): void {
  writeFileSync(`${path}-elsewhere`, content);
  symlinkSync(`${path}-elsewhere`, path);
}

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

  it.each<[string, (path: string, whole: Buffer) => void]>([
    ["a named pipe", (path) => execFileSync("mkfifo", [path])],
    ["a link to a device that never ends", (path) => symlinkSync("/dev/zero", path)],
    ["a link to a network elsewhere", (path, whole) => linkTo(path, whole)],
    ["a folder", (path) => mkdirSync(path)],
  ])("neither block nor mislead: %s in their place is left alone", async (_, put) => {
    if (process.platform === "win32") return;
    const { lower, ask, path } = await setUp();
    const whole = await readFile(path);
    rmSync(path);
    put(path, whole);
    expect(await ask()).toEqual(NETWORK);
    expect(lower).toHaveBeenCalledTimes(2);
    expect(lstatSync(path).isFile()).toBe(false);
  });

  it.skipIf(process.getuid?.() !== 0)("of another user are made again", async () => {
    const { lower, ask, path } = await setUp();
    chownSync(path, 12_345, 12_345);
    expect(await ask()).toEqual(NETWORK);
    expect(lower).toHaveBeenCalledTimes(2);
    expect(lstatSync(path).uid).toBe(0);
  });

  it("of other installations are left in place, of each kind and file the newest", async () => {
    const { lower, ask, path } = await setUp();
    const folder = dirname(path);
    const names = ["1", "2", "3", "4", "5"].map((other) =>
      path.replace(/[0-9a-f]{8}\.onnx$/, `${other}.onnx`),
    );
    for (const [age, name] of names.entries()) {
      writeFileSync(name, "of another faceid");
      utimesSync(name, 2000 - age, 2000 - age);
    }
    await ask("other");
    expect(await readdir(folder)).toHaveLength(7);
    rmSync(path);
    await ask();
    const left = (await readdir(folder)).map((name) => join(folder, name));
    expect(left.toSorted()).toEqual([path, ...names.slice(0, 3), expect.stringMatching(/other-/)].toSorted());
    await ask();
    expect(lower).toHaveBeenCalledTimes(3);
  });

  it("much larger than their file are made again", async () => {
    const { lower, ask, path } = await setUp();
    await truncate(path, 2 ** 30);
    expect(await ask()).toEqual(NETWORK);
    expect(lower).toHaveBeenCalledTimes(2);
  });

  it("are whole for each of several processes that make one at the same time", async () => {
    const folder = await temporaryFolder();
    const url = new URL("lowered-cache.ts", import.meta.url).href;
    const script = `
      const { keptNetwork } = await import(${JSON.stringify(url)});
      const network = new Uint8Array(5_000_000).fill(7);
      const kept = await keptNetwork("net", new Uint8Array(2_000_000), () => network, ${JSON.stringify(folder)});
      process.exitCode = kept.length === network.length && kept.every((value) => value === 7) ? 0 : 1;`;
    const run = () => execute(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script]);
    await Promise.all([run(), run(), run()]);
    const names = await readdir(join(folder, "networks"));
    expect(names).toEqual([expect.stringMatching(/^net-[0-9a-f]{16}-[0-9a-f]{8}\.onnx$/)]);
    await run();
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
