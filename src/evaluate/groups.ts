/** @file Error rates by groups of people or photographs at one threshold, and how far they lie apart. */

import type { Rate } from "../artifact/calibration.ts";
import { scoreText } from "../artifact/rates.ts";
import { countText } from "../base/log.ts";
import type { Pair } from "../data/pairs.ts";
import type { ScoredPairs } from "./scores.ts";
import { rate } from "./thresholds.ts";

/** What groups pairs: the groups of both sides; undefined for a pair that belongs to none. */
export interface Attribute {
  readonly name: string;
  /** All groups in the order in which they are listed. Left out, they are listed by name. */
  readonly order?: readonly string[];
  groupsOf(pair: Pair): readonly [string, string] | undefined;
}

/** A rate, or the number of pairs that it lacks. */
export interface GroupRate {
  readonly pairs: number;
  readonly errors: number;
  /** Absent with fewer than `needed` pairs. */
  readonly rate?: Rate;
  readonly needed: number;
}

/** Two sides of pairs; the same group twice for pairs within a group. */
export interface GroupPair {
  readonly groups: readonly [string, string];
  /** Pairs of different people that are accepted. */
  readonly falseMatches: GroupRate;
  /** Pairs of one person that are refused. */
  readonly falseNonMatches: GroupRate;
}

/** How far rates within groups lie apart; absent where a group has no error, so that no ratio exists. */
export interface Differential {
  readonly greatest: string;
  readonly smallest: string;
  /** Greatest over smallest. */
  readonly ratio?: number;
  /** Greatest over the geometric mean. */
  readonly overMean?: number;
}

export interface AttributeReport {
  readonly attribute: string;
  readonly threshold: number;
  /** Pairs that belong to no group of it. */
  readonly ungrouped: number;
  readonly pairs: readonly GroupPair[];
  /** ISO/IEC 19795-10 calls them false positive and false negative differentials. */
  readonly falsePositiveDifferential?: Differential;
  readonly falseNegativeDifferential?: Differential;
}

/** Fewer pairs give an interval that spans everything of interest. */
const LEAST_PAIRS = 100;

const groupRate = (errors: number, pairs: number): GroupRate => ({
  pairs,
  errors,
  needed: LEAST_PAIRS,
  ...(pairs < LEAST_PAIRS ? {} : { rate: rate(errors, pairs) }),
});

const byName = new Intl.Collator("en", { numeric: true });

/** Compares two groups by the order of the attribute, then by name, with numbers in names by their size. */
const inOrderOf =
  ({ order = [] }: Attribute) =>
  (a: string, b: string): number =>
    order.indexOf(a) - order.indexOf(b) || byName.compare(a, b) || (a < b ? -1 : Number(a > b));

/** The differential over pairs within groups of which the rate is known; undefined for fewer than two. */
function differential(
  pairs: readonly GroupPair[],
  of: (pair: GroupPair) => GroupRate,
): Differential | undefined {
  const known = pairs
    .filter(({ groups: [a, b] }) => a === b)
    .flatMap((pair) => {
      const { rate: found } = of(pair);
      return found === undefined ? [] : [{ group: pair.groups[0], value: found.value }];
    })
    .toSorted((a, b) => a.value - b.value);
  const [smallest, greatest] = [known[0], known.at(-1)];
  if (smallest === undefined || greatest === undefined || known.length < 2) return undefined;
  const named = { greatest: greatest.group, smallest: smallest.group };
  if (smallest.value === 0) return named;
  const mean = Math.exp(known.reduce((sum, { value }) => sum + Math.log(value), 0) / known.length);
  return { ...named, ratio: greatest.value / smallest.value, overMean: greatest.value / mean };
}

/**
 * Error rates of each group and pair of groups at one threshold.
 * @param pairs in the order of their scores.
 */
export function groupReport(
  { scores, same }: ScoredPairs,
  pairs: readonly Pair[],
  attribute: Attribute,
  threshold: number,
): AttributeReport {
  const counts = new Map<
    string,
    { groups: [string, string]; pairs: [number, number]; errors: [number, number] }
  >();
  const inOrder = inOrderOf(attribute);
  let ungrouped = 0;
  for (const [i, pair] of pairs.entries()) {
    const groups = attribute.groupsOf(pair);
    if (groups === undefined) {
      ungrouped++;
      continue;
    }
    const [a, b] = groups.toSorted(inOrder) as [string, string];
    const key = JSON.stringify([a, b]);
    const count = counts.get(key) ?? { groups: [a, b], pairs: [0, 0], errors: [0, 0] };
    counts.set(key, count);
    const kind = same[i] === 1 ? 1 : 0;
    count.pairs[kind]++;
    if (scores[i]! >= threshold !== (kind === 1)) count.errors[kind]++;
  }
  const rows = [...counts.values()]
    .toSorted((x, y) => inOrder(x.groups[0], y.groups[0]) || inOrder(x.groups[1], y.groups[1]))
    .map(
      ({ groups, pairs: [negatives, positives], errors: [accepted, refused] }): GroupPair => ({
        groups,
        falseMatches: groupRate(accepted, negatives),
        falseNonMatches: groupRate(refused, positives),
      }),
    );
  const positive = differential(rows, ({ falseMatches }) => falseMatches);
  const negative = differential(rows, ({ falseNonMatches }) => falseNonMatches);
  return {
    attribute: attribute.name,
    threshold,
    ungrouped,
    pairs: rows,
    ...(positive === undefined ? {} : { falsePositiveDifferential: positive }),
    ...(negative === undefined ? {} : { falseNegativeDifferential: negative }),
  };
}

const percent = (value: number) => `${Number((100 * value).toPrecision(3))} %`;

/** A rate with its counts and interval, or what it lacks. */
export function rateText({ rate: found, errors, pairs, needed }: GroupRate): string {
  if (found === undefined) return `n/a: needs at least ${countText(needed)} pairs, has ${countText(pairs)}`;
  const [low, high] = found.interval;
  return `${percent(found.value)} (${countText(errors)} of ${countText(pairs)}; 95 %: ${percent(low)} to ${percent(high)})`;
}

/** A differential in words. */
export function differentialText(differential: Differential | undefined): string {
  if (differential === undefined) return "n/a, fewer than two groups have enough pairs";
  const { greatest, smallest, ratio, overMean } = differential;
  if (ratio === undefined || overMean === undefined)
    return `greatest ${greatest}, smallest ${smallest} without an error, so no ratio`;
  return `${greatest} ${ratio.toFixed(1)} times ${smallest}, ${overMean.toFixed(1)} times the geometric mean`;
}

/** A table for people. */
export function groupText(report: AttributeReport): string {
  const named = report.pairs.map((pair) => {
    const [a, b] = pair.groups;
    return [
      a === b ? a : `${a} with ${b}`,
      rateText(pair.falseMatches),
      rateText(pair.falseNonMatches),
    ] as const;
  });
  const heads = ["group", "false matches", "false non-matches"] as const;
  const widths = [0, 1].map((column) => Math.max(...[heads, ...named].map((row) => row[column]!.length)));
  const line = ([group, matches, others]: readonly [string, string, string]) =>
    `  ${group.padEnd(widths[0]!)}  ${matches.padEnd(widths[1]!)}  ${others}`;
  const rest = report.ungrouped === 0 ? "" : `, ${countText(report.ungrouped)} pairs without a group`;
  return [
    `by ${report.attribute}, at the threshold ${scoreText(report.threshold)} for all${rest}`,
    line(heads),
    ...named.map(line),
    `  false positive differential: ${differentialText(report.falsePositiveDifferential)}`,
    `  false negative differential: ${differentialText(report.falseNegativeDifferential)}`,
  ].join("\n");
}
