/** @file Groups by a file of dates and ages: the years between the photographs of a pair, and what is refused. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Identity, ImageRef } from "../data/identity.ts";
import type { Pair } from "../data/pairs.ts";
import { groupReports } from "./groups.ts";

const work = mkdtempSync(join(tmpdir(), "faceid-groups-"));
const image = (index: number): ImageRef => ({ kind: "file", path: join(work, `ann/${index}.jpg`), index });
const identities: Identity[] = [{ name: "ann", images: [0, 1, 2, 3, 4].map(image) }];

/** The pairs of the first photograph with each other one, of which the last one is refused. */
async function reportsOf(csv: string) {
  const groups = join(work, "groups.csv");
  writeFileSync(groups, csv);
  const pairs = [1, 2, 3, 4].map((index): Pair => ({ left: image(0), right: image(index), same: true }));
  const scored = { scores: Float64Array.of(1, 1, 1, 0), same: new Uint8Array(4).fill(1) };
  const reports = await groupReports(
    { groups, config: { datasetPath: work } },
    { identities, scored, pairs, threshold: 0.5 },
  );
  return reports.map(({ attribute, ungrouped, pairs: rows }) => ({
    attribute,
    ungrouped,
    rows: rows.map(({ groups: [a, b], falseNonMatches }) => [
      a === b ? a : `${a} with ${b}`,
      falseNonMatches.pairs,
      falseNonMatches.errors,
    ]),
  }));
}

const rowsOf = (column: string, values: readonly string[]) =>
  `path,${column}\n${values.map((value, i) => `ann/${i}.jpg,${value}\n`).join("")}`;

describe("groups of a file", () => {
  it("have the time between the photographs of a pair, where both dates are known", async () => {
    const dates = ["2010-06", "2010-12-31", "2011-06-01", "2003", ""];
    expect(await reportsOf(rowsOf("date", dates))).toEqual([
      {
        attribute: "time between the photographs",
        ungrouped: 1,
        rows: [
          ["under 1 year", 1, 0],
          ["1 to 5 years", 1, 0],
          ["5 to 10 years", 1, 0],
        ],
      },
    ]);
  });

  it("have the ages beside the gap between them", async () => {
    const [ages, gap] = await reportsOf(rowsOf("age", ["20", "20", "", "", "42.5"]));
    expect(ages!.rows).toEqual([
      ["20", 1, 0],
      ["20 with 42.5", 1, 1],
    ]);
    expect(gap).toEqual({
      attribute: "age gap",
      ungrouped: 2,
      rows: [
        ["under 1 year", 1, 0],
        ["from 10 years", 1, 1],
      ],
    });
  });

  it("are those of the column itself where it speaks of people", async () => {
    expect(await reportsOf("person,age\nann,old\n")).toMatchObject([
      { attribute: "age", rows: [["old", 4, 1]] },
    ]);
  });

  it.each([
    ["date", "31.5.2010"],
    ["date", "2010-02-30"],
    ["year", "10"],
    ["age", "forty"],
  ])("refuse the %s %s", async (column, value) => {
    await expect(reportsOf(rowsOf(column, [value]))).rejects.toMatchObject({
      code: "FILE_INVALID",
      message: expect.stringContaining(`the ${column} "${value}" for ann/0.jpg`),
    });
  });
});
