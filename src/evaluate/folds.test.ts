/** @file The k-fold protocol, worked by hand. */
import { describe, expect, it } from "vitest";
import { checkFolds, kFold } from "./folds.ts";
import type { ScoredPairs } from "./scores.ts";

const fold = (...pairs: readonly (readonly [score: number, same: 0 | 1])[]): ScoredPairs => ({
  scores: Float64Array.from(pairs, ([score]) => score),
  same: Uint8Array.from(pairs, ([, same]) => same),
});

describe("kFold", () => {
  it("judges each fold by the others' threshold", () => {
    // Of the others, fold 1 gets 0.5 (one of two right), fold 2 gets 0.3 and fold 3 as well.
    const report = kFold([fold([0.4, 1], [0.2, 0]), fold([0.9, 1], [0.1, 0]), fold([0.8, 1], [0.2, 0])]);
    expect(report).toMatchObject({ protocol: "lfw", folds: 3, pairs: 6, auc: 1, eer: 0, missing: 0 });
    expect(report.accuracy.perFold).toEqual([0.5, 1, 1]);
    expect(report.accuracy.mean).toBeCloseTo(5 / 6, 12);
    // Sample deviation of 0.5, 1, 1 is √(1/12); over √3 that is 1/6.
    expect(report.accuracy.standardError).toBeCloseTo(1 / 6, 12);
    expect(report.threshold).toBeCloseTo((0.5 + 0.3 + 0.3) / 3, 12);
  });

  it("never looks at a fold's own labels for its threshold", () => {
    const others = [fold([0.9, 1], [0.1, 0]), fold([0.8, 1], [0.2, 0])];
    const right = kFold([fold([0.7, 1], [0.3, 0]), ...others]);
    const wrong = kFold([fold([0.7, 0], [0.3, 1]), ...others]);
    expect(right.accuracy.perFold[0]).toBe(1);
    expect(wrong.accuracy.perFold[0]).toBe(0);
  });

  it("tells of missing pairs without moving others between folds", () => {
    const report = kFold([fold([0.9, 1]), fold([0.8, 1], [0.2, 0]), fold([0.9, 1], [0.3, 0])], 1);
    expect(report).toMatchObject({ folds: 3, pairs: 5, missing: 1 });
    expect(report.accuracy.perFold).toHaveLength(3);
  });

  it.each([
    ["one fold", [fold([0.9, 1], [0.1, 0])]],
    ["an empty fold", [fold([0.9, 1], [0.1, 0]), fold()]],
    ["one kind of pairs", [fold([0.9, 1]), fold([0.8, 1])]],
  ])("refuses %s", (_, folds) => {
    expect(() => kFold(folds)).toThrow(expect.objectContaining({ code: "DATASET_INVALID" }));
  });
});

describe("pairs that cannot be measured", () => {
  const [one, two] = [{ same: true }, { same: false }];

  it.each([
    [[[one]], "two pairs of each kind: got one fold, 1 of one person and 0 of two people"],
    [[[one, two]], "got one fold, 1 of one person and 1 of two people"],
    [[[one, one], [one]], "got 3 of one person and 0 of two people"],
    [[[two], [one, two]], "got 1 of one person and 2 of two people"],
    [
      [[one, one, two], [two]],
      "pairs.txt: the pairs outside fold 1 of 2 are of one kind only, and choose no threshold (2 of one person and 2 of two people in all)",
    ],
  ])("are refused before any work: %j", (folds, message) => {
    expect(() => checkFolds(folds, "pairs.txt")).toThrow(
      expect.objectContaining({
        code: "DATASET_INVALID",
        message: expect.stringContaining(message),
        hint: expect.stringContaining("faceid dataset pairs"),
      }),
    );
  });

  it("are not those of two folds with both kinds", () => {
    expect(() =>
      checkFolds(
        [
          [one, two],
          [one, two],
        ],
        "pairs.txt",
      ),
    ).not.toThrow();
  });
});
