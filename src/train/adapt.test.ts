/** @file All pairs of few people. */
import { expect, it } from "vitest";
import { Random } from "../base/random.ts";
import type { Identity } from "../data/identity.ts";
import { allPairs } from "./adapt.ts";

it("gives every pair of few people once, and as many as are wanted of more", () => {
  const people = [3, 1, 4].map(
    (count, person): Identity => ({
      name: `p${person}`,
      images: Array.from({ length: count }, (_, i) => ({
        kind: "file" as const,
        index: 10 * person + i,
        path: `${person}/${i}`,
      })),
    }),
  );
  const counts = (wanted: number) => {
    const pairs = allPairs(people, wanted, new Random(1));
    const keys = pairs.map(({ left, right }) =>
      [left.index, right.index].toSorted((a, b) => a - b).join(" "),
    );
    expect(new Set(keys).size).toBe(pairs.length);
    return [pairs.filter(({ same }) => same).length, pairs.filter(({ same }) => !same).length];
  };
  expect(counts(100)).toEqual([3 + 6, 3 + 12 + 4]);
  expect(counts(5)).toEqual([5, 5]);
});
