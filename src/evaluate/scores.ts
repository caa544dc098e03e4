/** @file Scores of pairs with their labels, the input of every measurement. */

import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";

/** Scores and labels of the same pairs in the same order. */
export interface ScoredPairs {
  /** Higher means more similar; any finite range. */
  readonly scores: Float64Array;
  /** 1 for the same person, 0 for different people. */
  readonly same: Uint8Array;
}

/**
 * Combines scores and labels, without pairs that could not be scored (NaN).
 * @throws FaceError `SHAPE_MISMATCH` when the lists differ in length.
 */
export function scoredPairs(scores: Float64Array, labels: readonly boolean[]): ScoredPairs {
  if (scores.length !== labels.length) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `got ${countText(scores.length)} scores for ${countText(labels.length)} pairs`,
    );
  }
  const kept = labels.flatMap((_, i) => (Number.isNaN(scores[i]) ? [] : [i]));
  return {
    scores: Float64Array.from(kept, (i) => scores[i]!),
    same: Uint8Array.from(kept, (i) => (labels[i] ? 1 : 0)),
  };
}

/** Number of pairs of the same person and of different people. */
export function countPairs({ same }: ScoredPairs): { positives: number; negatives: number } {
  const positives = same.reduce((sum, label) => sum + label, 0);
  return { positives, negatives: same.length - positives };
}

/** @throws FaceError `DATASET_INVALID` when one of the two kinds of pairs is missing. */
export function requireBothKinds(pairs: ScoredPairs): void {
  const { positives, negatives } = countPairs(pairs);
  if (positives > 0 && negatives > 0) return;
  throw new FaceError(
    "DATASET_INVALID",
    `measuring takes pairs of one person and pairs of two, got ${countText(positives)} and ${countText(negatives)}`,
    { hint: "use more people, with at least two images for some of them" },
  );
}

/** Concatenates several lists. */
export function joinPairs(parts: readonly ScoredPairs[]): ScoredPairs {
  return {
    scores: Float64Array.from(parts.flatMap(({ scores }) => [...scores])),
    same: Uint8Array.from(parts.flatMap(({ same }) => [...same])),
  };
}

/** A wrong decision. */
export interface Mistake {
  /** Position of the pair in its list. */
  readonly pair: number;
  readonly score: number;
  readonly same: boolean;
}

/** The wrong decisions furthest from the threshold, worst first, at most `most` of each kind. */
export function worstMistakes(
  { scores, same }: ScoredPairs,
  threshold: number,
  most: number,
): { readonly falseAccepts: readonly Mistake[]; readonly falseRejects: readonly Mistake[] } {
  const wrong = Array.from(scores, (score, pair) => ({ pair, score, same: same[pair] === 1 }))
    .filter((decision) => decision.score >= threshold !== decision.same)
    .sort((a, b) => Math.abs(b.score - threshold) - Math.abs(a.score - threshold));
  return {
    falseAccepts: wrong.filter((mistake) => !mistake.same).slice(0, most),
    falseRejects: wrong.filter((mistake) => mistake.same).slice(0, most),
  };
}
