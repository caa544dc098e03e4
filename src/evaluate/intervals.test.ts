/** @file Intervals against published values, against sums over the binomial distribution, and by coverage. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { bootstrap, chanceOfAtLeast, clopperPearson } from "./intervals.ts";
import { areaUnder, equalErrorRate, rocCurve } from "./roc.ts";
import type { ScoredPairs } from "./scores.ts";

/** Chance of just `hits`, by multiplying out. */
function binomial(hits: number, trials: number, share: number): number {
  let chance = 1;
  for (let i = 0; i < hits; i++) chance *= ((trials - i) / (i + 1)) * share;
  return chance * (1 - share) ** (trials - hits);
}

describe("chanceOfAtLeast", () => {
  it("is the sum of the distribution's tail", () => {
    const cases = fc.record({
      trials: fc.integer({ min: 1, max: 60 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      share: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
    });
    fc.assert(
      fc.property(cases, ({ trials, part, share }) => {
        const hits = Math.max(1, Math.round(part * trials));
        let tail = 0;
        for (let k = hits; k <= trials; k++) tail += binomial(k, trials, share);
        expect(chanceOfAtLeast(hits, trials, share)).toBeCloseTo(tail, 10);
      }),
    );
  });
});

describe("clopperPearson", () => {
  it.each([
    [5, 10, 0.1871, 0.8129],
    [0, 10, 0, 0.3085],
    [1, 10, 0.0025, 0.445],
    [10, 10, 0.6915, 1],
    [81, 263, 0.2527, 0.3676],
  ])("%i of %i lies in %f to %f", (hits, trials, low, high) => {
    expect(clopperPearson(hits, trials)).toBeAllClose([low, high], { absolute: 5e-5, relative: 0 });
  });

  it("holds the share, and is narrower for more trials", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, part) => {
        const hits = Math.round(part * n);
        const [low, high] = clopperPearson(hits, n);
        const [lowOfMore, highOfMore] = clopperPearson(hits * 100, n * 100);
        expect(low).toBeLessThanOrEqual(hits / n);
        expect(high).toBeGreaterThanOrEqual(hits / n);
        expect(highOfMore - lowOfMore).toBeLessThan(high - low);
      }),
    );
  });
});

it("knows nothing without trials", () => {
  expect(clopperPearson(0, 0)).toEqual([0, 1]);
});

function normalScores(random: Random, count: number): ScoredPairs {
  const same = Uint8Array.from({ length: count }, (_, i) => i % 2);
  return { same, scores: Float64Array.from(same, (label) => random.normal() + 1.5 * label) };
}

describe("bootstrap", () => {
  const pairs = normalScores(new Random(4), 400);
  const figures = (curve: Parameters<typeof areaUnder>[0]) => [areaUnder(curve), equalErrorRate(curve)];

  it("is repeatable by its seed", () => {
    expect(bootstrap(pairs, figures, 7)).toEqual(bootstrap(pairs, figures, 7));
    expect(bootstrap(pairs, figures, 7)).not.toEqual(bootstrap(pairs, figures, 8));
  });

  it("holds the measured figures and has the width of the area's standard error", () => {
    const [auc, eer] = figures(rocCurve(pairs));
    const [[aucLow, aucHigh], [eerLow, eerHigh]] = bootstrap(pairs, figures, 7) as [
      [number, number],
      [number, number],
    ];
    expect(aucLow < auc! && auc! < aucHigh).toBe(true);
    expect(eerLow < eer! && eer! < eerHigh).toBe(true);
    // Hanley and McNeil (1982) for 200 against 200.
    const [q1, q2] = [auc! / (2 - auc!), (2 * auc! ** 2) / (1 + auc!)];
    const variance = (auc! * (1 - auc!) + 199 * (q1 - auc! ** 2) + 199 * (q2 - auc! ** 2)) / 200 ** 2;
    expect((aucHigh - aucLow) / (2 * 1.96 * Math.sqrt(variance))).toBeGreaterThan(0.85);
    expect((aucHigh - aucLow) / (2 * 1.96 * Math.sqrt(variance))).toBeLessThan(1.15);
  });

  it("leaves nothing open when all is parted", () => {
    const parted = { scores: Float64Array.of(0.9, 0.8, 0.2, 0.1), same: Uint8Array.of(1, 1, 0, 0) };
    expect(bootstrap(parted, figures, 1)).toEqual([
      [1, 1],
      [0, 0],
    ]);
  });
});
