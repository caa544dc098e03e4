/** @file Batches by people: deterministic, in groups, fair to people with few photographs. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import type { Identity } from "./identity.ts";
import { samplePhotoGroups } from "./photo-groups.ts";

/** People with so many photographs each; images are numbered through. */
function people(...counts: number[]): Identity[] {
  let index = 0;
  return counts.map((count, person) => ({
    name: `person ${person}`,
    images: Array.from({ length: count }, () => {
      const number = index++;
      return { kind: "file" as const, path: `${number}.jpg`, index: number };
    }),
  }));
}

const options = (count: number, groupSize: number, maxImagesPerId = 40, seed = 3) => ({
  count,
  groupSize,
  maxImagesPerId,
  random: new Random(seed),
});

describe("images by people", () => {
  it("are the same for the same seed and others for another", () => {
    const identities = people(3, 5, 2, 9);
    const drawn = samplePhotoGroups(identities, options(24, 2));
    expect(samplePhotoGroups(identities, options(24, 2))).toEqual(drawn);
    expect(samplePhotoGroups(identities, options(24, 2, 40, 4))).not.toEqual(drawn);
  });

  it("stand in groups of one person, with different photographs where there are enough", () => {
    const identities = people(4, 6, 8);
    const drawn = samplePhotoGroups(identities, options(36, 2));
    for (let i = 0; i < drawn.length; i += 2) {
      expect(drawn[i]!.label).toBe(drawn[i + 1]!.label);
      expect(drawn[i]!.image.index).not.toBe(drawn[i + 1]!.image.index);
    }
    for (const { image, label } of drawn) expect(identities[label]!.images).toContain(image);
  });

  it("show every photograph once in a round when groups divide everybody's photographs", () => {
    const drawn = samplePhotoGroups(people(2, 4, 6), options(12, 2));
    expect(new Set(drawn.map(({ image }) => image.index)).size).toBe(12);
  });

  it("count people with many photographs no more often than asked", () => {
    const drawn = samplePhotoGroups(people(100, 2), options(120, 1, 10));
    expect(drawn.filter(({ label }) => label === 1)).toHaveLength(20);
  });

  it("show a lone photograph again to fill a group", () => {
    const drawn = samplePhotoGroups(people(1, 1), options(4, 2));
    expect(drawn.map(({ image }) => image.index).sort()).toEqual([0, 0, 1, 1]);
  });

  it("need two people", () => {
    expect(() => samplePhotoGroups(people(7), options(4, 2))).toThrow(/only 1 people.*two are needed/);
  });
});
