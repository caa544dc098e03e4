/** @file Wilson's interval of a rate: what its few trials leave open. */

/** Low and high end. */
export type Interval = readonly [number, number];

/** Quantile of the normal distribution for 95 % within. */
const Z_95 = 1.959963984540054;

/** Wilson's interval (1927) of the rate `hits / trials`: 95 % coverage on average, also for few trials and rates near 0 and 1. */
export function wilson(hits: number, trials: number): Interval {
  if (trials === 0) return [0, 1];
  const rate = hits / trials;
  const square = Z_95 ** 2;
  const centre = (rate + square / (2 * trials)) / (1 + square / trials);
  const half =
    (Z_95 / (1 + square / trials)) * Math.sqrt((rate * (1 - rate)) / trials + square / (4 * trials ** 2));
  return [hits === 0 ? 0 : centre - half, hits === trials ? 1 : centre + half];
}
