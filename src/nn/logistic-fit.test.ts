/** @file Logistic regression on one score, against draws from a known line and against its own derivative. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { fitLogistic } from "./logistic-fit.ts";

/** Scores of both kinds: normal with deviation 2, one mean at 7 and the other at 10. */
function drawn(each: number) {
  const random = new Random(6);
  const same = Array.from({ length: 2 * each }, (_, i) => i < each);
  return { same, scores: same.map((kind) => (kind ? 10 : 7) + 2 * random.normal()) };
}

describe("log odds of a score", () => {
  it("are those of two normal distributions: slope (10 − 7) / 4, nothing half-way", () => {
    const { scores, same } = drawn(40_000);
    const { slope, offset } = fitLogistic(scores, same);
    expect(slope).toBeCloseTo(0.75, 1);
    expect(-offset / slope).toBeCloseTo(8.5, 1);
  });

  it("cannot be better on their own pairs", () => {
    const { scores, same } = drawn(300);
    const { slope, offset, loss } = fitLogistic(scores, same);
    const lossAt = (a: number, b: number) =>
      scores.reduce(
        (sum, x, i) => sum + Math.log1p(Math.exp((same[i] ? -1 : 1) * (a * x + b))) / scores.length,
        0,
      );
    expect(lossAt(slope, offset)).toBeCloseTo(loss, 9);
    for (const [a, b] of [
      [1.01, 0],
      [0.99, 0],
      [1, 0.01],
      [1, -0.01],
    ] as const) {
      expect(lossAt(slope * a, offset + b)).toBeGreaterThan(loss);
    }
  });

  it("count both kinds alike, however many there are of each", () => {
    const { scores, same } = drawn(2000);
    const more = fitLogistic(
      [...scores, ...scores.filter((_, i) => !same[i])],
      [...same, ...same.filter((kind) => !kind)],
    );
    const { slope, offset } = fitLogistic(scores, same);
    expect(more.slope).toBeCloseTo(slope, 6);
    expect(more.offset).toBeCloseTo(offset, 6);
  });

  it("stay finite where the kinds are separated entirely", () => {
    const { slope, offset } = fitLogistic([1, 2, 3, 4], [false, false, true, true]);
    expect(Number.isFinite(slope) && Number.isFinite(offset)).toBe(true);
    expect(slope * 2 + offset).toBeLessThan(0);
    expect(slope * 3 + offset).toBeGreaterThan(0);
  });
});
