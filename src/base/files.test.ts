/** @file Renames that another program blocks for a moment, and failed writes in words. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/support/photos.ts";
import { asFaceError, messageOf, SYSTEM_REASONS } from "./errors.ts";
import { nameWith, renameWhenFree, writeFileAtomic } from "./files.ts";

const systemError = (code: string, more: object = {}) =>
  Object.assign(new Error(`${code}: raw text of the system, rename 'a' -> 'b'`), { code, ...more });

describe("a rename", () => {
  it.each(["EPERM", "EBUSY", "EACCES"])("that answers %s at first is tried again", async (code) => {
    let left = 3;
    const rename = async () => {
      if (left-- > 0) throw systemError(code);
    };
    await renameWhenFree("a", "b", { rename });
    expect(left).toBe(-1);
  });

  it("fails at once for any other reason, and at last for one that stays", async () => {
    let calls = 0;
    const refusing = (code: string) => async () => {
      calls++;
      throw systemError(code);
    };
    await expect(renameWhenFree("a", "b", { rename: refusing("ENOENT") })).rejects.toThrow("ENOENT");
    expect(calls).toBe(1);
    await expect(renameWhenFree("a", "b", { rename: refusing("EBUSY"), attempts: 4 })).rejects.toThrow();
    expect(calls).toBe(5);
  });
});

describe("errors of the system", () => {
  it("come with what they are about, what is wrong, and what to do", () => {
    for (const code of Object.keys(SYSTEM_REASONS)) {
      const { message, hint } = asFaceError(systemError(code, { path: "/data/a.jpg", syscall: "open" }))!;
      // A code that is ours alone tells a user nothing.
      const shown = code === "EFTYPE" ? "" : `${code}, `;
      expect(message).toMatch(new RegExp(`^/data/a\\.jpg: ${shown}[a-z]`));
      expect(hint?.length).toBeGreaterThan(8);
    }
    const port = asFaceError(systemError("EADDRINUSE", { address: "::", port: 8501, syscall: "listen" }))!;
    expect([port.code, port.message]).toEqual([
      "PORT_IN_USE",
      "port 8501: EADDRINUSE, another program listens on it",
    ]);
    expect(asFaceError(systemError("ENOSPC"))).toMatchObject({ code: "DISK_FULL" });
    expect(asFaceError(new Error("a bug"))).toBeUndefined();
    expect(messageOf(new Error("a bug"))).toBe("a bug");
  });

  it.each([
    ["premature EOF", "the file is cut off"],
    ["illegal tag: field no 12 wire type 7", "its bytes are damaged"],
    ["The encoded data was not valid for encoding utf-8", "its bytes are damaged"],
    ["VipsJpeg: premature end of JPEG image", "the file is cut off"],
    ["Input buffer has corrupt header: VipsJpeg: premature end of JPEG image", "the file is cut off"],
    ["Input buffer has corrupt header: VipsJpeg: Bogus Huffman table definition", "its bytes are damaged"],
    ["VipsJpeg: Corrupt JPEG data: premature end of data segment", "its bytes are damaged"],
    [
      "VipsJpeg: Unsupported JPEG data precision 12",
      "it is a kind of JPEG that is not read, such as one of 12 bits a colour",
    ],
    ["VipsJpeg: Maximum supported image dimension is 65500 pixels", "it has too many pixels"],
    ["vipspng: libpng read error", "its bytes are damaged"],
    ["webp2vips: unable to read pixels", "its bytes are damaged"],
    ["gifload_buffer: Invalid frame data", "its bytes are damaged"],
    ["Input buffer contains unsupported image format", "its bytes are damaged"],
    ["Input image exceeds pixel limit", "it has too many pixels"],
    ["PGlite failed to initialize properly", "the database's files are damaged"],
    ["error:0909006C:PEM routines:get_name:no start line", "it is not in PEM form"],
    ["Unknown error", "the reason is not known"],
    ["there is no such person", "there is no such person"],
  ])("of libraries come in our words: %s", (theirs, ours) => {
    expect(messageOf(new Error(theirs))).toBe(ours);
  });

  it("name the file that could not be written", async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "taken"));
    writeFileSync(join(folder, "file"), "old");
    await expect(writeFileAtomic(join(folder, "taken"), "new")).rejects.toMatchObject({
      code: "FILE_INVALID",
      message: expect.stringMatching(/taken: EISDIR, it is a folder/),
    });
    await expect(writeFileAtomic(join(folder, "file", "below"), "new")).rejects.toMatchObject({
      message: expect.stringMatching(/below: ENOTDIR, /),
    });
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("old");
  });
});

describe("a long name", () => {
  it("is written whole up to the longest that a file system takes", async () => {
    const folder = await temporaryFolder();
    const names = [`${"x".repeat(251)}.png`, `${"я".repeat(120)}.png`];
    for (const name of names) await writeFileAtomic(join(folder, name), "x");
    expect(readdirSync(folder).toSorted()).toEqual(names);
  });

  it("keeps its beginning with an ending that it has no room for, and stays another than its neighbours", () => {
    expect(nameWith("x".repeat(251), ".png")).toBe(`${"x".repeat(251)}.png`);
    const cut = nameWith("x".repeat(252), ".png");
    expect(cut).toMatch(/^x{242}-[0-9a-f]{8}\.png$/);
    expect(nameWith("x".repeat(253), ".png")).not.toBe(cut);
    expect(nameWith("я".repeat(127), ".png")).toMatch(/^я{121}-[0-9a-f]{8}\.png$/);
  });
});

describe.skipIf(process.platform === "win32")("a pipe as the place of a file", () => {
  it("is refused where nobody reads it", async () => {
    const pipe = join(await temporaryFolder(), "pipe.png");
    execFileSync("mkfifo", [pipe]);
    await expect(writeFileAtomic(pipe, "new")).rejects.toMatchObject({
      code: "FILE_INVALID",
      message: `cannot write ${pipe}: it is a pipe that nobody reads`,
    });
  });

  it("gets everything where somebody does", async () => {
    const pipe = join(await temporaryFolder(), "pipe.txt");
    execFileSync("mkfifo", [pipe]);
    const reader = spawn("wc", ["-c", pipe]);
    const text = once(reader.stdout.setEncoding("utf8"), "data");
    // The reader opens the pipe when it has started.
    await vi.waitFor(() => writeFileAtomic(pipe, "x".repeat(300_000)), { timeout: 20_000 });
    expect((await text)[0]).toMatch(/^\s*300000\b/);
  });
});
