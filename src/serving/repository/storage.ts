/** @file The version folders of a model on disk. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

const INT64_MAX = 2n ** 63n - 1n;

/** What a look at a model's folder found. */
export interface VersionFolders {
  /** Version → folder. Where two names mean one number, the first in alphabetical order is taken. */
  readonly folders: ReadonlyMap<bigint, string>;
  /** Names that were left out for that reason. */
  readonly duplicates: readonly string[];
}

/**
 * Lists the children whose names are numbers.
 * @throws the file system's error when the folder cannot be read.
 */
export async function scanVersions(basePath: string): Promise<VersionFolders> {
  const folders = new Map<bigint, string>();
  const duplicates: string[] = [];
  for (const name of (await readdir(basePath)).sort()) {
    if (!/^[0-9]+$/.test(name)) continue;
    const version = BigInt(name);
    if (version > INT64_MAX) continue;
    if (folders.has(version)) duplicates.push(name);
    else folders.set(version, join(basePath, name));
  }
  return { folders, duplicates };
}
