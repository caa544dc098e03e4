/** @file Scores of pairs beside the truth: what every measurement starts from. */
import { FaceError } from "../base/errors.ts";

/** Scores and labels of the same pairs in the same order. */
export interface ScoredPairs {
  /** Larger means more alike; any finite range. */
  readonly scores: Float64Array;
  /** 1 for one person, 0 for two. */
  readonly same: Uint8Array;
}

/**
 * Puts scores beside labels, leaving out pairs that could not be scored (NaN).
 * @throws FaceError `SHAPE_MISMATCH` when the lists differ in length.
 */
export function scoredPairs(scores: Float64Array, labels: readonly boolean[]): ScoredPairs {
  if (scores.length !== labels.length) {
    throw new FaceError("SHAPE_MISMATCH", `${scores.length} scores do not fit ${labels.length} pairs`);
  }
  const kept = labels.flatMap((_, i) => (Number.isNaN(scores[i]) ? [] : [i]));
  return {
    scores: Float64Array.from(kept, (i) => scores[i]!),
    same: Uint8Array.from(kept, (i) => (labels[i] ? 1 : 0)),
  };
}

/** How many pairs are of one person and of two. */
export function countPairs({ same }: ScoredPairs): { positives: number; negatives: number } {
  const positives = same.reduce((sum, label) => sum + label, 0);
  return { positives, negatives: same.length - positives };
}

/**
 * Makes sure that error rates can be told.
 * @throws FaceError `DATASET_INVALID` when one of the two kinds of pairs is missing.
 */
export function requireBothKinds(pairs: ScoredPairs): void {
  const { positives, negatives } = countPairs(pairs);
  if (positives > 0 && negatives > 0) return;
  throw new FaceError(
    "DATASET_INVALID",
    `measuring takes pairs of one person and pairs of two, got ${positives} and ${negatives}`,
    { hint: "use more people, with at least two images for some of them" },
  );
}

/** All pairs of several lists. */
export function joinPairs(parts: readonly ScoredPairs[]): ScoredPairs {
  return {
    scores: Float64Array.from(parts.flatMap(({ scores }) => [...scores])),
    same: Uint8Array.from(parts.flatMap(({ same }) => [...same])),
  };
}
