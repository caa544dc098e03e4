/** @file A dataset of drawn faces: nothing on disk, any size, the same on every machine. */
import type { Identity, SyntheticImage } from "../data/identity.ts";

export interface SyntheticOptions {
  /** How many people. Default 200. */
  readonly identities?: number;
  /** Seed of the population: another seed, other people. Default 0. */
  readonly seed?: number;
  /** How much photographs of one person vary: 0 hardly, up to 2. Default 1. */
  readonly difficulty?: number;
}

export const DEFAULT_SYNTHETIC_IDENTITIES = 200;
export const DEFAULT_SYNTHETIC_IMAGES = 10;

/** Digits of a drawn person's name: name order is number order up to a million people. */
const NAME_DIGITS = 6;

/**
 * Drawn people number `from` to `to`, both inclusive, with so many photographs each. Person 7 of a seed is the same
 * whatever the range.
 */
export function drawnIdentities(
  from: number,
  to: number,
  imagesPerIdentity: number,
  options: SyntheticOptions = {},
): Identity[] {
  const { seed = 0, difficulty = 1 } = options;
  return Array.from({ length: to - from + 1 }, (_, position) => {
    const identity = from + position;
    const images = Array.from(
      { length: imagesPerIdentity },
      (_, number): SyntheticImage => ({
        kind: "synthetic",
        photo: { seed, identity, number, difficulty },
        index: position * imagesPerIdentity + number,
      }),
    );
    return { name: String(identity).padStart(NAME_DIGITS, "0"), images };
  });
}
