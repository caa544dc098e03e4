/** @file Finds the images and people of a pairs file in a dataset. */

import { parse, relative, sep } from "node:path";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import { type Identity, type ImageRef, imageName } from "./identity.ts";
import type { Pair } from "./pairs.ts";
import type { NamedImage, NamedPair, PairsFile } from "./pairs-file.ts";

/** The folds with their images found in a dataset. */
export interface Protocol {
  readonly folds: readonly (readonly Pair[])[];
  /** A message for each pair that was left out because an image is not in the dataset. */
  readonly missing: readonly string[];
}

interface Found {
  readonly identity: Identity;
  readonly image: ImageRef;
}

const composed = (text: string) => text.normalize("NFC");
/** A name as other tools may spell it: other accents, case, spaces for underscores. */
const loose = (name: string) =>
  composed(name)
    .toLowerCase()
    .replaceAll(/[\s_]+/g, "_");
const bare = (file: string) => parse(file).name;

/** Whether a file's name has this number: after the person's name, at its end, or as its only number. */
function matchOf(person: string, image: ImageRef, number: number): number {
  const name = composed(bare(imageName(image)));
  const behind = name.toLowerCase().startsWith(person.toLowerCase()) ? name.slice(person.length) : undefined;
  const numbers = [...name.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  // Folder 1 may hold 10.png, which is not image 0.
  const after = (/\d$/.test(person) ? /^[\s_.-]+(\d+)(.*)$/ : /^[\s_.-]*(\d+)(.*)$/).exec(behind ?? "");
  if (after !== null && Number(after[1]) === number) return after[2] === "" ? 3 : 2;
  // The person's name settles it where it begins the file's name.
  if (after === null && numbers.length > 0 && /\d$/.test(name) && numbers.at(-1) === number) return 2;
  return after === null && numbers.length === 1 && numbers[0] === number ? 1 : 0;
}

/** Looks up the images that pairs files name. */
class Finder {
  readonly #exact: Map<string, Identity>;
  readonly #loose = new Map<string, Identity | undefined>();
  readonly #files = new Map<string, (Found & { readonly parts: readonly string[] })[]>();

  constructor(identities: readonly Identity[], root: string | undefined) {
    this.#exact = new Map(identities.map((identity) => [composed(identity.name), identity]));
    for (const identity of identities) {
      const name = loose(identity.name);
      // Two people with one loose name cannot be told apart by it.
      this.#loose.set(name, this.#loose.has(name) ? undefined : identity);
      for (const image of identity.images) {
        const path = imageName(image);
        const parts = composed(root === undefined ? path : relative(root, path)).split(sep);
        const stem = bare(parts.at(-1)!);
        const list = this.#files.get(stem);
        const entry = { identity, image, parts: [...parts.slice(0, -1), stem] };
        if (list === undefined) this.#files.set(stem, [entry]);
        else list.push(entry);
      }
    }
  }

  person(name: string): Identity | undefined {
    return this.#exact.get(composed(name)) ?? this.#loose.get(loose(name));
  }

  /** The image, or how many images it may be. */
  find({ name, number, path }: NamedImage): Found | number {
    const found = path === undefined ? this.#byNumber(name, number) : this.#byPath(path);
    return found.length === 1 ? found[0]! : found.length;
  }

  #byNumber(name: string, number: number): Found[] {
    const identity = this.person(name);
    if (identity === undefined) return [];
    const rated = identity.images.map((image) => ({
      image,
      rate: matchOf(composed(identity.name), image, number),
    }));
    const best = Math.max(...rated.map(({ rate }) => rate));
    return best === 0
      ? []
      : rated.filter(({ rate }) => rate === best).map(({ image }) => ({ identity, image }));
  }

  /** Images whose path ends with this one, or whose path below the dataset's folder ends this one; extensions may differ. */
  #byPath(path: string): Found[] {
    const parts = composed(path)
      .split("/")
      .filter((part) => part !== "" && part !== "." && part !== "..");
    const wanted = [...parts.slice(0, -1), bare(parts.at(-1) ?? "")];
    const candidates = (this.#files.get(wanted.at(-1)!) ?? []).filter(({ parts: present }) => {
      const length = Math.min(wanted.length, present.length);
      return wanted.slice(-length).join("/") === present.slice(-length).join("/");
    });
    const exact = candidates.filter(({ image }) => composed(imageName(image)).endsWith(parts.at(-1)!));
    return exact.length > 0 ? exact : candidates;
  }
}

const textOf = ({ name, number, path }: NamedImage) => path ?? `image ${number} of ${name}`;

/** Refuses a label that contradicts the folders of the images. */
function checkLabel(place: string, { left, right, same }: NamedPair, a: Identity, b: Identity): void {
  if ((a === b) === same) return;
  const people = a === b ? a.name : `${a.name} and ${b.name}`;
  throw new FaceError(
    "DATASET_INVALID",
    `${place} says that ${textOf(left)} and ${textOf(right)} show ${same ? "one person" : "two people"}, but in the dataset they are of ${people}`,
    { hint: "correct the label (1 means one person), or the folder that the photograph lies in" },
  );
}

/**
 * Finds the images of a pairs file in a dataset. A pair with a missing image is left out of its fold and reported.
 * @param root the dataset's folder, for files that name images by paths.
 * @throws FaceError `DATASET_INVALID` when a fold has no pair left, or a pair's label contradicts the dataset's people.
 */
export function findPairs(file: PairsFile, identities: readonly Identity[], root?: string): Protocol {
  const finder = new Finder(identities, root);
  const missing: string[] = [];
  const find = (named: NamedImage, place: string): Found | undefined => {
    const found = finder.find(named);
    if (typeof found === "object") return found;
    const count = found === 0 ? "no" : `${countText(found)} images that may be`;
    missing.push(`${place}: the dataset has ${count} ${textOf(named)}`);
    return undefined;
  };
  const resolved = file.folds.map((fold) =>
    fold.flatMap((pair): Pair[] => {
      const place = `${file.path}:${pair.line}`;
      const left = find(pair.left, place);
      const right = left && find(pair.right, place);
      if (left === undefined || right === undefined) return [];
      checkLabel(place, pair, left.identity, right.identity);
      return [{ left: left.image, right: right.image, same: pair.same }];
    }),
  );
  const empty = resolved.findIndex((fold) => fold.length === 0);
  if (empty >= 0) {
    throw new FaceError(
      "DATASET_INVALID",
      `none of the pairs of fold ${empty + 1} of ${file.path} is in the dataset; the first: ${missing[0]}`,
      {
        hint: "check that the dataset is the one the pairs file is for, and that ID_FROM, ID_TO and IMAGES_PER_ID leave nothing out",
      },
    );
  }
  return { folds: resolved, missing };
}

/**
 * The people of a pairs file, who must not be trained on.
 * @param root the dataset's folder, for files that name images by paths.
 * @returns their names in the dataset, and the names in the file that nobody in the dataset has.
 * @throws FaceError `DATASET_INVALID` when none of them is in the dataset.
 */
export function peopleIn(
  file: PairsFile,
  identities: readonly Identity[],
  root?: string,
): { readonly names: ReadonlySet<string>; readonly unknown: readonly string[] } {
  const finder = new Finder(identities, root);
  const names = new Set<string>();
  const unknown = new Set<string>();
  for (const named of file.folds.flat().flatMap(({ left, right }) => [left, right])) {
    const found = named.path === undefined ? undefined : finder.find(named);
    const identity = typeof found === "object" ? found.identity : finder.person(named.name);
    if (identity === undefined) unknown.add(named.name || named.path!);
    else names.add(identity.name);
  }
  if (names.size > 0) return { names, unknown: [...unknown] };
  throw new FaceError(
    "DATASET_INVALID",
    `none of the ${countText(unknown.size)} people of ${file.path} is in the dataset, such as ${[...unknown][0]}`,
    { hint: "check `excludePairs`; the names must be those of the people's folders" },
  );
}
