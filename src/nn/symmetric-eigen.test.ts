/** @file Eigenvalues and eigenvectors: what defines them, on matrices easy and awkward. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { symmetricEigen } from "./symmetric-eigen.ts";

type Fill = (i: number, j: number) => number;

const symmetric = (size: number, fill: Fill): Float64Array[] =>
  Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length: size }, (__, j) => fill(Math.min(i, j), Math.max(i, j))),
  );

/** Rows of a matrix with ten times as many columns, each with each: a covariance. */
function covariance(size: number, rank: number): Float64Array[] {
  const random = new Random(7);
  const rows = Array.from({ length: size }, () => Float64Array.from({ length: rank }, () => random.normal()));
  return symmetric(size, (i, j) => rows[i]!.reduce((sum, value, k) => sum + value * rows[j]![k]!, 0) / rank);
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

describe("symmetricEigen", () => {
  it.each([
    ["a covariance", covariance(40, 400)],
    ["one of low rank", covariance(40, 7)],
    ["one of very low rank", covariance(200, 2)],
    ["the unit matrix", symmetric(9, (i, j) => (i === j ? 1 : 0))],
    ["nothing", symmetric(5, () => 0)],
    ["a single number", symmetric(1, () => -3)],
    ["two numbers", symmetric(2, (i, j) => (i === j ? 2 : 1))],
    ["a diagonal in no order", symmetric(6, (i, j) => (i === j ? [3, -1, 7, 7, 0, 2][i]! : 0))],
    ["values of very different size", symmetric(12, (i, j) => 10 ** -(i + j))],
    ["both signs", symmetric(30, (i, j) => Math.sin(i * j + 7.3 * i))],
  ])("finds unit vectors that %s only stretches", (_, matrix) => {
    const before = matrix.map((row) => row.slice());
    const { values, vectors } = symmetricEigen(matrix);
    expect(matrix).toEqual(before);
    expect(values.toSorted((a, b) => b - a)).toEqual(values);
    const size = Math.max(...values.map(Math.abs), 1e-300);
    vectors.forEach((vector, k) => {
      matrix.forEach((row, i) => {
        expect(Math.abs(dot(row, vector) - values[k]! * vector[i]!) / size).toBeLessThan(
          1e-13 * matrix.length,
        );
      });
      vectors.forEach((other, l) => {
        expect(Math.abs(dot(vector, other) - (k === l ? 1 : 0))).toBeLessThan(1e-13 * matrix.length);
      });
    });
  });

  it("says so when there is no answer", () => {
    expect(() => symmetricEigen(symmetric(4, () => Number.NaN))).toThrow(/no eigenvalues/);
  });
});
