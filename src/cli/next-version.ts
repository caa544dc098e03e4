/** @file Offers the next version where the one that a command would write is there already. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { versionsIn } from "../artifact/files.ts";
import { FaceError } from "../base/errors.ts";
import { withoutFlag } from "../jobs/command-line.ts";
import { commandText } from "./process.ts";

/** A flag that says which version is written: by its number, or by its folder. */
type VersionFlag = "--model-version" | "--saved-model" | "--output";

/**
 * Refuses a version's folder that holds something, before any work.
 * @throws FaceError `FILE_INVALID`, with the same command for the next version, to be pasted.
 */
export async function requireFreeVersion(
  folder: string,
  flag: VersionFlag,
  words: readonly string[] = process.argv.slice(2),
): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  if (names.length === 0) return;
  const number = basename(folder);
  if (!/^\d+$/.test(number)) {
    throw new FaceError("FILE_INVALID", `${folder} exists already`, {
      hint: `choose another ${flag}, or remove that folder first`,
    });
  }
  const versions = versionsIn(await readdir(dirname(folder))).map(Number);
  const next = String(Math.max(Number(number), ...versions) + 1);
  const value = flag === "--model-version" ? next : join(dirname(folder), next);
  throw new FaceError("FILE_INVALID", `${folder} exists already`, {
    hint: `write the next version: ${commandText(...withoutFlag(words, flag), flag, value)}`,
  });
}
