/** @file Unpacks archives into a folder and never outside it. */

import { rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzippedTarFiles, isGzip, isZip, type PackedFile, zipFiles } from "../base/archives.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { makeFolder, renameWhenFree, writeError } from "../base/files.ts";
import { countText } from "../base/log.ts";

/** No image is larger: a file that claims more is a decompression bomb. */
const MAX_FILE_BYTES = 256 * 2 ** 20;

export interface ExtractOptions {
  /** Path of a file of the archive in the folder; undefined leaves it out. Default: its path in the archive. */
  readonly place?: (path: string) => string | undefined;
  /** Called after each file. */
  readonly onFile?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/** Returns the path, or throws if it could lead outside the folder on any system. */
function checkPath(archive: string, path: string): string {
  const climbs = path.split(/[/\\]/).includes("..");
  if (path === "" || climbs || /^[/\\]|^[A-Za-z]:|\0|\\/.test(path)) {
    throw new FaceError(
      "ARCHIVE_INVALID",
      `${archive} holds ${JSON.stringify(path)}, which would be written outside`,
      {
        hint: "this archive is not the dataset; delete it and download it again from a place you trust",
      },
    );
  }
  return path;
}

async function filesOf(path: string): Promise<AsyncGenerator<PackedFile>> {
  if (await isZip(path)) return zipFiles(path);
  if (await isGzip(path)) return gzippedTarFiles(path);
  throw new Error("neither a zip nor a gzipped tar archive");
}

/** Writes a file under a temporary name first, so that a file of the final name is complete. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    await makeFolder(dirname(path));
    await writeFile(temporary, bytes);
    await renameWhenFree(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeError(path, error);
  }
}

/** Whether an earlier attempt has written a file of that size. */
async function exists(path: string, size: number): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.size === size;
}

/**
 * Unpacks a zip or gzipped tar archive. Files of the right size that exist already are kept, so an interrupted call can
 * be repeated.
 * @returns the number of files of the archive that are in the folder now.
 * @throws FaceError `ARCHIVE_INVALID` when the archive is damaged, holds links, or names a path outside the folder; the
 *   files before that stay; `DISK_FULL`; `INTERRUPTED` on the signal.
 */
export async function extractArchive(
  archive: string,
  folder: string,
  options: ExtractOptions = {},
): Promise<number> {
  const { place = (path: string) => path, onFile, signal } = options;
  let done = 0;
  try {
    for await (const file of await filesOf(archive)) {
      if (signal?.aborted)
        throw new FaceError("INTERRUPTED", `stopped after ${countText(done)} files of ${archive}`);
      const target = place(checkPath(archive, file.path));
      if (target === undefined) continue;
      if (file.size > MAX_FILE_BYTES) throw new Error(`${file.path} claims ${file.size} bytes`);
      const path = join(folder, checkPath(archive, target));
      if (!(await exists(path, file.size))) await writeWhole(path, await file.read());
      done++;
      onFile?.(done);
    }
  } catch (error) {
    if (error instanceof FaceError) throw error;
    throw new FaceError("ARCHIVE_INVALID", `cannot unpack ${archive}: ${messageOf(error)}`, {
      hint: "delete the archive and download it again",
      cause: error,
    });
  }
  return done;
}
