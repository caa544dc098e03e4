/** @file Makes the calibration record: chooses thresholds, and measures the error rates at them. */

import {
  type CalibrationRecord,
  negativesNeeded,
  type OperatingPoint,
  type Rate,
} from "../artifact/calibration.ts";
import { countText } from "../base/log.ts";
import { clopperPearson } from "./intervals.ts";
import { bestThreshold, pointAtFar, rocCurve, thresholdAt } from "./roc.ts";
import { countPairs, type ScoredPairs } from "./scores.ts";

/** The false accept rates that reports list. */
export const FAR_TARGETS = [1e-1, 1e-2, 1e-3] as const;

/**
 * Whether the number of pairs of different people supports a rate.
 * @param accepts false accepts that must be expected at it.
 */
export const supportsFar = (negatives: number, far: number, accepts?: number): boolean =>
  negatives >= negativesNeeded(far, accepts);

/** Why a rate is not reported. */
export const unsupportedText = (far: number, negatives: number): string =>
  `n/a: needs at least ${countText(negativesNeeded(far))} negative pairs, has ${countText(negatives)}`;

/** A rate with its exact interval. */
export function rate(hits: number, trials: number): Rate {
  return { value: trials === 0 ? 0 : hits / trials, interval: [...clopperPearson(hits, trials)] };
}

/** How many pairs of different people (0) or of one person (1) have at least the threshold as their score. */
export function acceptedAt({ scores, same }: ScoredPairs, threshold: number, kind: 0 | 1): number {
  return scores.reduce((sum, score, i) => sum + (same[i] === kind && score >= threshold ? 1 : 0), 0);
}

/** False accept rate and true accept rate when pairs at or above a threshold count as one person. */
export function ratesAt(pairs: ScoredPairs, threshold: number): { far: Rate; tar: Rate } {
  const { positives, negatives } = countPairs(pairs);
  const [wrong, right] = [acceptedAt(pairs, threshold, 0), acceptedAt(pairs, threshold, 1)];
  return { far: rate(wrong, negatives), tar: rate(right, positives) };
}

/** The lowest thresholds that keep to each supported false accept rate. */
export function operatingPoints(
  pairs: ScoredPairs,
  targets: readonly number[] = FAR_TARGETS,
): OperatingPoint[] {
  const curve = rocCurve(pairs);
  const { positives, negatives } = countPairs(pairs);
  return targets
    .filter((far) => supportsFar(negatives, far))
    .map((far) => {
      const point = pointAtFar(curve, far);
      return {
        far,
        threshold: thresholdAt(curve, point),
        measuredFar: rate(Math.round(point.far * negatives), negatives),
        measuredTar: rate(Math.round(point.tar * positives), positives),
      };
    });
}

/** Rates that a population's own record may have. */
export const POPULATION_FARS = [...FAR_TARGETS, 1e-4] as const;

/**
 * People with so many photographs each, any number of them where it is a mean, whose pairs of two people support a rate.
 * The pairs of a person with others are not independent of each other, so that the true need is somewhat greater.
 */
export function peopleNeeded(far: number, photographsEach: number): number {
  const pairsOfPeople = negativesNeeded(far) / photographsEach ** 2;
  return Math.max(2, Math.ceil((1 + Math.sqrt(1 + 8 * pairsOfPeople)) / 2));
}

/**
 * Chooses thresholds for a population on all its pairs, which are many more of two people than of one: where no rate is
 * wanted, both kinds of errors have the same weight.
 */
export function calibratePopulation(
  pairs: ScoredPairs,
  data: { dataset: string; people: string },
  fars: readonly number[] = POPULATION_FARS,
): CalibrationRecord {
  const curve = rocCurve(pairs);
  const best = curve.reduce((a, b) => (b.tar - b.far > a.tar - a.far ? b : a));
  const threshold = thresholdAt(curve, best);
  const { far, tar } = ratesAt(pairs, threshold);
  return {
    threshold,
    measuredFar: far,
    measuredTar: tar,
    operatingPoints: operatingPoints(pairs, fars),
    data: { ...data, ...countPairs(pairs) },
  };
}

/** Chooses thresholds on calibration pairs, whose people must be neither in training nor in the test. */
export function calibrate(pairs: ScoredPairs, data: { dataset: string; people: string }): CalibrationRecord {
  const threshold = bestThreshold(pairs);
  const { far, tar } = ratesAt(pairs, threshold);
  return {
    threshold,
    measuredFar: far,
    measuredTar: tar,
    operatingPoints: operatingPoints(pairs),
    data: { ...data, ...countPairs(pairs) },
  };
}
