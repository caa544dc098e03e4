/** @file Pairs: two different images of one person, or images of two people; the stream alone decides. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import type { Identity, ImageRef } from "./identity.ts";
import { evaluationPairs, samplePairs } from "./pairs.ts";

function people(counts: readonly number[]): Identity[] {
  let index = 0;
  return counts.map((count, number) => ({
    name: `p${number}`,
    images: Array.from({ length: count }, () => ({ kind: "file", path: `${index}.png`, index: index++ })),
  }));
}

/** Who is on an image. */
function owners(identities: readonly Identity[]): Map<ImageRef, string> {
  return new Map(identities.flatMap(({ name, images }) => images.map((image) => [image, name] as const)));
}

/** At least one person with two images, and at least two people. */
const counts = fc
  .array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 20 })
  .map((list) => [2, ...list]);

describe.each([
  ["samplePairs", samplePairs],
  ["evaluationPairs", evaluationPairs],
])("%s", (_, draw) => {
  it("labels pairs truthfully and never pairs an image with itself", () => {
    fc.assert(
      fc.property(counts, fc.integer(), fc.integer({ min: 0, max: 60 }), (list, seed, count) => {
        const identities = people(list);
        const who = owners(identities);
        for (const { left, right, same } of draw(identities, { count, random: new Random(seed) })) {
          expect(left).not.toBe(right);
          expect(who.get(left) === who.get(right)).toBe(same);
        }
      }),
    );
  });

  it("is decided by the stream alone", () => {
    const identities = people([3, 4, 2, 5, 1, 1, 2]);
    const once = draw(identities, { count: 30, random: new Random(9).fork("pairs", 1) });
    expect(draw(identities, { count: 30, random: new Random(9).fork("pairs", 1) })).toEqual(once);
    expect(draw(identities, { count: 30, random: new Random(9).fork("pairs", 2) })).not.toEqual(once);
  });

  it("says why no pair is possible", () => {
    const random = new Random(1);
    expect(() => draw(people([1, 1, 1]), { count: 4, random })).toThrow(
      expect.objectContaining({
        code: "DATASET_INVALID",
        message: expect.stringContaining("no pair of one person"),
      }),
    );
    expect(() => draw(people([5]), { count: 4, random })).toThrow(
      expect.objectContaining({
        code: "DATASET_INVALID",
        message: expect.stringContaining("no pair of two people"),
      }),
    );
    expect(() => draw([], { count: 4, random })).toThrow(
      expect.objectContaining({ code: "DATASET_INVALID" }),
    );
    expect(() => draw(people([2, 2]), { count: 4, random, positiveFraction: 1.5 })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
    expect(draw(people([5]), { count: 4, random, positiveFraction: 1 })).toHaveLength(4);
    expect(draw(people([1, 1, 1, 1]), { count: 4, random, positiveFraction: 0 })).toHaveLength(4);
  });
});

describe("samplePairs", () => {
  it("draws as many as asked for, in the fraction asked for", () => {
    const pairs = samplePairs(people([2, 1, 3]), {
      count: 101,
      random: new Random(3),
      positiveFraction: 0.25,
    });
    expect(pairs).toHaveLength(101);
    expect(pairs.filter(({ same }) => same)).toHaveLength(25);
  });

  it("deals every person equally often, however many images they have", () => {
    const identities = people([2, 40, 2, 3]);
    const who = owners(identities);
    const pairs = samplePairs(identities, { count: 400, random: new Random(1), positiveFraction: 1 });
    for (const { name } of identities)
      expect(pairs.filter(({ left }) => who.get(left) === name)).toHaveLength(100);
  });

  it("uses all images of a person, and both orders of a pair", () => {
    const pairs = samplePairs(people([4, 4]), { count: 600, random: new Random(2), positiveFraction: 1 });
    const seen = new Set(pairs.map(({ left, right }) => `${left.index} ${right.index}`));
    expect(seen.size).toBe(24);
  });
});

describe("evaluationPairs", () => {
  const key = ({ left, right }: { left: ImageRef; right: ImageRef }) =>
    [left.index, right.index].sort((a, b) => a - b).join(" ");

  it("never repeats a pair, in either order", () => {
    fc.assert(
      fc.property(counts, fc.integer(), fc.integer({ min: 0, max: 200 }), (list, seed, count) => {
        const pairs = evaluationPairs(people(list), { count, random: new Random(seed) });
        expect(new Set(pairs.map(key)).size).toBe(pairs.length);
        expect(pairs.length).toBeLessThanOrEqual(count);
      }),
      { numRuns: 50 },
    );
  });

  it("keeps the fraction when the people offer too few pairs of a kind", () => {
    // Three people with two images: three positive pairs, twelve negative ones.
    const pairs = evaluationPairs(people([2, 2, 2]), { count: 100, random: new Random(1) });
    expect(pairs.filter(({ same }) => same)).toHaveLength(3);
    expect(pairs).toHaveLength(6);
    const many = evaluationPairs(people(Array(50).fill(10)), { count: 1000, random: new Random(1) });
    expect(many.filter(({ same }) => same)).toHaveLength(500);
    expect(many).toHaveLength(1000);
  });
});
