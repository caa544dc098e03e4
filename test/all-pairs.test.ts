/** @file Calibration on all pairs: counted by hand, and intervals that widen when photographs are copies. */
import { describe, expect, it } from "vitest";
import { calibrateAllPairs, type PersonEmbeddings } from "../bench/all-pairs.ts";
import { Random } from "../src/base/random.ts";
import { clopperPearson } from "../src/evaluate/intervals.ts";
import { ratesAt } from "../src/evaluate/thresholds.ts";

const SIZE = 8;

function unit(vector: readonly number[]): Float32Array {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => value / length);
}

/** People around centres of their own, with one to four photographs each. */
function drawnPeople(count: number, seed: number): PersonEmbeddings[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const centre = Array.from({ length: SIZE }, () => random.normal());
    return Array.from({ length: 1 + random.integer(4) }, () =>
      unit(centre.map((value) => value + 0.7 * random.normal())),
    );
  });
}

/** Every pair with its score, by two loops over photographs. */
function pairsOf(people: readonly PersonEmbeddings[]) {
  const rows = people.flatMap((photographs, person) => photographs.map((values) => ({ person, values })));
  const scores: number[] = [];
  const same: number[] = [];
  for (const [i, a] of rows.entries()) {
    for (const b of rows.slice(i + 1)) {
      scores.push(a.values.reduce((sum, value, k) => sum + value * b.values[k]!, 0));
      same.push(a.person === b.person ? 1 : 0);
    }
  }
  return { scores: Float64Array.from(scores), same: Uint8Array.from(same) };
}

const OPTIONS = {
  fars: [0.1, 0.01],
  usualFar: 0.01,
  resamples: 400,
  data: { dataset: "drawn", people: "all" },
};

describe("calibrateAllPairs", () => {
  const people = drawnPeople(60, 4);
  const record = calibrateAllPairs(people, OPTIONS);
  const pairs = pairsOf(people);

  it("measures what counting every pair gives", () => {
    const positives = pairs.same.reduce((sum, same) => sum + same, 0);
    expect(record.data).toEqual({
      dataset: "drawn",
      people: "all",
      positives,
      negatives: pairs.same.length - positives,
    });
    expect(record.operatingPoints.map(({ far }) => far)).toEqual([0.1, 0.01]);
    for (const { threshold, measuredFar, measuredTar } of record.operatingPoints) {
      const { far, tar } = ratesAt(pairs, threshold);
      expect(measuredFar.value).toBeCloseTo(far.value, 12);
      expect(measuredTar.value).toBeCloseTo(tar.value, 12);
    }
  });

  it("keeps to each rate with the lowest threshold that does", () => {
    const { negatives } = record.data;
    for (const { far, measuredFar } of record.operatingPoints) {
      expect(measuredFar.value).toBeLessThanOrEqual(far);
      expect(measuredFar.value + 1 / negatives).toBeGreaterThan(far);
    }
  });

  it("holds as its threshold the one of the usual rate", () => {
    const [, usual] = record.operatingPoints;
    expect(record.threshold).toBe(usual!.threshold);
    expect(record.measuredFar).toEqual(usual!.measuredFar);
  });

  it("gives intervals around the rates that are wider than those of independent pairs", () => {
    for (const { measuredFar, measuredTar } of record.operatingPoints) {
      for (const { value, interval } of [measuredFar, measuredTar]) {
        expect(interval[0]).toBeLessThan(value);
        expect(interval[1]).toBeGreaterThan(value);
      }
    }
    const [{ measuredFar }] = record.operatingPoints as [(typeof record.operatingPoints)[0]];
    const { negatives } = record.data;
    const [low, high] = clopperPearson(Math.round(measuredFar.value * negatives), negatives);
    expect(measuredFar.interval[1] - measuredFar.interval[0]).toBeGreaterThan(high - low);
  });

  it("draws no certainty from copies of the same photographs", () => {
    const copied = people.map((photographs) => [photographs, photographs, photographs].flat());
    const [once] = record.operatingPoints;
    const [thrice] = calibrateAllPairs(copied, OPTIONS).operatingPoints;
    const width = ({ interval: [low, high] }: { interval: [number, number] }) => high - low;
    expect(width(thrice!.measuredFar)).toBeGreaterThan(0.8 * width(once!.measuredFar));
  });

  it("covers the true rate of other people in most draws", () => {
    // All embeddings of one distribution: the rate at a threshold is that of any other people.
    const { threshold } = calibrateAllPairs(drawnPeople(500, 99), { ...OPTIONS, resamples: 2 });
    const truth = ratesAt(pairsOf(drawnPeople(500, 98)), threshold).far.value;
    let covered = 0;
    for (let seed = 0; seed < 40; seed++) {
      const drawn = drawnPeople(60, 1000 + seed);
      const point = calibrateAllPairs(drawn, { ...OPTIONS, resamples: 200 });
      // The interval is of the rate at the threshold found; its relative width holds for the rate at a fixed one.
      const [low, high] = point.measuredFar!.interval.map((each) => each / point.measuredFar!.value);
      const fixed = ratesAt(pairsOf(drawn), threshold).far.value;
      if (truth >= fixed * low! && truth <= fixed * high!) covered++;
    }
    expect(covered).toBeGreaterThan(28);
  });

  it("refuses people with one photograph each, and one person alone", () => {
    const alone = people.map((photographs) => photographs.slice(0, 1));
    const error = expect.objectContaining({ code: "DATASET_INVALID" });
    expect(() => calibrateAllPairs(alone, OPTIONS)).toThrow(error);
    expect(() => calibrateAllPairs([[...people[0]!, ...people[0]!]], OPTIONS)).toThrow(error);
  });
});
