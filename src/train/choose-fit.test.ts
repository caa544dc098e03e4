/** @file What is fitted to embeddings or trained further: what helps people who are held out, nothing else. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { chooseFit, compareTuned } from "./choose-fit.ts";

const SIZE = 8;

/** People as directions; their images differ from them by noise, most of it along the first axes if `loud`. */
function people(count: number, images: number, loud: number) {
  const random = new Random(3);
  const values = new Float32Array(count * images * SIZE);
  const labels: number[] = [];
  for (let person = 0; person < count; person++) {
    const centre = Array.from({ length: SIZE }, () => random.normal());
    for (let image = 0; image < images; image++) {
      const row = centre.map((value, i) => value + (i < 3 ? loud : 0.3) * random.normal());
      const norm = Math.hypot(...row);
      values.set(
        row.map((value) => value / norm),
        labels.length * SIZE,
      );
      labels.push(person);
    }
  }
  return { values, size: SIZE, labels };
}

describe("chooseFit", () => {
  it("chooses a projection that beats the cosine on people held out in turn", async () => {
    const { folds, trials, chosen } = await chooseFit(people(40, 5, 3), { seed: 1 });
    expect(folds).toBe(5);
    const [plain] = trials;
    const best = trials.find(({ fit }) => fit === chosen)!;
    expect(chosen.projection).toBeDefined();
    expect(best.loss).toBeLessThan(plain!.loss);
    expect(best.eer).toBeLessThanOrEqual(plain!.eer);
  });

  it("keeps the cosine where names say nothing", async () => {
    const random = new Random(5);
    const mixed = people(40, 5, 0.3);
    const { chosen } = await chooseFit({ ...mixed, labels: random.shuffle(mixed.labels) }, { seed: 1 });
    expect(chosen).toEqual({ head: "cosine" });
  });

  it.each([0, 1, 2, 3])("keeps the cosine of %i people, who make no two folds", async (count) => {
    const { folds, trials, chosen } = await chooseFit(people(count, 4, 3), { seed: 1 });
    expect([folds, trials, chosen]).toEqual([0, [], { head: "cosine" }]);
  });
});

describe("compareTuned", () => {
  /** The same people with so much noise. */
  const noisy = (loud: number) => people(40, 5, loud);

  it("keeps a network that tells people held out apart better, and no other", async () => {
    const better = await compareTuned(noisy(3), noisy(0.3), { seed: 1 });
    expect(better).toMatchObject({ folds: 5, people: 40, isKept: true });
    expect(better!.tuned.loss).toBeLessThan(better!.plain.loss);
    for (const worse of [noisy(3), noisy(0.3)]) {
      expect(await compareTuned(noisy(0.3), worse, { seed: 1 })).toMatchObject({ isKept: false });
    }
  });

  it("compares nothing on people who make no two folds", async () => {
    expect(await compareTuned(people(3, 4, 3), people(3, 4, 1), { seed: 1 })).toBeUndefined();
  });
});
