/** @file Open sets over several splits, beside the measure of one split and with people who are far apart or not. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { type EmbeddedPerson, measureIdentification } from "./identification.ts";
import { measureOpenSet, type OpenSetReport } from "./open-set.ts";
import { openSetText } from "./open-set-text.ts";
import { openSetSection } from "./report-open-set.ts";

const DIMENSIONS = 32;
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const compare = async (probe: Float32Array, templates: readonly Float32Array[]) =>
  templates.map((each) => dot(probe, each));

function unit(values: Float32Array): Float32Array {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

function crowd(people: number, photographs: number, spread: number): EmbeddedPerson[] {
  const random = new Random(3);
  return Array.from({ length: people }, (_, i) => {
    const centre = unit(Float32Array.from({ length: DIMENSIONS }, () => random.normal()));
    const embeddings = Array.from({ length: photographs }, () =>
      unit(centre.map((value) => value + (spread * random.normal()) / Math.sqrt(DIMENSIONS))),
    );
    return { name: `person ${i}`, embeddings };
  });
}

const within = ({ value, interval: [low, high] }: OpenSetReport["cmc"][number]["rate"]) =>
  low! <= value && value <= high!;

describe("measureOpenSet", () => {
  it.each(["best", "centroid"] as const)("finds what one split finds, by %s", async (template) => {
    const people = crowd(200, 3, 1.6);
    const report = await measureOpenSet(people, { template, compare, splits: 2, seed: 4 });
    for (const [i, seed] of [4, 5].entries()) {
      const one = measureIdentification(people, { template, seed, similarity: dot });
      expect(report.bySplit[i]!.rankOne).toBe(one.rankOne);
      const dirs = report.bySplit[i]!.points.map(({ dir }) => dir);
      expect(dirs).toEqual(one.points.map(({ dir }) => dir));
    }
    expect(report).toMatchObject({
      people: 200,
      photographs: 600,
      enrolled: 100,
      mated: 100,
      strangers: 100,
    });
    const mean = (report.bySplit[0]!.rankOne + report.bySplit[1]!.rankOne) / 2;
    expect(report.cmc[0]!.rate.value).toBeCloseTo(mean, 12);
  });

  it("has rising curves within their intervals", async () => {
    const { cmc, points, curve } = await measureOpenSet(crowd(150, 2, 2), { template: "best", compare });
    for (const list of [
      cmc.map(({ rate }) => rate),
      points.map(({ dir }) => dir),
      curve.map(({ dir }) => dir),
    ]) {
      expect(list.every(within)).toBe(true);
      const values = list.map(({ value }) => value);
      expect(values).toEqual(values.toSorted((a, b) => a - b));
      expect(values[0]).toBeLessThan(1);
    }
    expect(points.map(({ fpir }) => fpir)).toEqual([0.03, 0.1, 0.3]);
    expect(curve[0]!.fpir).toBeCloseTo(1 / 75, 12);
  });

  it("is right about people who are far apart, the same for a seed, and reports each search", async () => {
    let last: [number, number] = [0, 0];
    const people = crowd(40, 3, 0.1);
    const options = { template: "centroid", compare, splits: 2 } as const;
    const report = await measureOpenSet(people, { ...options, onSearch: (...now) => (last = now) });
    // Twenty searches that all succeed do not prove that none fails (Wilson: 20 ÷ (20 + 1.96²)).
    const [low, high] = report.cmc[0]!.rate.interval;
    expect([report.cmc[0]!.rate.value, high]).toEqual([1, 1]);
    expect(low).toBeCloseTo(20 / (20 + 1.96 ** 2), 4);
    // Everybody is among twenty candidates of twenty.
    expect(report.cmc.map(({ rank }) => rank)).toEqual([1, 2, 3, 5, 10]);
    expect(openSetText({ ...report, dataset: "drawn" })).toContain(
      "DIR at FPIR 3 %    n/a: takes 34 strangers, 20 were searched for",
    );
    expect(last).toEqual([80, 80]);
    expect(await measureOpenSet(people, options)).toEqual(report);
    expect(await measureOpenSet(people, { ...options, seed: 7 })).not.toEqual(report);
  });

  it("is reported of two people too, whose one stranger gives no rate to draw", async () => {
    const report = await measureOpenSet(crowd(2, 2, 0.1), { template: "best", compare });
    expect([report.curve, report.points]).toEqual([[], []]);
    const { source: text } = openSetSection({ ...report, dataset: "drawn" });
    expect(text).toContain("CMC: enrolled people");
    expect(text).not.toContain("DIR over FPIR. Band");
  });

  it("refuses fewer than two people with several photographs", async () => {
    const people = [...crowd(1, 2, 1), ...crowd(5, 1, 1).map((each, i) => ({ ...each, name: `s${i}` }))];
    await expect(measureOpenSet(people, { template: "best", compare })).rejects.toMatchObject({
      code: "DATASET_INVALID",
    });
  });
});
