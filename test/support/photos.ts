/** @file Small real image files in temporary folders, for tests that need a dataset on disk. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import { encodePng } from "../../src/image/decode.ts";

const made: string[] = [];

/** A new empty folder that is removed after the tests of the file. */
export async function temporaryFolder(): Promise<string> {
  if (made.length === 0) {
    afterAll(() => Promise.all(made.map((path) => rm(path, { recursive: true, force: true }))));
  }
  const path = await mkdtemp(join(tmpdir(), "faceid-test-"));
  made.push(path);
  return path;
}

/** Pixels of one colour, `[side, side, 3]`. */
export function plain(side: number, [r, g, b]: readonly [number, number, number]): Uint8Array {
  return Uint8Array.from({ length: side * side * 3 }, (_, i) => [r, g, b][i % 3]!);
}

/**
 * Writes PNG files of one colour each: the n-th file (from 0) has red n, so that a test can tell them apart.
 * @param files paths below the folder
 */
export async function writePhotos(folder: string, files: readonly string[], side = 16): Promise<void> {
  for (const [number, file] of files.entries()) {
    const path = join(folder, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await encodePng(plain(side, [number, 100, 200]), side, side));
  }
}
