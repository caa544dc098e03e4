/** @file The sizes in which a photograph is searched. */
import { describe, expect, it } from "vitest";
import { scansOf } from "./scans.ts";

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
});
