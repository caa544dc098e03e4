/** @file Datasets on disk: lists a folder of folders of images and recognises its layout. */
import { readdir, stat } from "node:fs/promises";
import { extname, join, parse } from "node:path";
import { FaceError, messageOf, systemCode } from "../base/errors.ts";
import { Limiter } from "../base/limiter.ts";
import { IMAGE_EXTENSIONS } from "../image/decode.ts";

/** A person's folder and the names of its image files. */
export interface Folder {
  readonly name: string;
  readonly files: readonly string[];
}

/** Whether a file's name ends like an image's; hidden files never count. */
export function isImageFile(name: string): boolean {
  return !name.startsWith(".") && IMAGE_EXTENSIONS.has(extname(name).slice(1).toLowerCase());
}

interface Entries {
  readonly folders: string[];
  readonly files: string[];
}

/** Concurrent reads of folders: enough to hide the latency of a disk or network. */
const MAX_READS = 16;

const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Names of the folders and files in a folder in code point order; links are followed, hidden entries left out. */
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

/**
 * Names of the folders and files directly in a dataset's folder.
 * @throws FaceError `DATASET_NOT_FOUND` when the folder does not exist, `DATASET_INVALID` when it cannot be read.
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

/** The image files of each of the named folders, in the same order; folders without images are left out. */
export async function listImages(root: string, names: readonly string[]): Promise<Folder[]> {
  const limiter = new Limiter(MAX_READS);
  const list = async (name: string) => ({
    name,
    files: (await listFolder(join(root, name))).files.filter(isImageFile),
  });
  const folders = await Promise.all(names.map((name) => limiter.run(() => list(name))));
  return folders.filter(({ files }) => files.length > 0);
}

/** Layouts of folders on disk. */
export type FolderLayout = "digiface" | "lfw" | "folder";

/** The identities to use, both ends included. */
export interface IdentityRange {
  readonly from: number;
  readonly to: number;
}

interface Layout {
  /** A description for error messages. */
  readonly description: string;
  /** The folders of people within the range, in order. */
  readonly people: (folders: readonly string[], range: IdentityRange) => string[];
  /** The image files of one person, in order. */
  readonly images: (folder: Folder) => readonly string[];
}

const NUMBER = /^\d+$/;

/** Folders by their position in name order. */
const byPosition = (folders: readonly string[], { from, to }: IdentityRange) =>
  folders.filter((_, position) => position >= from && position <= to);

const isLfwImage = (folder: string, file: string) =>
  file.startsWith(`${folder}_`) && /^\d{4}$/.test(parse(file).name.slice(folder.length + 1));

const isNumbered = (file: string) => NUMBER.test(parse(file).name);

export const LAYOUTS: Record<FolderLayout, Layout> = {
  digiface: {
    description: "folders named by number, with 0.png, 1.png … in each",
    people: (folders, { from, to }) =>
      folders
        .filter((name) => NUMBER.test(name) && Number(name) >= from && Number(name) <= to)
        .sort((a, b) => Number(a) - Number(b)),
    images: ({ files }) =>
      files.filter(isNumbered).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
  },
  lfw: {
    description: "folders named after people, with Name/Name_0001.jpg, Name/Name_0002.jpg … in each",
    people: byPosition,
    images: ({ name, files }) => files.filter((file) => isLfwImage(name, file)),
  },
  folder: {
    description: "one folder per person, with images in each",
    people: byPosition,
    images: ({ files }) => files,
  },
};

/** The layout that all sampled folders fit; `folder` fits any. */
export function detectLayout(sample: readonly Folder[]): FolderLayout {
  const fits = (test: (folder: string, file: string) => boolean) =>
    sample.length > 0 && sample.every(({ name, files }) => files.every((file) => test(name, file)));
  if (fits((folder, file) => NUMBER.test(folder) && isNumbered(file))) return "digiface";
  return fits(isLfwImage) ? "lfw" : "folder";
}
