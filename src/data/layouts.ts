/** @file The layouts of a dataset on disk: which folders are people, which files are their images, in which order. */
import { parse } from "node:path";
import type { Folder } from "./folder.ts";

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
