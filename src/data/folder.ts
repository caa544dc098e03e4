/** @file Datasets on disk: lists folders of images and recognises their layout. */
import { readdir, stat } from "node:fs/promises";
import { extname, join, parse } from "node:path";
import { FaceError, messageOf, systemCode } from "../base/errors.ts";
import { IMAGE_EXTENSIONS } from "../image/decode.ts";

/** A person's folder and the names of the image files in it. */
export interface Folder {
  readonly name: string;
  readonly files: readonly string[];
}

/** Folders read at the same time: enough to hide a disk's or network's latency. */
const READS_AT_ONCE = 16;

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Whether a file's name ends like an image's; hidden files never count. */
function isImageFile(name: string): boolean {
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

/** Layouts that are folders of folders. */
export type FolderLayout = "digiface" | "lfw" | "folder";

/** Identities asked for, both ends inclusive. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

interface Layout {
  /** What the layout looks like, for error messages. */
  readonly looks: string;
  /** The folders of people within the range, in order. */
  readonly people: (folders: readonly string[], range: Range) => string[];
  /** The image files of one person, in order. */
  readonly images: (folder: Folder) => readonly string[];
}

const NUMBER = /^\d+$/;

/** Folders by their position in name order. */
const byPosition = (folders: readonly string[], { from, to }: Range) =>
  folders.filter((_, position) => position >= from && position <= to);

const isLfwImage = (folder: string, file: string) =>
  file.startsWith(`${folder}_`) && /^\d{4}$/.test(parse(file).name.slice(folder.length + 1));

const isNumbered = (file: string) => NUMBER.test(parse(file).name);

export const LAYOUTS: Record<FolderLayout, Layout> = {
  digiface: {
    looks: "folders named by number, with 0.png, 1.png … in each",
    people: (folders, { from, to }) =>
      folders
        .filter((name) => NUMBER.test(name) && Number(name) >= from && Number(name) <= to)
        .sort((a, b) => Number(a) - Number(b)),
    images: ({ files }) =>
      files.filter(isNumbered).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
  },
  lfw: {
    looks: "folders named after people, with Name/Name_0001.jpg, Name/Name_0002.jpg … in each",
    people: byPosition,
    images: ({ name, files }) => files.filter((file) => isLfwImage(name, file)),
  },
  folder: {
    looks: "one folder per person, with images in each",
    people: byPosition,
    images: ({ files }) => files,
  },
};

/** The layout that every one of some sampled folders fits; `folder` fits any. */
export function detectLayout(sample: readonly Folder[]): FolderLayout {
  const fits = (test: (folder: string, file: string) => boolean) =>
    sample.length > 0 && sample.every(({ name, files }) => files.every((file) => test(name, file)));
  if (fits((folder, file) => NUMBER.test(folder) && isNumbered(file))) return "digiface";
  return fits(isLfwImage) ? "lfw" : "folder";
}
