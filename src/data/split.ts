/** @file Splits people into training, validation and test; all images of a person go to the same set. */

import { z } from "zod";
import { checkOptions } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { counted } from "../base/log.ts";
import { Random } from "../base/random.ts";
import type { Identity } from "./identity.ts";

export interface SplitOptions {
  /** The same seed and people give the same split. */
  readonly seed: number;
  /** Fraction of the people for choosing thresholds and early stopping, in [0, 1). Default 0.1. */
  readonly validation?: number;
  /** Fraction of the people for the final measurement only, in [0, 1). Default 0.1. */
  readonly test?: number;
  /** People with two images that must be left in neither; with 0 the fractions may sum to 1. Default 2. */
  readonly leastTrained?: number | undefined;
}

const splitOptions = z.strictObject({
  seed: z.number().int(),
  validation: z.number().optional(),
  test: z.number().optional(),
  leastTrained: z.number().int().nonnegative().optional(),
} satisfies Record<keyof SplitOptions, z.ZodType>);

/** Three disjoint sets of people, each in name order. */
export interface DatasetSplit {
  readonly train: readonly Identity[];
  readonly validation: readonly Identity[];
  readonly test: readonly Identity[];
}

/** People that a set needs for a positive and a negative pair. */
const MIN_PAIRABLE = 2;

const isPairable = (identity: Identity) => identity.images.length >= 2;

function checkFractions(validation: number, test: number, most: number): void {
  for (const [name, fraction] of [
    ["validation", validation],
    ["test", test],
    ["validation and test together", validation + test],
  ] as const) {
    if (!(fraction >= 0 && fraction <= most)) {
      throw new FaceError("CONFIG_INVALID", `the fraction of people for ${name} is ${fraction}`, {
        hint: "choose fractions of at least 0 whose sum is less than 1, so that some people are left for training",
      });
    }
  }
}

/** How many of `count` people a set gets: at least `min` unless its fraction is 0. */
function partSize(count: number, fraction: number, min: number): number {
  return fraction === 0 ? 0 : Math.max(min, Math.round(count * fraction));
}

/** Cuts a shuffled list of people in three. */
function cut(people: readonly Identity[], validation: number, test: number): DatasetSplit {
  return {
    validation: people.slice(0, validation),
    test: people.slice(validation, validation + test),
    train: people.slice(validation + test),
  };
}

const byName = (a: Identity, b: Identity) => (a.name < b.name ? -1 : 1);

/**
 * Splits people into three disjoint sets. People with a single image, who form only negative pairs, are split separately
 * from the others, so each set gets the same fraction of both. The order of the people does not matter.
 * @throws FaceError `CONFIG_INVALID` for impossible fractions; `DATASET_INVALID` when a set would have fewer than two
 *   people with two images.
 */
export function splitIdentities(identities: readonly Identity[], options: SplitOptions): DatasetSplit {
  checkOptions("splitIdentities", splitOptions, options);
  const { seed, validation = 0.1, test = 0.1, leastTrained = MIN_PAIRABLE } = options;
  checkFractions(validation, test, leastTrained === 0 ? 1 : 1 - Number.EPSILON);
  const random = new Random(seed).fork("split");
  const shuffled = random.shuffle([...identities].sort(byName));
  const pairable = shuffled.filter(isPairable);
  const single = shuffled.filter((identity) => !isPairable(identity));
  const sizes = [validation, test].map((fraction) => partSize(pairable.length, fraction, MIN_PAIRABLE));
  // Two halves of an odd number round up to one more than there are.
  if (leastTrained === 0 && pairable.length > 2 * MIN_PAIRABLE)
    sizes[0] = Math.min(sizes[0]!, pairable.length - sizes[1]!);
  const left = pairable.length - sizes[0]! - sizes[1]!;
  if (left < leastTrained) {
    const needed = leastTrained + sizes[0]! + sizes[1]!;
    throw new FaceError(
      "DATASET_INVALID",
      `${counted(pairable.length, "person", "people")} with two or more images ${pairable.length === 1 ? "is" : "are"} too few to split: ${needed} are needed`,
      {
        hint: "add people or images of people who have only one, or hold out nobody for validation (a fraction of 0; `validationFraction` of a training), which needs two people fewer; faceid train --recipe adapt needs two, and the pretrained network compares faces without training: faceid verify a.jpg b.jpg",
      },
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

/** The people whose names are not in the set, for instance without those of a test protocol. */
export function excludeIdentities(identities: readonly Identity[], names: ReadonlySet<string>): Identity[] {
  return identities.filter((identity) => !names.has(identity.name));
}
