/** @file Pairwise and B-cubed agreement beside values computed by hand. */
import { describe, expect, it } from "vitest";
import { measureClusters } from "./clustering.ts";

describe("measureClusters", () => {
  it("is 1 for the people themselves", () => {
    const { pairwise, bCubed } = measureClusters([[0, 1], [2]], ["a", "a", "b"]);
    expect([pairwise, bCubed]).toEqual(Array(2).fill({ precision: 1, recall: 1, f1: 1 }));
  });

  it("counts pairs and faces as in the definitions", () => {
    // Of three pairs in clusters one is right; of two pairs of one person one is together.
    const report = measureClusters([[0, 1, 2], [3], [4]], ["a", "a", "b", "b", "c"]);
    expect(report).toMatchObject({ faces: 5, people: 3, clusters: 3 });
    expect(report.pairwise.precision).toBeCloseTo(1 / 3, 12);
    expect(report.pairwise.recall).toBe(1 / 2);
    expect(report.bCubed.precision).toBeCloseTo((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5, 12);
    expect(report.bCubed.recall).toBeCloseTo((1 + 1 + 1 / 2 + 1 / 2 + 1) / 5, 12);
    const { precision, recall, f1 } = report.bCubed;
    expect(f1).toBeCloseTo((2 * precision * recall) / (precision + recall), 12);
  });

  it("finds nothing wrong with faces that are all alone", () => {
    expect(measureClusters([[0], [1]], ["a", "b"]).pairwise.f1).toBe(1);
    expect(measureClusters([[0], [1]], ["a", "a"]).pairwise).toEqual({ precision: 1, recall: 0, f1: 0 });
    expect(measureClusters([], []).bCubed.f1).toBe(1);
  });
});
