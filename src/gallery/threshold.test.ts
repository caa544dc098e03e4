/** @file From the wanted rate of false identifications and the number of comparisons to a threshold. */
import { describe, expect, it } from "vitest";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { ratePerComparison, ratePerSearch, searchThreshold } from "./threshold.ts";

const rate = (value: number, ratio = 1) => ({
  value,
  interval: [value / ratio, value * ratio] as [number, number],
});
const point = (far: number, threshold: number, ratio = 2) => ({
  far,
  threshold,
  measuredFar: rate(far, ratio),
  measuredTar: rate(0.99),
});
const record = (points: CalibrationRecord["operatingPoints"]): CalibrationRecord => ({
  threshold: 0.3,
  operatingPoints: points,
  data: { dataset: "d", people: "p", positives: 1, negatives: 1 },
});
const RECORD = record([point(1e-1, 0.2), point(1e-2, 0.3), point(1e-3, 0.4), point(1e-4, 0.5)]);

describe("the rate per comparison", () => {
  it("is the rate itself for one comparison", () => {
    expect(ratePerComparison(0.01, 1)).toBeCloseTo(0.01, 15);
  });

  it.each([1, 10, 1000, 1e6])("is undone by the rate per search for %d comparisons", (n) => {
    for (const fpir of [1e-6, 0.01, 0.5]) {
      expect(ratePerSearch(ratePerComparison(fpir, n), n)).toBeCloseTo(fpir, 12);
    }
  });

  it("keeps its digits for a million comparisons, where 1 − (1 − m)^N loses them", () => {
    expect(ratePerComparison(0.01, 1e6)).toBeCloseTo(1.0050335802997e-8, 20);
  });
});

describe("searchThreshold", () => {
  it("is the measured threshold at a measured rate", () => {
    const { threshold, fpir, extrapolated } = searchThreshold(RECORD, 1e-3, 1);
    expect(threshold).toBeCloseTo(0.4, 12);
    expect(extrapolated).toBe(false);
    expect(fpir.estimate).toBe(1e-3);
    expect(fpir.low).toBeCloseTo(5e-4, 12);
    expect(fpir.high).toBeCloseTo(2e-3, 12);
  });

  it("rises with the logarithm of the number of comparisons", () => {
    expect(searchThreshold(RECORD, 0.01, 10).threshold).toBeCloseTo(0.4, 3);
    expect(searchThreshold(RECORD, 0.01, 100).threshold).toBeCloseTo(0.5, 3);
    expect(searchThreshold(RECORD, 0.01, 1000).threshold).toBeCloseTo(0.6, 3);
  });

  it("says when the rate lies beyond what was measured", () => {
    expect(searchThreshold(RECORD, 0.01, 90).extrapolated).toBe(false);
    expect(searchThreshold(RECORD, 0.01, 110).extrapolated).toBe(true);
    expect(searchThreshold(RECORD, 0.5, 1).extrapolated).toBe(true);
  });

  it("takes an empty gallery for one comparison", () => {
    expect(searchThreshold(RECORD, 0.01, 0)).toMatchObject({ comparisons: 1 });
  });

  it.each([0, 1, -0.1, 2, Number.NaN])("refuses the rate %d", (fpir) => {
    expect(() => searchThreshold(RECORD, fpir, 10)).toThrow(/between 0 and 1/);
  });

  it("refuses a record that has fewer than two rates", () => {
    for (const few of [
      undefined,
      record([]),
      record([point(0.1, 0.2)]),
      record([point(0, 0.9), point(0.1, 0.2)]),
    ]) {
      expect(() => searchThreshold(few, 0.01, 10)).toThrow(/fewer than two rates/);
    }
  });
});
