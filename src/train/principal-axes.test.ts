/** @file Principal axes: those of rows whose axes are known, and those that a full decomposition finds. */
import { describe, expect, it } from "vitest";
import { Random } from "../base/random.ts";
import { symmetricEigen } from "../nn/symmetric-eigen.ts";
import { principalAxes } from "./principal-axes.ts";

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);

/** Rows around a mean, with a deviation of their own along each of a few fixed directions. */
function rowsAlong(deviations: readonly number[], size: number, count: number) {
  const random = new Random(3);
  const directions = deviations.map((_, k) =>
    Float64Array.from(
      { length: size },
      (_, i) => Math.sqrt(2 / size) * Math.cos((Math.PI * (i + 0.5) * (k + 1)) / size),
    ),
  );
  const rows = new Float32Array(count * size);
  for (let row = 0; row < count; row++) {
    const along = deviations.map((deviation) => deviation * random.normal());
    for (let i = 0; i < size; i++) {
      rows[row * size + i] =
        i / size + directions.reduce((sum, direction, k) => sum + along[k]! * direction[i]!, 0);
    }
  }
  return { rows, directions };
}

describe("principal axes", () => {
  it("are the directions that the rows were made of, and no others", async () => {
    const size = 90;
    const { rows, directions } = rowsAlong([5, 3, 1], size, 4000);
    const found = await principalAxes(rows, { size, length: 8, random: new Random(1) });
    expect(found.axes).toHaveLength(3);
    directions.forEach((direction, k) => {
      expect(Math.abs(dot(direction, found.axes[k]!))).toBeGreaterThan(0.995);
    });
    expect(found.variances[0]! / 25).toBeCloseTo(1, 1);
    expect(found.variances[2]!).toBeCloseTo(1, 1);
  });

  it("are those of a full decomposition", async () => {
    const [size, count] = [60, 500];
    const random = new Random(5);
    const rows = Float32Array.from({ length: count * size }, (_, i) => random.normal() / (1 + (i % size)));
    const found = await principalAxes(rows, { size, length: 10, random: new Random(2) });
    const centred = (row: number, i: number) => rows[row * size + i]! - found.mean[i]!;
    const covariance = Array.from({ length: size }, (_, i) =>
      Float64Array.from({ length: size }, (_, j) => {
        let sum = 0;
        for (let row = 0; row < count; row++) sum += centred(row, i) * centred(row, j);
        return sum / count;
      }),
    );
    const full = symmetricEigen(covariance);
    found.axes.forEach((axis, k) => {
      expect(found.variances[k]! / full.values[k]!).toBeCloseTo(1, 4);
      expect(Math.abs(dot(axis, full.vectors[k]!))).toBeCloseTo(1, 4);
    });
    expect(found.axes).toHaveLength(10);
  });

  it("refuses a single row", async () => {
    const options = { size: 4, length: 2, random: new Random(1) };
    await expect(principalAxes(new Float32Array(4), options)).rejects.toThrow(/need at least two images/);
  });
});
