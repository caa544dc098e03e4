/** @file Lists folders of folders of images: one folder is one person. */
import { readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { FaceError, messageOf, systemCode } from "../base/errors.ts";
import { IMAGE_EXTENSIONS } from "../image/format.ts";

/** A person's folder and the names of the image files in it. */
export interface Folder {
  readonly name: string;
  readonly files: readonly string[];
}

/** Folders read at the same time: enough to hide a disk's or network's latency. */
const READS_AT_ONCE = 16;

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Whether a file's name ends like an image's; hidden files never count. */
export function isImageFile(name: string): boolean {
  return !name.startsWith(".") && IMAGE_EXTENSIONS.has(extname(name).slice(1).toLowerCase());
}

interface Entries {
  readonly folders: string[];
  readonly files: string[];
}

/** Names of the folders and files in a folder, links followed, hidden ones left out, in code point order. */
async function entriesOf(path: string): Promise<Entries> {
  const folders: string[] = [];
  const files: string[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.name.startsWith(".")) continue;
    const kind = entry.isSymbolicLink() ? await stat(join(path, entry.name)).catch(() => undefined) : entry;
    if (kind?.isDirectory()) folders.push(entry.name);
    else if (kind?.isFile()) files.push(entry.name);
  }
  return { folders: folders.sort(byCode), files: files.sort(byCode) };
}

/** Runs a task for every item, a few at a time, and keeps the order. */
async function inOrder<T, R>(items: readonly T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await task(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane));
  return results;
}

/**
 * Names of the folders and files directly in a dataset's folder.
 * @throws FaceError `DATASET_NOT_FOUND` when there is no such folder, `DATASET_INVALID` when it cannot be read.
 */
export async function listFolder(path: string): Promise<Entries> {
  try {
    return await entriesOf(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") {
      throw new FaceError("DATASET_NOT_FOUND", `there is no folder ${path}`, {
        hint: "check --dataset-path (DATASET_PATH); it names the folder that holds one folder per person",
        cause: error,
      });
    }
    const reason = code === "ENOTDIR" ? "it is a file, not a folder" : messageOf(error);
    throw new FaceError("DATASET_INVALID", `cannot read the dataset ${path}: ${reason}`, {
      hint: "give the folder that holds one folder per person",
      cause: error,
    });
  }
}

/** The image files of each of the named folders; folders without any are left out. */
export async function listImages(root: string, names: readonly string[]): Promise<Folder[]> {
  const folders = await inOrder(names, async (name) => {
    const { files } = await listFolder(join(root, name));
    return { name, files: files.filter(isImageFile) };
  });
  return folders.filter((folder) => folder.files.length > 0);
}
