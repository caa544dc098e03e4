/** @file What names one drawn photograph: same values, same pixels, on any machine. */

/** The coordinates of a drawn photograph. */
export interface SyntheticPhoto {
  /** Seed of the whole drawn population. */
  readonly seed: number;
  /** Which person, from 0. */
  readonly identity: number;
  /** Which photograph of that person, from 0. */
  readonly number: number;
  /** How much photographs of one person vary: 0 hardly, 1 as the default is meant, up to 2. */
  readonly difficulty: number;
}

/** Raise when a change of the drawing changes its pixels, so that cached ones are not taken for new ones. */
export const DRAWING_VERSION = 2;
