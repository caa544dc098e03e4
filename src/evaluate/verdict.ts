/** @file One plain sentence about a measurement: what the model may be used for, by fixed rules. */
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

/** Below this area under the curve, at the lower end of its interval, a model may be guessing. */
const GUESSING = 0.55;

/**
 * The sentence for a measurement on held-out people. It quotes the lowest false accept rate that the pairs support, down to
 * one in a hundred, or one in a thousand where that passes. A use is granted when the lower end of the 95 % interval reaches
 * the rule's fraction; docs/accuracy.md lists the rules.
 */
export function verdict({ tarAtFar, auc, negatives }: EvaluationReport): string {
  if (auc.interval[0] < GUESSING) {
    return `ROC AUC of ${auc.value.toFixed(2)} may be chance: it cannot tell these people apart, not for any use`;
  }
  const tarAt = (far: number) => tarAtFar.find((each) => each.far === far)?.tar;
  const passes = ({ far, least }: (typeof RULES)[number]) => (tarAt(far)?.interval[0] ?? 0) >= least;
  const [strictest, ...others] = RULES;
  const rule = passes(strictest) ? strictest : others.find(({ far }) => tarAt(far) !== undefined);
  if (rule === undefined) {
    return `${negatives} pairs of different people are too few to say how often it accepts strangers; measure with at least 100, better 1000: not for access control`;
  }
  const figures = `at ${percent(rule.far)} false accepts it recognises ${percent(tarAt(rule.far)!.value)}`;
  return `${figures}: ${passes(rule) ? rule.use : "not for access control"}`;
}

/** Errors of either kind that a use allows. */
const MOST_ERRORS = 0.05;

/** The sentence for the k-fold protocol, whose folds say nothing about rare errors. */
export function foldVerdict({ eer }: FoldReport): string {
  const use = eer <= MOST_ERRORS ? "fit for sorting photographs and suggesting names; not" : "not";
  return `where it accepts as many strangers as it rejects people, both are ${percent(eer)}: ${use} for access control`;
}
