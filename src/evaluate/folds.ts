/** @file The k-fold protocol of LFW's View 2: the threshold of each fold is chosen on the others. */

import type { OperatingPoint } from "../artifact/calibration.ts";
import type { Interval } from "../artifact/wilson.ts";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import { curveFigures, type FaceCounts, type TarAtFar } from "./metrics.ts";
import { accuracyAt, bestThreshold } from "./roc.ts";
import { countPairs, joinPairs, type ScoredPairs } from "./scores.ts";
import { operatingPoints } from "./thresholds.ts";

/** The machine-readable result. */
export interface FoldReport extends Partial<FaceCounts> {
  readonly protocol: "lfw";
  readonly folds: number;
  readonly pairs: number;
  /** Of these, pairs of different people. */
  readonly negatives: number;
  readonly accuracy: {
    readonly mean: number;
    /** Sample standard deviation over the folds (divisor k − 1), divided by √k. */
    readonly standardError: number;
    readonly perFold: readonly number[];
  };
  /** Over all pairs together. */
  readonly auc: number;
  readonly eer: number;
  /** 95 % intervals of the two. */
  readonly intervals: { readonly auc: Interval; readonly eer: Interval };
  /** Wherever one false accept is expected; `supported` tells the rates to rely on. */
  readonly tarAtFar: readonly TarAtFar[];
  /** Thresholds for each rate that the number of pairs supports, chosen on the same pairs. */
  readonly operatingPoints: readonly OperatingPoint[];
  /** Mean of the folds' thresholds. */
  readonly threshold: number;
  /** The threshold of each fold, chosen on the others. */
  readonly thresholds: readonly number[];
  /** Pairs of the file without a score. */
  readonly missing: number;
  /** The people of the pairs, and those of them who took part in the model's training; absent where that is unknown. */
  readonly people?: { readonly count: number; readonly trained: number };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Checks, before anything is measured, that the pairs of a file can be.
 * @param file for messages.
 * @throws FaceError `DATASET_INVALID` that says what is there, what is wanted and what to do.
 */
export function checkFolds(folds: readonly (readonly { readonly same: boolean }[])[], file: string): void {
  const all = folds.flat();
  const positives = all.filter(({ same }) => same).length;
  const kinds = `${countText(positives)} of one person and ${countText(all.length - positives)} of two people`;
  const hint =
    "add pairs of both kinds; faceid dataset pairs FOLDER --output pairs.txt draws them from any folder, and without --pairs the people of the dataset are paired";
  if (folds.length < 2 || Math.min(positives, all.length - positives) < 2) {
    const present = folds.length < 2 ? `one fold, ${kinds}` : kinds;
    throw new FaceError(
      "DATASET_INVALID",
      `${file}: the k-fold protocol needs at least two folds, and two pairs of each kind: got ${present}`,
      { hint },
    );
  }
  const alike = folds.findIndex((_, k) => {
    const others = folds.filter((_, other) => other !== k).flat();
    return [true, false].some((kind) => !others.some(({ same }) => same === kind));
  });
  if (alike < 0) return;
  throw new FaceError(
    "DATASET_INVALID",
    `${file}: the pairs outside fold ${alike + 1} of ${folds.length} are of one kind only, and choose no threshold (${kinds} in all)`,
    { hint },
  );
}

/**
 * Runs the protocol on the scores of each fold.
 * @param missing pairs without a score, which their folds leave out.
 * @param seed of the resampling behind the intervals.
 * @throws FaceError `DATASET_INVALID` for fewer than two folds, an empty fold, or pairs of one kind only.
 */
export function kFold(folds: readonly ScoredPairs[], missing = 0, seed = 1): FoldReport {
  if (folds.length < 2) {
    throw new FaceError(
      "DATASET_INVALID",
      `the k-fold protocol needs at least two folds, got ${folds.length}`,
    );
  }
  const empty = folds.findIndex(({ scores }) => scores.length === 0);
  if (empty >= 0) {
    throw new FaceError("DATASET_INVALID", `fold ${empty + 1} of ${folds.length} has no pair with a score`, {
      hint: "check that the pairs file belongs to this dataset",
    });
  }
  const results = folds.map((fold, k) => {
    const threshold = bestThreshold(joinPairs(folds.filter((_, other) => other !== k)));
    return { threshold, accuracy: accuracyAt(fold, threshold) };
  });
  const perFold = results.map(({ accuracy }) => accuracy);
  const average = mean(perFold);
  const variance = perFold.reduce((sum, accuracy) => sum + (accuracy - average) ** 2, 0) / (folds.length - 1);
  const all = joinPairs(folds);
  const { auc, eer, tarAtFar } = curveFigures(all, seed, 1);
  const thresholds = results.map(({ threshold }) => threshold);
  return {
    protocol: "lfw",
    folds: folds.length,
    pairs: all.scores.length,
    negatives: countPairs(all).negatives,
    accuracy: { mean: average, standardError: Math.sqrt(variance / folds.length), perFold },
    auc: auc.value,
    eer: eer.value,
    intervals: { auc: auc.interval, eer: eer.interval },
    tarAtFar,
    operatingPoints: operatingPoints(all),
    threshold: mean(thresholds),
    thresholds,
    missing,
  };
}
