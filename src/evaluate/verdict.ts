/** @file One plain sentence about a measurement: what the model may be used for, by fixed rules. */
import { countText } from "../base/log.ts";
import type { FoldReport } from "./folds.ts";
import type { EvaluationReport } from "./metrics.ts";

const percent = (value: number) => `${Number((100 * value).toFixed(value < 0.1 ? 1 : 0))} %`;

/** Uses, from the most demanding, with the fraction that must be recognised at a false accept rate. */
const RULES = [
  { far: 0.001, least: 0.95, use: "fit for access control beside a second check, never alone" },
  { far: 0.01, least: 0.9, use: "fit for sorting photographs and suggesting names; not for access control" },
  {
    far: 0.1,
    least: 0.9,
    use: "fit for sorting photographs that somebody looks through; not for access control",
  },
] as const;

/** Pairs of each kind that a verdict needs: with none of 100 wrong, the rate may still be 3.6 % (Clopper and Pearson, 1934). */
const PAIRS_NEEDED = 100;

/** Says that nothing can be said. */
function tooFew(positives: number, negatives: number): string | undefined {
  if (Math.min(positives, negatives) >= PAIRS_NEEDED) return undefined;
  return `too few pairs for a verdict: ${countText(positives)} of one person and ${countText(negatives)} of two people; measure with at least ${PAIRS_NEEDED} of each, better ${countText(10 * PAIRS_NEEDED)}; not for access control until then`;
}

/** Below this area under the curve, at the lower end of its interval, a model may be guessing. */
const GUESSING = 0.55;

/**
 * The sentence for a measurement on held-out people. It quotes the lowest false accept rate that the pairs support, down to
 * one in a hundred, or one in a thousand where that passes. A use is granted when the lower end of the 95 % interval reaches
 * the rule's fraction; docs/accuracy.md lists the rules.
 */
export function verdict({ tarAtFar, auc, positives, negatives }: EvaluationReport): string {
  const few = tooFew(positives, negatives);
  if (few !== undefined) return few;
  if (auc.interval[0] < GUESSING) {
    return `ROC AUC of ${auc.value.toFixed(2)} may be chance: it cannot tell these people apart, not for any use`;
  }
  const tarAt = (far: number) => tarAtFar.find((each) => each.far === far)?.tar;
  const passes = ({ far, least }: (typeof RULES)[number]) => (tarAt(far)?.interval[0] ?? 0) >= least;
  const [strictest, ...others] = RULES;
  // With enough pairs for a verdict, one in ten is supported.
  const rule = passes(strictest) ? strictest : others.find(({ far }) => tarAt(far) !== undefined)!;
  const figures = `at ${percent(rule.far)} false accepts it recognises ${percent(tarAt(rule.far)!.value)}`;
  return `${figures}: ${passes(rule) ? rule.use : "not for access control"}`;
}

/** Errors of either kind that a use allows. */
const MOST_ERRORS = 0.05;

/** The sentence for the k-fold protocol, whose folds say nothing about rare errors; the upper end of the interval counts. */
export function foldVerdict({ pairs, negatives, eer, intervals }: FoldReport): string {
  const few = tooFew(pairs - negatives, negatives);
  if (few !== undefined) return few;
  const use =
    intervals.eer[1] <= MOST_ERRORS ? "fit for sorting photographs and suggesting names; not" : "not";
  return `where it accepts as many strangers as it rejects people, both are ${percent(eer)}: ${use} for access control`;
}
