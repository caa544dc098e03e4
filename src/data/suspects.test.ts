/** @file Suspects by embeddings: each finding where it belongs, and nothing on clean labels. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { findSuspects, type LabelledPhoto, type StrongPair, SUSPECT_LIMITS } from "./suspects.ts";

const SIZE = 64;

/** A face's direction with some noise of its own; `spread` 0 makes the same picture. */
function photo(person: string, face: number, shot: number, spread = 0.8): LabelledPhoto {
  const of = (...seeds: (string | number)[]) => {
    const random = new Random(1).fork(...seeds);
    return Array.from({ length: SIZE }, () => random.normal());
  };
  const [base, noise] = [of("face", face), of("shot", face, shot)];
  const row = base.map((value, i) => value + spread * noise[i]!);
  const norm = Math.hypot(...row);
  return {
    path: `${person}/${shot}.jpg`,
    person,
    embedding: Float32Array.from(row, (value) => value / norm),
  };
}

function suspects(photos: readonly LabelledPhoto[]) {
  const strong: StrongPair[] = [];
  for (const [a, left] of photos.entries()) {
    for (const [b, right] of photos.entries()) {
      const similarity = left.embedding.reduce((sum, value, i) => sum + value * right.embedding[i]!, 0);
      if (b < a && left.person !== right.person && similarity >= SUSPECT_LIMITS.strong)
        strong.push({ a, b, similarity });
    }
  }
  return findSuspects(photos, strong).map(({ path, finding, other }) => [
    path,
    finding,
    other?.split("/")[0],
  ]);
}

const anna = [0, 1, 2].map((shot) => photo("Anna", 1, shot));
const bert = [10, 11, 12].map((shot) => photo("Bert", 2, shot));

describe("findSuspects", () => {
  it("finds nothing among right labels", () => {
    expect(suspects([...anna, ...bert, photo("Cora", 3, 20)])).toEqual([]);
  });

  it("finds a photograph of another person, known or not", () => {
    expect(suspects([...anna, ...bert, photo("Anna", 2, 30)])).toEqual([
      ["Anna/30.jpg", "wrong label", "Bert"],
    ]);
    expect(suspects([...anna, ...bert, photo("Anna", 7, 31)])).toEqual([
      ["Anna/31.jpg", "wrong label", "Anna"],
    ]);
  });

  it("says which of two is wrong where one is known elsewhere, and that it cannot tell where none is", () => {
    const two = [photo("Dora", 4, 40), photo("Dora", 2, 41)];
    expect(suspects([...anna, ...bert, ...two])).toEqual([["Dora/41.jpg", "wrong label", "Bert"]]);
    expect(suspects([...anna, photo("Dora", 4, 40), photo("Dora", 5, 41)])).toEqual([
      ["Dora/40.jpg", "labels in conflict", "Dora"],
      ["Dora/41.jpg", "labels in conflict", "Dora"],
    ]);
  });

  it("finds one person under two names, by the one with fewer photographs", () => {
    const again = [photo("Anne", 1, 50), photo("Anne", 1, 51)];
    expect(suspects([...anna, ...again, ...bert])).toEqual([
      ["Anne/50.jpg", "two names", "Anna"],
      ["Anne/51.jpg", "two names", "Anna"],
    ]);
  });

  it("finds nearly equal pictures of one person and keeps the first", () => {
    expect(suspects([...anna, photo("Eva", 6, 60, 0.05), photo("Eva", 6, 61, 0.05)])).toEqual([
      ["Eva/61.jpg", "near duplicate", "Eva"],
    ]);
  });
});
