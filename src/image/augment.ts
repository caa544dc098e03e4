/** @file Random changes to a training image that leave the person the same. */

/** Which changes, how likely and how strong. Left out: not applied. */
export interface AugmentSettings {
  /** Probability of mirroring left and right, in [0, 1]. */
  readonly flip?: number;
  /** Largest shift in each direction, as a share of the side, in [0, 0.5]; the border is repeated. */
  readonly shift?: number;
}
