/** @file Confidence intervals: how far a measured share may lie from the true one. */
import { Random } from "../base/random.ts";
import type { ScoredPairs } from "./scores.ts";

/** Low and high end. */
export type Interval = readonly [number, number];

/** Quantile of the normal distribution for 95 % within. */
const Z_95 = 1.959963984540054;

/**
 * The 95 % interval of a share, Wilson's (1927): right also for few trials and shares near 0 and 1.
 * @param hits how often it happened
 * @param trials how often it could have
 */
export function wilson(hits: number, trials: number): Interval {
  if (trials === 0) return [0, 1];
  const share = hits / trials;
  const square = Z_95 ** 2;
  const centre = (share + square / (2 * trials)) / (1 + square / trials);
  const half =
    (Z_95 / (1 + square / trials)) * Math.sqrt((share * (1 - share)) / trials + square / (4 * trials ** 2));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

const RESAMPLES = 200;
const TAILS = [0.025, 0.975] as const;

/**
 * The 95 % interval of any measure, by drawing pairs anew with replacement (Efron, 1979): pairs of one person and of
 * two apart, so that both keep their number. Pairs are taken as independent, which those that share a person are not
 * quite: for few people the true interval is somewhat wider.
 * @param seed makes the draws repeatable.
 */
export function bootstrap(
  pairs: ScoredPairs,
  measure: (pairs: ScoredPairs) => number,
  seed: number,
): Interval {
  const random = new Random(seed).fork("bootstrap");
  const kinds = [0, 1].map((kind) =>
    Array.from(pairs.same, (_, i) => i).filter((i) => pairs.same[i] === kind),
  );
  const values = Array.from({ length: RESAMPLES }, () => {
    const drawn = kinds.flatMap((kind) => kind.map(() => kind[random.integer(kind.length)]!));
    return measure({
      scores: Float64Array.from(drawn, (i) => pairs.scores[i]!),
      same: Uint8Array.from(drawn, (i) => pairs.same[i]!),
    });
  }).sort((a, b) => a - b);
  return [quantile(values, TAILS[0]), quantile(values, TAILS[1])];
}

/** The value below which the given share of sorted values lies, on the line between its neighbours. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}
