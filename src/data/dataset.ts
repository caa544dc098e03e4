/** @file Datasets of people and images: opens folders of any layout, drawn faces, and users' modules. */

import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import {
  DEFAULT_SYNTHETIC_IDENTITIES,
  DEFAULT_SYNTHETIC_IMAGES,
  drawnIdentities,
  type SyntheticOptions,
} from "./drawn.ts";
import {
  detectLayout,
  type FolderLayout,
  type IdentityRange,
  LAYOUTS,
  listFolder,
  listImages,
} from "./folder.ts";
import type { Dataset, Identity } from "./identity.ts";
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
      seed: whole.optional(),
      difficulty: z.number().min(0).max(2).optional(),
    })
    .optional(),
} satisfies Record<keyof DatasetOptions, z.ZodType>);

/** Folders that are read to detect the layout. */
const SAMPLE = 8;

const isFolderLayout = (name: string): name is FolderLayout => Object.hasOwn(LAYOUTS, name);

function checkWhole(name: string, value: number | undefined, smallest: number): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= smallest)) {
    throw new FaceError("CONFIG_INVALID", `${name} is ${value}; it must be a whole number from ${smallest}`);
  }
}

function rangeOf({ idFrom, idTo, imagesPerId }: DatasetOptions): IdentityRange {
  checkWhole("ID_FROM", idFrom, 0);
  checkWhole("ID_TO", idTo, 0);
  checkWhole("IMAGES_PER_ID", imagesPerId, 1);
  const range = { from: idFrom ?? 0, to: idTo ?? Number.POSITIVE_INFINITY };
  if (range.from > range.to) {
    throw new FaceError("CONFIG_INVALID", `ID_FROM ${idFrom} is greater than ID_TO ${idTo}`, {
      hint: "both ends are included: ID_FROM=0 ID_TO=999 takes a thousand people",
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

/** The error when no images were found. */
function emptyError(
  root: string,
  kind: FolderLayout,
  folders: readonly string[],
  range: IdentityRange,
): FaceError {
  const nested = folders.length === 1 ? `; did you mean ${join(root, folders[0]!)}?` : "";
  const ranged = range.from > 0 || Number.isFinite(range.to);
  return new FaceError(
    "DATASET_INVALID",
    ranged
      ? `no images of people ${range.from} to ${range.to} among the ${folders.length} folders of ${root}`
      : `no images of people in the ${folders.length} folders of ${root}`,
    { hint: `the layout ${kind} is ${LAYOUTS[kind].description}${nested}` },
  );
}

async function openFolder(
  given: FolderLayout | undefined,
  root: string,
  options: DatasetOptions,
): Promise<Dataset> {
  const range = rangeOf(options);
  const { folders } = await listFolder(root);
  const kind = given ?? detectLayout(await listImages(root, folders.slice(0, SAMPLE)));
  const layout = LAYOUTS[kind];
  const people = await listImages(root, layout.people(folders, range));
  const listed = people.map((folder) => ({
    name: folder.name,
    paths: layout.images(folder).map((file) => join(root, folder.name, file)),
  }));
  const identities = identitiesOf(listed, options.imagesPerId);
  if (identities.length === 0) throw emptyError(root, kind, folders, range);
  // Exported models contain the name, so it must not reveal the folder's place on this machine.
  const folder = basename(root);
  return { name: folder === kind ? kind : `${kind} ${folder}`, kind, path: root, identities };
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
      `${path} lists ${people.length} people, none with an image in the range`,
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
      hint: "set --dataset-path (DATASET_PATH), or use --dataset synthetic, which needs none",
    });
  }
  return openFolder(dataset, resolve(path), options);
}
