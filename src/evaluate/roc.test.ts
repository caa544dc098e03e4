/** @file The curve and its figures: worked by hand, against brute force, and as properties. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  accuracyAt,
  areaUnder,
  bestThreshold,
  equalErrorRate,
  pointAtFar,
  rocCurve,
  thresholdAt,
} from "./roc.ts";
import type { ScoredPairs } from "./scores.ts";

function pairsOf(positives: readonly number[], negatives: readonly number[]): ScoredPairs {
  return {
    scores: Float64Array.from([...positives, ...negatives]),
    same: Uint8Array.from([...positives.map(() => 1), ...negatives.map(() => 0)]),
  };
}

/** Few different values, so that ties are frequent. */
const score = fc.integer({ min: 0, max: 12 }).map((value) => value / 12);
const scoreList = fc.array(score, { minLength: 1, maxLength: 30 });
const scoredPairs = fc
  .tuple(scoreList, scoreList)
  .map(([positives, negatives]) => pairsOf(positives, negatives));

describe("rocCurve", () => {
  it("steps through the scores from the highest", () => {
    expect(rocCurve(pairsOf([0.9, 0.6], [0.7, 0.2]))).toEqual([
      { threshold: Number.POSITIVE_INFINITY, far: 0, tar: 0 },
      { threshold: 0.9, far: 0, tar: 0.5 },
      { threshold: 0.7, far: 0.5, tar: 0.5 },
      { threshold: 0.6, far: 0.5, tar: 1 },
      { threshold: 0.2, far: 1, tar: 1 },
    ]);
  });

  it("takes equal scores in one step", () => {
    const [, only, ...rest] = rocCurve(pairsOf([0.5, 0.5], [0.5]));
    expect(only).toEqual({ threshold: 0.5, far: 1, tar: 1 });
    expect(rest).toEqual([]);
  });

  it.each([
    [[], [0.1]],
    [[0.1], []],
    [[], []],
  ])("says which kind of pairs is missing: %j %j", (positives, negatives) => {
    expect(() => rocCurve(pairsOf(positives, negatives))).toThrow(
      expect.objectContaining({ code: "DATASET_INVALID" }),
    );
  });

  it("rises in both rates and tells those of its thresholds", () => {
    fc.assert(
      fc.property(scoredPairs, (pairs) => {
        const curve = rocCurve(pairs);
        curve.slice(1).forEach(({ threshold, far, tar }, i) => {
          expect(far).toBeGreaterThanOrEqual(curve[i]!.far);
          expect(tar).toBeGreaterThanOrEqual(curve[i]!.tar);
          const share = (kind: number) => {
            const scores = pairs.scores.filter((_, pair) => pairs.same[pair] === kind);
            return scores.filter((value) => value >= threshold).length / scores.length;
          };
          expect([far, tar]).toEqual([share(0), share(1)]);
        });
      }),
    );
  });
});

describe("areaUnder", () => {
  it("is the chance that a pair of one person scores higher, ties counting half", () => {
    fc.assert(
      fc.property(scoreList, scoreList, (positives, negatives) => {
        const wins = positives.flatMap((a) => negatives.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
        const chance = wins.reduce<number>((sum, win) => sum + win, 0) / wins.length;
        expect(areaUnder(rocCurve(pairsOf(positives, negatives)))).toBeCloseTo(chance, 12);
      }),
    );
  });
});

describe("equalErrorRate", () => {
  it.each([
    [[0.9, 0.8], [0.2, 0.1], 0],
    [[0.1, 0.2], [0.8, 0.9], 1],
    [[0.9, 0.4], [0.6, 0.1], 0.5],
    [[0.5], [0.5], 0.5],
    // One of three wrong on either side.
    [[0.9, 0.8, 0.3], [0.7, 0.2, 0.1], 1 / 3],
  ])("of %j against %j is %f", (positives, negatives, expected) => {
    expect(equalErrorRate(rocCurve(pairsOf(positives, negatives)))).toBeCloseTo(expected, 12);
  });

  it("does not change when scores are squeezed", () => {
    fc.assert(
      fc.property(scoredPairs, (pairs) => {
        const squeezed = { ...pairs, scores: pairs.scores.map((value) => value ** 3 / 10) };
        expect(equalErrorRate(rocCurve(squeezed))).toBe(equalErrorRate(rocCurve(pairs)));
      }),
    );
  });
});

describe("pointAtFar", () => {
  it("accepts as many as the rate allows, and nobody where it allows none", () => {
    const curve = rocCurve(pairsOf([0.9, 0.5], [0.7, 0.6, 0.3, 0.2]));
    expect(pointAtFar(curve, 0.5)).toMatchObject({ threshold: 0.5, far: 0.5, tar: 1 });
    expect(pointAtFar(curve, 0.49)).toMatchObject({ far: 0.25, tar: 0.5 });
    expect(pointAtFar(rocCurve(pairsOf([0.5], [0.5])), 0.1)).toMatchObject({ far: 0, tar: 0 });
  });
});

describe("thresholdAt", () => {
  it("lies half-way to the next score", () => {
    const curve = rocCurve(pairsOf([0.9], [0.5]));
    expect(thresholdAt(curve, curve[1]!)).toBe(0.7);
  });

  it("decides as its point does, however close the scores", () => {
    const near = fc.constantFrom(0, Number.MIN_VALUE, 0.5, 0.5 + Number.EPSILON / 2, 0.5 + Number.EPSILON, 1);
    const lists = fc.array(near, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(lists, lists, (positives, negatives) => {
        const curve = rocCurve(pairsOf(positives, negatives));
        for (const point of curve) {
          const threshold = thresholdAt(curve, point);
          expect(positives.filter((value) => value >= threshold).length / positives.length).toBe(point.tar);
          expect(negatives.filter((value) => value >= threshold).length / negatives.length).toBe(point.far);
        }
      }),
    );
  });
});

describe("bestThreshold", () => {
  it("parts two groups in the middle", () => {
    expect(bestThreshold(pairsOf([0.9, 0.8], [0.4, 0.1]))).toBeCloseTo(0.6, 12);
  });

  it("refuses everybody when that is best", () => {
    const pairs = pairsOf([0.1], [0.9, 0.9, 0.9]);
    expect(accuracyAt(pairs, bestThreshold(pairs))).toBe(0.75);
  });

  it("is as good as any threshold", () => {
    fc.assert(
      fc.property(scoredPairs, (pairs) => {
        const tried = [...pairs.scores, 2].map((threshold) => accuracyAt(pairs, threshold));
        expect(accuracyAt(pairs, bestThreshold(pairs))).toBe(Math.max(...tried));
      }),
    );
  });
});
