/** @file The closed form on made-up embeddings, against what they were made from. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { fitPlda, type LabelledEmbeddings, project } from "./plda.ts";
import { symmetricEigen } from "./symmetric-eigen.ts";

describe("eigenvectors of a symmetric matrix", () => {
  it("put the matrix together again, at right angles and in falling order", () => {
    const random = new Random(3);
    const size = 12;
    const half = Array.from({ length: size }, () =>
      Float64Array.from({ length: size }, () => random.normal()),
    );
    const matrix = half.map((row, i) => row.map((value, j) => value + half[j]![i]!));
    const copy = matrix.map((row) => row.slice());
    const { values, vectors } = symmetricEigen(matrix);
    expect(matrix).toEqual(copy);
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const sum = (of: (k: number) => number) => values.reduce((total, _, k) => total + of(k), 0);
        expect(sum((k) => values[k]! * vectors[k]![i]! * vectors[k]![j]!)).toBeCloseTo(matrix[i]![j]!, 9);
        expect(sum((k) => vectors[i]![k]! * vectors[j]![k]!)).toBeCloseTo(i === j ? 1 : 0, 9);
      }
    }
  });

  it("leave a diagonal matrix as it is", () => {
    const { values, vectors } = symmetricEigen([Float64Array.of(1, 0), Float64Array.of(0, 5)]);
    expect([...values]).toEqual([5, 1]);
    expect([...vectors[0]!]).toEqual([0, 1]);
  });
});

/** People along the first three axes, photographs scattered widely along the others. */
function made(people: number, photos: number, seed: number): LabelledEmbeddings {
  const random = new Random(seed);
  const [telling, noisy] = [3, 5];
  const size = telling + noisy;
  const labels: number[] = [];
  const values: number[] = [];
  for (let person = 0; person < people; person++) {
    const centre = Array.from({ length: telling }, () => random.normal());
    for (let photo = 0; photo < photos; photo++) {
      labels.push(person);
      values.push(...centre.map((value) => value + 0.2 * random.normal()));
      for (let i = 0; i < noisy; i++) values.push(2 * random.normal());
    }
  }
  return { values: Float32Array.from(values), size, labels };
}

/** Mean cosine of pairs of one person less that of pairs of two. */
function contrast(values: Float32Array, size: number, labels: readonly number[]): number {
  const sums = { same: [0, 0], other: [0, 0] } as { same: [number, number]; other: [number, number] };
  const row = (i: number) => values.subarray(i * size, (i + 1) * size);
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  for (let i = 0; i < labels.length; i++) {
    for (let j = 0; j < i; j++) {
      const into = labels[i] === labels[j] ? sums.same : sums.other;
      into[0] += dot(row(i), row(j)) / Math.sqrt(dot(row(i), row(i)) * dot(row(j), row(j)));
      into[1] += 1;
    }
  }
  return sums.same[0] / sums.same[1] - sums.other[0] / sums.other[1];
}

describe("the metric", () => {
  const metric = fitPlda(made(200, 4, 1), 3);

  it("finds the axes that tell people apart and all but drops the others", () => {
    const length = (from: number) => Math.hypot(...metric.kernel.subarray(from * 3, from * 3 + 3));
    const telling = [0, 1, 2].map(length);
    const noisy = [3, 4, 5, 6, 7].map(length);
    expect(Math.min(...telling)).toBeGreaterThan(10 * Math.max(...noisy));
  });

  it("brings strangers' photographs of one person together", () => {
    const strangers = made(40, 3, 2);
    const mapped = project(metric, strangers.values, strangers.size);
    const before = contrast(strangers.values, strangers.size, strangers.labels);
    const after = contrast(mapped, 3, strangers.labels);
    expect(before).toBeLessThan(0.3);
    expect(after).toBeGreaterThan(0.8);
  });

  it("scales what it maps to length 1", () => {
    const { values, size } = made(5, 2, 3);
    const mapped = project(metric, values, size);
    for (let i = 0; i < 10; i++) expect(Math.hypot(...mapped.subarray(i * 3, i * 3 + 3))).toBeCloseTo(1, 5);
  });

  it("does not mind people with one photograph", () => {
    const { values, size, labels } = made(200, 4, 1);
    const alone = Float32Array.from([...values, ...Array(size).fill(9)]);
    expect(fitPlda({ values: alone, size, labels: [...labels, 999] }, 3)).toEqual(metric);
  });
});
