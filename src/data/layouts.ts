/** @file Layouts of datasets on disk: which one a folder has, and whether it holds people at all. */

import { dirname, join, parse } from "node:path";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import type { Folder } from "./folder.ts";
import { type LeftOut, leftOutText, REASONS, Tally } from "./left-out.ts";

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
  /** Whether a folder's photograph belongs to the layout. */
  readonly fits: (folder: string, file: string) => boolean;
  /** Orders a person's photographs; left as they are when absent. */
  readonly order?: (a: string, b: string) => number;
}

const NUMBER = /^\d+$/;
/** A file directly in its folder whose name is a number, with or without an extension. */
const NUMBERED_FILE = /^\d+(\.[^./]*)?$/;

/** Folders by their position in name order. */
const byPosition = (folders: readonly string[], { from, to }: IdentityRange) =>
  folders.filter((_, position) => position >= from && position <= to);

const composed = (name: string) => name.normalize("NFC");

function isLfwImage(folder: string, file: string): boolean {
  const [person, name] = [composed(folder), composed(file)];
  return name.startsWith(`${person}_`) && /^\d{4}$/.test(parse(name).name.slice(person.length + 1));
}

export const LAYOUTS: Record<FolderLayout, Layout> = {
  digiface: {
    description: "folders named by number, with 0.png, 1.png … in each",
    people: (folders, { from, to }) =>
      folders
        .filter((name) => NUMBER.test(name) && Number(name) >= from && Number(name) <= to)
        .sort((a, b) => Number(a) - Number(b)),
    fits: (folder, file) => NUMBERED_FILE.test(file) && NUMBER.test(folder),
    order: (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10),
  },
  lfw: {
    description: "folders named after people, with Name/Name_0001.jpg, Name/Name_0002.jpg … in each",
    people: byPosition,
    fits: isLfwImage,
  },
  folder: { description: "one folder per person, with images in each", people: byPosition, fits: () => true },
};

const pictured = (folders: readonly Folder[]) => folders.filter(({ files }) => files.length > 0);

/** The layout that every photograph fits; `folder` fits any. */
export function detectLayout(folders: readonly Folder[]): FolderLayout {
  const people = pictured(folders);
  const fits = (layout: FolderLayout) =>
    people.every(({ name, files }) => files.every((file) => LAYOUTS[layout].fits(name, file)));
  if (people.length === 0) return "folder";
  return (["digiface", "lfw"] as const).find(fits) ?? "folder";
}

/** At most so many of ten folders break a layout that the rest was made for. */
const STRAY = 0.1;

/** Says which few folders kept a dataset from being read as DigiFace's or LFW's, because positions differ then. */
export function layoutRemark(root: string, folders: readonly Folder[]): string | undefined {
  const people = pictured(folders);
  for (const layout of ["digiface", "lfw"] as const) {
    const { fits } = LAYOUTS[layout];
    const strays = people.filter(({ name, files }) => !files.every((file) => fits(name, file)));
    if (strays.length === 0 || strays.length > people.length * STRAY) continue;
    const [{ name, files }] = strays as [Folder];
    const file = files.find((each) => !fits(name, each))!;
    return `read as --dataset folder, where people are counted by position: ${join(root, name, file)} does not fit ${layout}, as ${people.length - strays.length} of ${people.length} folders do; --dataset ${layout} would leave it out`;
  }
  return undefined;
}

/** The photographs of a person that a layout takes, in its order, and what it leaves out. */
export function fitted(root: string, { name, files }: Folder, kind: FolderLayout): [string[], LeftOut[]] {
  const { fits, order } = LAYOUTS[kind];
  const taken = files.filter((file) => fits(name, file));
  if (order !== undefined) taken.sort(order);
  if (taken.length === files.length) return [taken, []];
  const misfit = files.find((file) => !fits(name, file))!;
  const count = files.length - taken.length;
  return [taken, [{ reason: REASONS.layout(kind), count, example: join(root, name, misfit) }]];
}

/** Names of the parts of a dataset. */
const PART =
  /^(train(ing)?|valid(ation)?|val|test(ing)?|dev|eval(uation)?|hold[-_]?out|gallery|probe|query)([-_]?(set|data|images|split))?$/i;
/** Names of folders that group files rather than show one person. */
const WRAPPER =
  /^(images?|imgs?|photos?|photographs?|pictures?|pics?|faces?|people|persons?|ident(it)?(y|ies)|crops?|cropped|aligned|raw|originals?|data(set)?s?|labels?|annotations?|masks?)$/i;

/** Whether a folder holds folders of people, by its name. */
const isContainer = ({ name, files, direct }: Folder) =>
  files.length > 0 && direct === 0 && (PART.test(name) || WRAPPER.test(name));

/** Names for a sentence. */
const listed = (names: readonly string[]) =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

/**
 * The folders of people, without those whose names say that they hold people's folders.
 * @throws FaceError `DATASET_INVALID` when there are only such folders.
 */
export function peopleAmong(root: string, folders: readonly Folder[]): { people: Folder[]; leftOut: Tally } {
  const leftOut = new Tally();
  const full = pictured(folders);
  const areParts = full.every(({ name }) => PART.test(name));
  const isOnlyOne = full.length === 1 && full[0]!.direct === 0;
  const containers = full.filter((folder) => areParts || isOnlyOne || isContainer(folder));
  if (containers.length > 0 && containers.length === full.length) {
    const names = listed(containers.map(({ name }) => `${name}/`));
    const chosen = containers.find(({ name }) => /^train/i.test(name)) ?? containers[0]!;
    const held = areParts ? " (faceid itself holds people out for validation and test)" : "";
    throw new FaceError(
      "DATASET_INVALID",
      chosen.direct === 0
        ? `no images of people directly in ${root}: they lie deeper, in ${names}`
        : `no images of people in ${root}: ${names} are the parts of a dataset, not people`,
      {
        hint:
          chosen.direct === 0
            ? `did you mean ${join(root, chosen.name)}?${held}`
            : `sort the photographs into one folder per person, such as ${join(root, "ann", "1.jpg")}${held}`,
      },
    );
  }
  for (const { name, files } of containers) leftOut.add(REASONS.container, join(root, name), files.length);
  return { people: folders.filter((folder) => !containers.includes(folder)), leftOut };
}

/** A remark where every photograph lies deeper than in its person's folder, since the folders may be groups of people. */
export function nestedRemark(root: string, folders: readonly Folder[]): string | undefined {
  const people = pictured(folders);
  if (people.length === 0 || people.some(({ direct }) => direct > 0)) return undefined;
  const { name, files } = people[0]!;
  return `each folder directly in ${root} counts as one person, with all photographs below it, such as ${join(name, files[0]!)}; if the folders in ${name} are the people, give ${join(root, name)}`;
}

const foldersText = ({ length }: readonly string[]) =>
  length === 0 ? "" : length === 1 ? "the one folder of " : `the ${length} folders of `;

/** The error when no photographs of people were found. */
export function emptyError(
  root: string,
  kind: FolderLayout,
  { folders, files }: { readonly folders: readonly string[]; readonly files: readonly string[] },
  range: IdentityRange,
  leftOut: readonly LeftOut[],
): FaceError {
  const ranged = range.from > 0 || Number.isFinite(range.to);
  const found =
    files.length > 0
      ? `${root} holds ${countText(files.length)} photographs, such as ${files[0]}, but no images of people in folders of their own`
      : `no images of people in ${foldersText(folders)}${root}`;
  const last = Number.isFinite(range.to) ? String(range.to) : "Infinity";
  const message = ranged
    ? `no images of people ${range.from} to ${last} in ${foldersText(folders)}${root}`
    : found;
  const lost = leftOut.map(leftOutText);
  const nested = folders.length === 1 ? `; did you mean ${join(root, folders[0]!)}?` : "";
  return new FaceError(
    "DATASET_INVALID",
    lost.length === 0 ? message : `${message}; left out: ${lost.join("; ")}`,
    {
      hint:
        files.length > 0 && !ranged
          ? `move each person's photographs into a folder of their own, such as ${join(root, "ann", files[0]!)}; if all of them show one person, give the folder above: ${dirname(root)}`
          : `the layout ${kind} is ${LAYOUTS[kind].description}${nested}`,
    },
  );
}
