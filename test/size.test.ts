/** @file The count of lines by room: what counts, and the difference to a commit. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sizesOf, sizeTable } from "../scripts/size.ts";

const root = mkdtempSync(join(tmpdir(), "faceid-size-"));
const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.org", ...args], { cwd: root });

function write(path: string, lines: number): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), "line\n\n".repeat(lines / 2));
}

describe("npm run size", () => {
  beforeAll(() => {
    git("init", "--quiet");
    write("src/index.ts", 4);
    write("src/nn/layers.ts", 10);
    write("src/nn/layers.test.ts", 100);
    write("src/proto/onnx/onnx_pb.ts", 100);
    write("test/flow.test.ts", 100);
    git("add", ".");
    git("commit", "--quiet", "--message", "first");
    write("src/nn/layers.ts", 6);
    write("src/image/deep/decode.ts", 2);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it("counts lines and files by room, without tests and generated code", () => {
    expect(Object.fromEntries(sizesOf("HEAD", root))).toEqual({
      src: { files: 1, lines: 4 },
      nn: { files: 1, lines: 10 },
    });
  });

  it("counts the working tree with files that are not committed, and prints the difference", () => {
    expect(sizeTable(sizesOf(undefined, root), sizesOf("HEAD", root)).split("\n")).toEqual([
      "room            files    lines  ± files  ± lines",
      "image               1        2       +1       +2",
      "nn                  1        6        0       -4",
      "src                 1        4        0        0",
      "total               3       12       +1       -2",
    ]);
  });
});
