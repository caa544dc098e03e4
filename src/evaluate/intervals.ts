/** @file 95 % confidence intervals of rates and of figures of the ROC curve. */

import type { Interval } from "../artifact/wilson.ts";
import { Random } from "../base/random.ts";
import { curveOf, type RocPoint, rankPairs } from "./roc.ts";
import type { ScoredPairs } from "./scores.ts";

/** Probability beyond either end of a 95 % interval. */
const TAIL = 0.025;

/** Lanczos' coefficients for g = 7 and nine terms (Godfrey's table), accurate to about 15 digits. */
const LANCZOS_G = 7;
const LANCZOS = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406,
  12.507343278686905, -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
] as const;

/** ln Γ(x) for x ≥ 1 (Lanczos, 1964). */
function logGamma(x: number): number {
  const z = x - 1;
  const t = z + LANCZOS_G + 0.5;
  const series = LANCZOS.reduce(
    (sum, coefficient, k) => sum + (k === 0 ? coefficient : coefficient / (z + k)),
    0,
  );
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(series);
}

const MOST_TERMS = 10_000;
const TINY = 1e-300;
const PRECISION = 1e-15;

/** The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz' method. */
function betaFraction(x: number, a: number, b: number): number {
  const away = (value: number) => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= MOST_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    const before = fraction;
    for (const term of [even, odd]) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      fraction *= c * d;
    }
    if (Math.abs(fraction - before) <= PRECISION * fraction) break;
  }
  return fraction;
}

/** I_x(a, b) for whole a, b ≥ 1 and x in [0, 1]. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const factor = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  // The fraction converges fast on this side of the mean; the other side is its mirror image.
  return x < (a + 1) / (a + b + 2)
    ? (factor * betaFraction(x, a, b)) / a
    : 1 - (factor * betaFraction(1 - x, b, a)) / b;
}

/** The probability of at least `hits` successes in `trials`, 1 ≤ hits ≤ trials, each with probability `rate`. */
export function chanceOfAtLeast(hits: number, trials: number, rate: number): number {
  return incompleteBeta(rate, hits, trials - hits + 1);
}

const BISECTIONS = 60;

/** Where a rising function reaches the target within [0, 1]. */
function solve(rising: (rate: number) => number, target: number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (low + high) / 2;
    if (rising(middle) < target) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Clopper's and Pearson's interval (1934) of the rate `hits / trials`: coverage of at least 95 %, wider than Wilson's. */
export function clopperPearson(hits: number, trials: number): Interval {
  if (trials === 0) return [0, 1];
  const low = hits === 0 ? 0 : solve((rate) => chanceOfAtLeast(hits, trials, rate), TAIL);
  const high = hits === trials ? 1 : solve((rate) => chanceOfAtLeast(hits + 1, trials, rate), 1 - TAIL);
  return [low, high];
}

/** Errors below which resampling says too little: with none at all, every resample has none. */
const RESAMPLED_ERRORS = 10;

/**
 * An interval of a rate from resampling, widened to Clopper's and Pearson's where the rate rests on few errors.
 * @param trials pairs that the rate is over.
 */
export function withFewErrors(rate: number, trials: number, [low, high]: Interval): Interval {
  const hits = Math.round(rate * trials);
  if (Math.min(hits, trials - hits) >= RESAMPLED_ERRORS) return [low, high];
  const [lowest, highest] = clopperPearson(hits, trials);
  return [Math.min(low, lowest), Math.max(high, highest)];
}

const RESAMPLES = 1000;

/** How often each pair is drawn in a resample of the same size, per kind. */
function drawAnew(kinds: readonly (readonly number[])[], pairs: number, random: Random): Uint32Array {
  const times = new Uint32Array(pairs);
  for (const kind of kinds) {
    for (let i = 0; i < kind.length; i++) times[kind[random.integer(kind.length)]!]!++;
  }
  return times;
}

/**
 * Bootstrap intervals (Efron, 1979) of figures of the ROC curve, from a thousand resamples of the pairs with replacement,
 * stratified by kind. It treats pairs as independent; pairs that share a person are not, so that with few people the true
 * interval is somewhat wider.
 * @param figures computes any number of figures of a curve; the intervals have the same order.
 */
export function bootstrap(
  pairs: ScoredPairs,
  figures: (curve: readonly RocPoint[]) => readonly number[],
  seed: number,
): Interval[] {
  const random = new Random(seed).fork("bootstrap");
  const ranked = rankPairs(pairs);
  const places = Array.from(ranked.same, (_, place) => place);
  const kinds = [0, 1].map((kind) => places.filter((place) => ranked.same[place] === kind));
  const draws = Array.from({ length: RESAMPLES }, () =>
    figures(curveOf(ranked, drawAnew(kinds, places.length, random))),
  );
  return draws[0]!.map((_, figure) => percentileInterval(draws.map((draw) => draw[figure]!)));
}

/** The middle 95 % of a figure's resamples. */
export function percentileInterval(values: readonly number[]): Interval {
  const sorted = values.toSorted((a, b) => a - b);
  return [quantile(sorted, TAIL), quantile(sorted, 1 - TAIL)];
}

/** A quantile of sorted values, interpolated linearly. */
function quantile(sorted: readonly number[], rate: number): number {
  const place = rate * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}
