/** @file Datasets of people and images: opens folders of any layout, drawn faces, and users' modules. */

import { existsSync } from "node:fs";
import { basename, join, resolve, sep } from "node:path";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import type { SyntheticOptions } from "./drawn.ts";
import { DEFAULT_SYNTHETIC_IDENTITIES, DEFAULT_SYNTHETIC_IMAGES, drawnIdentities } from "./drawn.ts";
import { type Folder, listFolder, listPeople } from "./folder.ts";
import type { Dataset, Identity } from "./identity.ts";
import type { FolderLayout, IdentityRange } from "./layouts.ts";
import {
  detectLayout,
  emptyError,
  fitted,
  LAYOUTS,
  layoutRemark,
  nestedRemark,
  peopleAmong,
} from "./layouts.ts";
import { isLoss, REASONS, Tally } from "./left-out.ts";
import { isModulePath, type ListedIdentity, openModule } from "./module.ts";

export type { Dataset } from "./identity.ts";

/** What to open; the environment calls them `DATASET_PATH`, `ID_FROM`, `ID_TO` and `IMAGES_PER_ID`. */
export interface DatasetOptions {
  /** A layout, or the path of a user's module (`./my-dataset.js`). Detected from `path` by default. */
  readonly dataset?: string | undefined;
  /** The folder that holds the identities' folders. Not needed for `synthetic`. */
  readonly path?: string | undefined;
  /** First identity, inclusive: the folder's or face's number for `digiface` and `synthetic`, else the position in
   * name order, from 0. Default 0. */
  readonly idFrom?: number | undefined;
  /** Last identity, inclusive. Default: the last one. */
  readonly idTo?: number | undefined;
  /** Largest number of images of each identity, the first in file order. Default: all. */
  readonly imagesPerId?: number | undefined;
  /** For drawn faces only. */
  readonly synthetic?: SyntheticOptions | undefined;
}

const whole = z.number();
const datasetOptions = z.strictObject({
  dataset: z.string().optional(),
  path: z.string().optional(),
  idFrom: whole.optional(),
  idTo: whole.optional(),
  imagesPerId: whole.optional(),
  synthetic: z
    .strictObject({
      identities: given.count.optional(),
      seed: whole.int().optional(),
      difficulty: z.number().min(0).max(2).optional(),
    })
    .optional(),
} satisfies Record<keyof DatasetOptions, z.ZodType>);

/** What the error without a folder hints at. */
const SET_PATH = "set `path`, or use `dataset` synthetic, which needs none";

const isFolderLayout = (name: string): name is FolderLayout => Object.hasOwn(LAYOUTS, name);

function checkWhole(name: string, value: number | undefined, smallest: number): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= smallest)) {
    throw new FaceError(
      "CONFIG_INVALID",
      `\`${name}\`: got ${value}, expected a whole number from ${smallest}`,
    );
  }
}

function rangeOf({ idFrom, idTo, imagesPerId }: DatasetOptions): IdentityRange {
  checkWhole("idFrom", idFrom, 0);
  checkWhole("idTo", idTo, 0);
  checkWhole("imagesPerId", imagesPerId, 1);
  const range = { from: idFrom ?? 0, to: idTo ?? Number.POSITIVE_INFINITY };
  if (range.from > range.to) {
    throw new FaceError("CONFIG_INVALID", `\`idFrom\` ${idFrom} is greater than \`idTo\` ${idTo}`, {
      hint: "both ends are included: `idFrom` 0 and `idTo` 999 take a thousand people",
    });
  }
  return range;
}

/** Identities with numbered images; people without images are left out. */
function identitiesOf(people: readonly ListedIdentity[], imagesPerId = Number.POSITIVE_INFINITY): Identity[] {
  let index = 0;
  return people
    .filter(({ paths }) => paths.length > 0)
    .map(({ name, paths }) => ({
      name,
      images: paths.slice(0, imagesPerId).map((path) => ({ kind: "file", path, index: index++ })),
    }));
}

/** Names that are the same person's in another spelling of accents are joined, under the composed spelling. */
function joined(people: readonly ListedIdentity[]): ListedIdentity[] {
  const byName = new Map<string, ListedIdentity>();
  for (const { name: spelled, paths } of people) {
    const name = spelled.normalize("NFC");
    const known = byName.get(name);
    byName.set(name, { name, paths: known === undefined ? paths : [...known.paths, ...paths] });
  }
  return [...byName.values()];
}

/** Says which people's names differ only in case, spaces and the like, since they may be one person. */
function similarNames(people: readonly ListedIdentity[]): string | undefined {
  const seen = new Map<string, string>();
  const pairs: string[] = [];
  for (const { name } of people) {
    const key = name
      .toLowerCase()
      .replaceAll(/[\s_.-]+/g, " ")
      .trim();
    const other = seen.get(key);
    if (other === undefined) seen.set(key, name);
    else pairs.push(`${other} and ${name}`);
  }
  const more = pairs.length > 1 ? ` (and ${pairs.length - 1} more)` : "";
  return pairs.length === 0 ? undefined : `${pairs[0]} count as two people${more}; join them if they are one`;
}

/** The folders of the people in range, by the given layout or the one that all folders fit. */
async function rangedPeople(
  root: string,
  given: FolderLayout | undefined,
  names: readonly string[],
  range: IdentityRange,
  leftOut: Tally,
) {
  const wanted = given === undefined ? names : LAYOUTS[given].people(names, range);
  const listed = await listPeople(root, wanted);
  const { people, leftOut: containers } = peopleAmong(root, listed);
  leftOut.addAll(containers.list());
  const kind = given ?? detectLayout(people);
  const remarks = given !== undefined ? [] : [layoutRemark(root, people), nestedRemark(root, people)];
  if (given !== undefined) return { kind, people, remarks };
  const byName = new Map(people.map((folder) => [folder.name, folder]));
  const chosen = LAYOUTS[kind].people(names, range).flatMap((name) => byName.get(name) ?? []);
  return { kind, people: chosen, remarks };
}

/** The people of folders; what they hold besides is counted. */
function peopleOf(root: string, kind: FolderLayout, folders: readonly Folder[], leftOut: Tally) {
  return folders.map((folder): ListedIdentity => {
    const [files, misfits] = fitted(root, folder, kind);
    leftOut.addAll([...folder.leftOut, ...misfits]);
    const isLost = folder.leftOut.some(({ reason }) => reason !== REASONS.hidden);
    if (folder.files.length === 0 && !isLost) leftOut.add(REASONS.empty, join(root, folder.name));
    // The names of files are clean already; normalising a million of them takes seconds.
    const above = join(root, folder.name) + sep;
    const pathOf = (file: string) => above + (sep === "/" ? file : file.replaceAll("/", sep));
    return { name: folder.name, paths: files.map(pathOf) };
  });
}

async function openFolder(
  given: FolderLayout | undefined,
  root: string,
  options: DatasetOptions,
): Promise<Dataset> {
  const range = rangeOf(options);
  const entries = await listFolder(root);
  const leftOut = new Tally();
  leftOut.addAll(entries.leftOut);
  const { kind, people, remarks } = await rangedPeople(root, given, entries.folders, range, leftOut);
  const listed = joined(peopleOf(root, kind, people, leftOut));
  const identities = identitiesOf(listed, options.imagesPerId);
  if (identities.length === 0) {
    throw emptyError(root, kind, entries, range, leftOut.list().filter(isLoss));
  }
  if (entries.files.length > 0)
    leftOut.add(REASONS.loose, join(root, entries.files[0]!), entries.files.length);
  // Exported models contain the name, so it must not reveal the folder's place on this machine.
  const folder = basename(root);
  return {
    name: folder === kind ? kind : `${kind} ${folder}`,
    kind,
    path: root,
    identities,
    leftOut: leftOut.list(),
    remarks: [...remarks, similarNames(listed)].filter((each) => each !== undefined),
  };
}

function openSynthetic(options: DatasetOptions): Dataset {
  const { from, to } = rangeOf(options);
  const people = options.synthetic?.identities ?? DEFAULT_SYNTHETIC_IDENTITIES;
  checkWhole("the number of synthetic identities", people, 1);
  const last = Number.isFinite(to) ? to : from + people - 1;
  const images = options.imagesPerId ?? DEFAULT_SYNTHETIC_IMAGES;
  const identities = drawnIdentities(from, last, images, options.synthetic);
  return { name: `synthetic ${from} to ${last}`, kind: "synthetic", identities };
}

async function openListed(path: string, options: DatasetOptions): Promise<Dataset> {
  const { from, to } = rangeOf(options);
  const { name, people } = await openModule(path, options.path);
  const names = new Set<string>();
  for (const person of people) {
    if (names.has(person.name)) {
      throw new FaceError("DATASET_INVALID", `${path} lists two identities named ${person.name}`, {
        hint: "give every person one entry with all images",
      });
    }
    names.add(person.name);
  }
  const chosen = people.filter((_, position) => position >= from && position <= to);
  const identities = identitiesOf(chosen, options.imagesPerId);
  if (identities.length === 0) {
    throw new FaceError(
      "DATASET_INVALID",
      `${path} lists ${countText(people.length)} people, none with an image in the range`,
    );
  }
  return { name, kind: "module", path, identities };
}

/**
 * Lists a dataset's people and images; decodes nothing.
 * @throws FaceError `CONFIG_INVALID` for an unknown layout or an impossible range; `DATASET_NOT_FOUND` when the folder
 *   or module does not exist; `DATASET_INVALID` when it has no images of people.
 */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  checkOptions("openDataset", datasetOptions, options);
  const { dataset, path } = options;
  if (dataset === "synthetic") return openSynthetic(options);
  if (dataset !== undefined && isModulePath(dataset)) return openListed(dataset, options);
  if (dataset === undefined && path !== undefined && isModulePath(path)) return openListed(path, options);
  if (dataset !== undefined && !isFolderLayout(dataset)) {
    throw new FaceError("CONFIG_INVALID", `there is no dataset ${JSON.stringify(dataset)}`, {
      hint: `choose ${Object.keys(LAYOUTS).join(", ")}, synthetic, or the path of a module that ends in .js or .mjs`,
    });
  }
  if (path === undefined || path === "") {
    throw new FaceError("CONFIG_INVALID", "no dataset folder is given", {
      hint: SET_PATH,
    });
  }
  return openFolder(dataset, resolve(path), options);
}

/**
 * Opens the dataset whose path is a setting, which the error for a missing folder or path names.
 * @throws FaceError as `openDataset`.
 */
export async function openConfigured(options: DatasetOptions): Promise<Dataset> {
  try {
    return await openDataset(options);
  } catch (error) {
    const { dataset, path } = options;
    if (!(error instanceof FaceError) || isModulePath(dataset ?? path ?? "")) throw error;
    const { code, message } = error;
    if (code === "CONFIG_INVALID" && error.hint === SET_PATH) {
      const hint = "set `datasetPath` (DATASET_PATH), or use `dataset` synthetic, which needs none";
      throw new FaceError(code, message, { hint, cause: error });
    }
    if (code !== "DATASET_NOT_FOUND" || path === undefined) throw error;
    const hint = "check `datasetPath` (DATASET_PATH); it names the folder that holds one folder per person";
    throw new FaceError(code, message, { hint, cause: error });
  }
}

/** Says that a dataset is not there, before anything else is complained of, and before a model pack is downloaded for it. */
export async function requireDataset({
  dataset,
  path,
}: Pick<DatasetOptions, "dataset" | "path">): Promise<void> {
  if (path === undefined || existsSync(path)) return;
  await openConfigured({ dataset, path });
}
