/** @file The sizes in which a photograph is searched. */
import { describe, expect, it } from "vitest";
import { borderedScans, scansOf } from "./scans.ts";

const MOST = 3_000_000;
const sizes = (width: number, height: number, half: boolean) =>
  scansOf({ width, height }, MOST, 0, half).map((scan) => [scan.width, scan.height]);

describe("scansOf", () => {
  it("begins at the photograph's size, or the largest that is searched, and ends where a face fills the picture", () => {
    expect(sizes(250, 250, false)).toEqual([[250, 250]]);
    expect(sizes(1000, 600, false)).toEqual([
      [1000, 600],
      [500, 300],
      [250, 150],
    ]);
    expect(sizes(4000, 3000, false)).toEqual([
      [2000, 1500],
      [1000, 750],
      [500, 375],
      [250, 188],
    ]);
  });

  it("begins at half of that", () => {
    expect(sizes(250, 250, true)).toEqual([[125, 125]]);
    expect(sizes(1000, 600, true)).toEqual([
      [500, 300],
      [250, 150],
    ]);
    expect(sizes(4000, 3000, true)).toEqual([
      [1000, 750],
      [500, 375],
      [250, 188],
    ]);
  });

  it("enlarges small photographs, at half to 120 pixels at most", () => {
    expect(sizes(80, 40, false)).toEqual([[160, 80]]);
    expect(sizes(80, 40, true)).toEqual([[120, 60]]);
    expect(sizes(160, 160, true)).toEqual([[120, 120]]);
  });

  it("has no room for a face in a strip, and never more pixels than three times the most", () => {
    for (const [width, height] of [
      [1, 20_000],
      [4, 65_000],
      [4, 750_000],
      [2000, 7],
    ] as const) {
      for (const turns of [0, 0.5, 1]) {
        expect(scansOf({ width, height }, MOST, turns)).toEqual([]);
        expect(borderedScans({ width, height }, turns)).toEqual([]);
      }
    }
    const strips = [
      [40_000, 100],
      [12_000, 1000],
      [8, 60_000],
      [9, 11_000_000],
      [6000, 6000],
      [4000, 3000],
    ];
    for (const [width, height] of strips as [number, number][]) {
      for (const turns of [0, 0.5, 1, 1.5]) {
        for (const scan of scansOf({ width, height }, MOST, turns)) {
          expect(scan.width * scan.height).toBeLessThanOrEqual(3.01 * MOST);
        }
      }
    }
    expect(scansOf({ width: 4000, height: 3000 }, MOST, 0.5)[0]).toMatchObject({ width: 2475, height: 2475 });
  });
});
