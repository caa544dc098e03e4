/** @file The head on made-up embeddings: it ranks as the cosine does, and its probabilities hold. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { floats } from "../base/tensor.ts";
import type { LabelledEmbeddings } from "../nn/plda.ts";
import { type EmbeddedPairs, fitHead, logitsOf, squaredDistanceHead } from "./fit-head.ts";

const SIZE = 16;

/** Unit vectors around a direction for each person. */
function made(people: number, photos: number, seed: number): LabelledEmbeddings {
  const random = new Random(seed);
  const rows = Array.from({ length: people }, () => {
    const centre = Array.from({ length: SIZE }, () => random.normal());
    return Array.from({ length: photos }, () => {
      const row = centre.map((value) => value + 0.8 * random.normal());
      return row.map((value) => value / Math.hypot(...row));
    });
  });
  return {
    values: Float32Array.from(rows.flat(2)),
    size: SIZE,
    labels: rows.flatMap((own, label) => own.map(() => label)),
  };
}

/** Each first photograph with the second of the same person, and with the second of the next. */
function pairsOf({ values, labels }: LabelledEmbeddings): EmbeddedPairs {
  const count = labels.length / 2;
  const row = (i: number) => [...values.subarray(i * SIZE, (i + 1) * SIZE)];
  const people = Array.from({ length: count }, (_, i) => i);
  return {
    left: Float32Array.from([...people, ...people].flatMap((i) => row(2 * i))),
    right: Float32Array.from([
      ...people.flatMap((i) => row(2 * i + 1)),
      ...people.flatMap((i) => row(2 * ((i + 1) % count) + 1)),
    ]),
    same: [...people.map(() => true), ...people.map(() => false)],
  };
}

const correlation = (a: readonly number[], b: readonly number[]) => {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  const product = mean(a.map((value, i) => (value - ma) * (b[i]! - mb)));
  return (
    product / Math.sqrt(mean(a.map((value) => (value - ma) ** 2)) * mean(b.map((value) => (value - mb) ** 2)))
  );
};

describe("the head", () => {
  const pairs = pairsOf(made(400, 2, 2));

  it("begins close to the squared distance", async () => {
    const logits = await logitsOf(squaredDistanceHead(made(50, 4, 1)), pairs);
    const squares = pairs.same.map((_, pair) =>
      pairs.left
        .subarray(pair * SIZE, (pair + 1) * SIZE)
        .reduce((sum, value, i) => sum + (value - pairs.right[pair * SIZE + i]!) ** 2, 0),
    );
    expect(correlation([...logits], squares)).toBeLessThan(-0.97);
  });

  it("gives probabilities that hold for people held out, never worse than it began, the same for the same seed", async () => {
    const embeddings = made(100, 4, 1);
    const { weights, losses } = await fitHead(embeddings, pairs, { seed: 1, steps: 20 });
    const logits = await logitsOf(weights, pairs);
    const loss = logits.reduce(
      (sum, z, i) => sum + Math.log1p(Math.exp(pairs.same[i] ? -z : z)) / logits.length,
      0,
    );
    expect(loss).toBeCloseTo(Math.min(losses.begun, losses.learned), 4);
    expect(loss).toBeLessThan(Math.LN2 / 2);
    const again = await fitHead(embeddings, pairs, { seed: 1, steps: 20 });
    for (const [name, value] of weights)
      expect(floats(again.weights.get(name)!), name).toEqual(floats(value));
  });
});
