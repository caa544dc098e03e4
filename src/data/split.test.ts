/** @file People are split, never images; nobody is in two parts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Identity } from "./identity.ts";
import { excludeIdentities, splitIdentities } from "./split.ts";

/** People named p0, p1 … with so many images each. */
function people(counts: readonly number[]): Identity[] {
  let index = 0;
  return counts.map((count, number) => ({
    name: `p${number}`,
    images: Array.from({ length: count }, () => ({ kind: "file", path: `${index}.png`, index: index++ })),
  }));
}

const names = (identities: readonly Identity[]) => identities.map(({ name }) => name);

describe("splitIdentities", () => {
  it("puts everybody in exactly one part, whatever the numbers", () => {
    const fractions = fc.constantFrom(0, 0.05, 0.1, 0.3);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 30, maxLength: 120 }),
        fc.integer(),
        fractions,
        fractions,
        (counts, seed, validation, test) => {
          const all = people([...counts, 2, 2, 2, 2, 2, 2, 2, 2]);
          const split = splitIdentities(all, { seed, validation, test });
          const parts = [...names(split.train), ...names(split.validation), ...names(split.test)];
          expect(parts.sort()).toEqual(names(all).sort());
          expect(split.validation.length === 0).toBe(validation === 0);
          expect(split.test.length === 0).toBe(test === 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("depends on the seed and the people, not on their order", () => {
    const all = people(Array(100).fill(3));
    const split = splitIdentities(all, { seed: 5 });
    expect(splitIdentities([...all].reverse(), { seed: 5 })).toEqual(split);
    expect(names(splitIdentities(all, { seed: 6 }).test)).not.toEqual(names(split.test));
    expect([split.train.length, split.validation.length, split.test.length]).toEqual([80, 10, 10]);
  });

  it("gives each part its fraction of the people who can make a positive pair", () => {
    const all = people([...Array(900).fill(1), ...Array(100).fill(4)]);
    const { validation, test } = splitIdentities(all, { seed: 1, validation: 0.2, test: 0.1 });
    const pairable = (part: readonly Identity[]) => part.filter(({ images }) => images.length > 1).length;
    expect([pairable(validation), validation.length]).toEqual([20, 200]);
    expect([pairable(test), test.length]).toEqual([10, 100]);
  });

  it("refuses too few people and impossible fractions", () => {
    const few = people([2, 2, 2, 2, 2, 1, 1, 1]);
    expect(() => splitIdentities(few, { seed: 1 })).toThrow(
      expect.objectContaining({ code: "DATASET_INVALID", message: expect.stringContaining("5 people") }),
    );
    expect(() => splitIdentities(few, { seed: 1, test: 0 })).not.toThrow();
    for (const fractions of [
      { test: 1 },
      { validation: -0.1 },
      { validation: 0.6, test: 0.5 },
      { test: Number.NaN },
    ]) {
      expect(() => splitIdentities(few, { seed: 1, ...fractions })).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID" }),
      );
    }
  });
});

describe("excludeIdentities", () => {
  it("leaves out the people named", () => {
    expect(names(excludeIdentities(people([1, 1, 1]), new Set(["p1", "nobody"])))).toEqual(["p0", "p2"]);
  });
});
