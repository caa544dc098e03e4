/** @file Divides people, never images, into training, validation and test. */
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import type { Identity } from "./identity.ts";

export interface SplitOptions {
  /** Same seed and same people: same split. */
  readonly seed: number;
  /** Share of the people for choosing thresholds and stopping early, in [0, 1). Default 0.1. */
  readonly validation?: number;
  /** Share of the people that only the final figures see, in [0, 1). Default 0.1. */
  readonly test?: number;
}

/** Three sets of people with nobody in common, each in name order. */
export interface DatasetSplit {
  readonly train: readonly Identity[];
  readonly validation: readonly Identity[];
  readonly test: readonly Identity[];
}

/** People needed in a part so that it has a positive and a negative pair. */
const FEWEST_PAIRABLE = 2;

const isPairable = (identity: Identity) => identity.images.length >= 2;

function checkShares(validation: number, test: number): void {
  for (const [name, share] of [
    ["validation", validation],
    ["test", test],
    ["validation and test together", validation + test],
  ] as const) {
    if (!(share >= 0 && share < 1)) {
      throw new FaceError("CONFIG_INVALID", `the share of people for ${name} is ${share}`, {
        hint: "choose shares from 0 up to, but not including, 1; together they must leave some for training",
      });
    }
  }
}

/** How many of `count` people a part gets; at least `fewest` unless its share is nothing. */
function partSize(count: number, share: number, fewest: number): number {
  return share === 0 ? 0 : Math.max(fewest, Math.round(count * share));
}

/** A shuffled list of one stratum, cut in three. */
function cut(people: readonly Identity[], validation: number, test: number): DatasetSplit {
  return {
    validation: people.slice(0, validation),
    test: people.slice(validation, validation + test),
    train: people.slice(validation + test),
  };
}

const byName = (a: Identity, b: Identity) => (a.name < b.name ? -1 : 1);

/**
 * Splits people into three disjoint sets. People with a single image, who make only negative pairs, are dealt out apart
 * from the rest, so that every set gets its share of both. Independent of the order in which the people come.
 * @throws FaceError `CONFIG_INVALID` for impossible shares; `DATASET_INVALID` when a set would have fewer than two
 *   people with two images.
 */
export function splitIdentities(identities: readonly Identity[], options: SplitOptions): DatasetSplit {
  const { seed, validation = 0.1, test = 0.1 } = options;
  checkShares(validation, test);
  const random = new Random(seed).fork("split");
  const shuffled = random.shuffle([...identities].sort(byName));
  const pairable = shuffled.filter(isPairable);
  const single = shuffled.filter((identity) => !isPairable(identity));
  const sizes = [validation, test].map((share) => partSize(pairable.length, share, FEWEST_PAIRABLE));
  const left = pairable.length - sizes[0]! - sizes[1]!;
  if (left < FEWEST_PAIRABLE) {
    const needed = FEWEST_PAIRABLE + sizes[0]! + sizes[1]!;
    throw new FaceError(
      "DATASET_INVALID",
      `${pairable.length} people with two or more images are too few to split: ${needed} are needed`,
      { hint: "add people, add images to people who have only one, or set the share of a part to 0" },
    );
  }
  const a = cut(pairable, sizes[0]!, sizes[1]!);
  const b = cut(single, partSize(single.length, validation, 0), partSize(single.length, test, 0));
  return {
    train: [...a.train, ...b.train].sort(byName),
    validation: [...a.validation, ...b.validation].sort(byName),
    test: [...a.test, ...b.test].sort(byName),
  };
}

/** The people whose names are not in the set, for instance to keep a test protocol's people out of training. */
export function excludeIdentities(identities: readonly Identity[], names: ReadonlySet<string>): Identity[] {
  return identities.filter((identity) => !names.has(identity.name));
}
