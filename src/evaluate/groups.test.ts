/** @file Error rates by groups: counted by hand, with too few pairs said, and differentials over groups. */
import { describe, expect, it } from "vitest";
import type { ImageRef } from "../data/identity.ts";
import type { Pair } from "../data/pairs.ts";
import { type Attribute, groupReport, groupText } from "./groups.ts";

const image = (index: number): ImageRef => ({ kind: "file", path: `${index}.jpg`, index });
/** Images below 10 are of group a, below 20 of b, others of none. */
const attribute: Attribute = {
  name: "kind",
  groupsOf({ left, right }) {
    const [a, b] = [left, right].map(({ index }) => (index < 10 ? "a" : index < 20 ? "b" : undefined));
    return a && b ? [a, b] : undefined;
  },
};

/** So many pairs of two images, of which the first few are wrong. */
function block(left: number, right: number, same: boolean, count: number, wrong: number) {
  return Array.from({ length: count }, (_, i) => ({
    pair: { left: image(left), right: image(right), same } satisfies Pair,
    score: same === i >= wrong ? 1 : 0,
  }));
}

function reportOf(blocks: ReturnType<typeof block>) {
  const scored = {
    scores: Float64Array.from(blocks, ({ score }) => score),
    same: Uint8Array.from(blocks, ({ pair }) => (pair.same ? 1 : 0)),
  };
  const pairs = blocks.map(({ pair }) => pair);
  return groupReport(scored, pairs, attribute, 0.5);
}

describe("groupReport", () => {
  const report = reportOf([
    ...block(1, 2, false, 200, 2),
    ...block(1, 2, true, 100, 1),
    ...block(11, 12, false, 200, 8),
    ...block(11, 12, true, 100, 4),
    ...block(11, 2, false, 300, 3),
    ...block(1, 30, false, 5, 5),
  ]);

  it("counts errors of each group and of pairs of groups, in either order", () => {
    const rates = report.pairs.map(({ groups, falseMatches, falseNonMatches }) => [
      groups.join(" "),
      falseMatches.rate?.value,
      falseNonMatches.rate?.value,
    ]);
    expect(rates).toEqual([
      ["a a", 0.01, 0.01],
      ["a b", 0.01, undefined],
      ["b b", 0.04, 0.04],
    ]);
    expect(report.ungrouped).toBe(5);
  });

  it("lists groups in the attribute's order, and those of a file by name with numbers by their size", () => {
    const listed = (groups: readonly string[], order?: readonly string[]) => {
      const own = {
        name: "kind",
        groupsOf: ({ left }: Pair) => [groups[left.index]!, groups[left.index]!] as const,
      };
      const pairs = groups.map((_, i): Pair => ({ left: image(i), right: image(i), same: true }));
      const scored = { scores: new Float64Array(pairs.length), same: new Uint8Array(pairs.length).fill(1) };
      const found = groupReport(scored, pairs, order === undefined ? own : { ...own, order }, 0.5);
      return found.pairs.map((row) => row.groups[0]);
    };
    const sizes = ["15 to 30°", "from 30°", "under 15°"];
    const rising = ["under 15°", "15 to 30°", "from 30°"];
    expect(listed(sizes, rising)).toEqual(rising);
    expect(listed(["100", "20", "9"])).toEqual(["9", "20", "100"]);
  });

  it("gives the differentials of the groups", () => {
    expect(report.falsePositiveDifferential).toMatchObject({
      greatest: "b",
      smallest: "a",
      ratio: 4,
      overMean: expect.closeTo(2),
    });
    expect(report.falseNegativeDifferential).toMatchObject({
      greatest: "b",
      smallest: "a",
      ratio: 4,
      overMean: expect.closeTo(2),
    });
  });

  it("says how many pairs a rate lacks, and that no ratio exists without an error", () => {
    const few = reportOf([
      ...block(1, 2, false, 99, 0),
      ...block(11, 12, false, 100, 0),
      ...block(1, 2, true, 1, 0),
    ]);
    expect(groupText(few)).toContain("n/a: needs at least 100 pairs, has 99");
    expect(few.falsePositiveDifferential).toBeUndefined();
    const none = reportOf([...block(1, 2, false, 100, 0), ...block(11, 12, false, 100, 3)]);
    expect(none.falsePositiveDifferential).toEqual({ greatest: "b", smallest: "a" });
  });
});
