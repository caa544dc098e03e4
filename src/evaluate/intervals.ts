/** @file Confidence intervals: how far a measured figure may lie from the true one. */
import { Random } from "../base/random.ts";
import { chanceOfAtLeast } from "./binomial.ts";
import { curveOf, type RocPoint, rankPairs } from "./roc.ts";
import type { ScoredPairs } from "./scores.ts";

/** Low and high end. */
export type Interval = readonly [number, number];

/** Quantile of the normal distribution for 95 % within. */
const Z_95 = 1.959963984540054;
/** What a 95 % interval leaves out at either end. */
const TAIL = 0.025;

/**
 * The 95 % interval of a share, Wilson's (1927): covers 95 % on average, also for few trials and shares near 0 and 1.
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
  return [hits === 0 ? 0 : centre - half, hits === trials ? 1 : centre + half];
}

const BISECTIONS = 60;

/** Where a rising function reaches the target within [0, 1]. */
function solve(rising: (share: number) => number, target: number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (low + high) / 2;
    if (rising(middle) < target) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The 95 % interval of a share, Clopper's and Pearson's (1934): exact, so never too narrow. For error rates that
 * people rely on; somewhat wider than Wilson's.
 * @param hits how often it happened
 * @param trials how often it could have
 */
export function clopperPearson(hits: number, trials: number): Interval {
  if (trials === 0) return [0, 1];
  const low = hits === 0 ? 0 : solve((share) => chanceOfAtLeast(hits, trials, share), TAIL);
  const high = hits === trials ? 1 : solve((share) => chanceOfAtLeast(hits + 1, trials, share), 1 - TAIL);
  return [low, high];
}

const RESAMPLES = 1000;

/** How often each pair comes up when as many of its kind are drawn as there are. */
function drawAnew(kinds: readonly (readonly number[])[], pairs: number, random: Random): Uint32Array {
  const times = new Uint32Array(pairs);
  for (const kind of kinds) {
    for (let i = 0; i < kind.length; i++) times[kind[random.integer(kind.length)]!]!++;
  }
  return times;
}

/**
 * The 95 % intervals of figures of the curve, by drawing pairs anew with replacement a thousand times (Efron, 1979):
 * pairs of one person and of two apart, so that both keep their number. Pairs are taken as independent, which those
 * that share a person are not quite: for few people the true interval is somewhat wider.
 * @param figures any number of figures of a curve; their intervals come in the same order.
 * @param seed makes the draws repeatable.
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
  return draws[0]!.map((_, figure) => {
    const sorted = draws.map((draw) => draw[figure]!).sort((a, b) => a - b);
    return [quantile(sorted, TAIL), quantile(sorted, 1 - TAIL)];
  });
}

/** The value below which the given share of sorted values lies, on the line between its neighbours. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}
