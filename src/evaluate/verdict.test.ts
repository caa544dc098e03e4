/** @file The sentence at the end of a measurement, at the borders of its rules. */
import { describe, expect, it } from "vitest";
import type { FoldReport } from "./folds.ts";
import type { EvaluationReport } from "./metrics.ts";
import { foldVerdict, verdict } from "./verdict.ts";

const exactly = (value: number, low = value) => ({
  value,
  interval: [low, Math.min(1, value + 0.02)] as const,
});

/** A report with true accept rates at these false accept rates. */
function report(tars: Readonly<Record<number, number | undefined>>, auc = 0.95): EvaluationReport {
  const rate = exactly(0.9);
  return {
    protocol: "held-out people",
    measure: "probability",
    pairs: 200,
    positives: 100,
    negatives: 100,
    missing: 0,
    loss: 0.3,
    accuracy: rate,
    auc: exactly(auc),
    eer: rate,
    tarAtFar: [0.1, 0.01, 0.001].map((far) => {
      const tar = tars[far];
      return tar === undefined ? { far, supported: false } : { far, supported: true, tar: exactly(tar) };
    }),
  };
}

describe("the verdict", () => {
  it.each([
    [{ 0.1: 0.9, 0.01: 0.68 }, "at 1 % false accepts it recognises 68 %: not for access control"],
    [
      { 0.1: 0.95, 0.01: 0.92 },
      "at 1 % false accepts it recognises 92 %: fit for sorting photographs and suggesting",
    ],
    [{ 0.1: 0.95 }, "at 10 % false accepts it recognises 95 %: fit for sorting photographs that somebody"],
    [{ 0.1: 0.85 }, "at 10 % false accepts it recognises 85 %: not for access control"],
    [
      { 0.1: 1, 0.01: 0.99, 0.001: 0.96 },
      "at 0.1 % false accepts it recognises 96 %: fit for access control beside",
    ],
    [{ 0.1: 1, 0.01: 0.99, 0.001: 0.94 }, "at 1 % false accepts it recognises 99 %: fit for sorting"],
  ])("of %j begins %j", (tars, sentence) => {
    expect(verdict(report(tars))).toContain(sentence);
  });

  it("looks at the lower end of the interval, and calls chance by its name", () => {
    const base = report({ 0.1: 0.95, 0.01: 0.92 });
    const tarAtFar = [{ far: 0.01, supported: true, tar: exactly(0.92, 0.85) }];
    expect(verdict({ ...base, tarAtFar })).toBe(
      "at 1 % false accepts it recognises 92 %: not for access control",
    );
    expect(verdict(report({ 0.1: 0.2 }, 0.52))).toContain("ROC AUC of 0.52 may be chance");
  });

  it("of folds goes by their equal error rate", () => {
    const of = (eer: number, high = eer) =>
      foldVerdict({
        pairs: 200,
        negatives: 100,
        eer,
        intervals: { auc: [0, 1], eer: [0, high] },
      } as unknown as FoldReport);
    expect(of(0.18)).toBe(
      "where it accepts as many strangers as it rejects people, both are 18 %: not for access control",
    );
    expect(of(0.021)).toContain("both are 2.1 %: fit for sorting photographs");
    expect(of(0.021, 0.06)).toContain("both are 2.1 %: not for access control");
  });

  it.each([
    [100, 99, "99"],
    [99, 100, "100"],
    [9, 9, "9"],
    [3, 5000, "5,000"],
  ])(
    "is none of %i pairs of one person and %i of two, however well the model separates them",
    (positives, negatives, text) => {
      const perfect = { ...report({ 0.1: 1, 0.01: 1, 0.001: 1 }, 1), positives, negatives };
      const folds = {
        pairs: positives + negatives,
        negatives,
        eer: 0,
        intervals: { auc: [1, 1], eer: [0, 0] },
      };
      const sentence = `too few pairs for a verdict: ${positives} of one person and ${text} of two people`;
      expect(verdict(perfect)).toContain(sentence);
      expect(foldVerdict(folds as unknown as FoldReport)).toContain(sentence);
    },
  );
});
