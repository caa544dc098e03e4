/** @file First weights: their ranges, and what "looks linear" promises. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { Random } from "../base/random.ts";
import { float32, floats } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import { fansOf, glorotUniform, heNormal, looksLinear } from "./initializers.ts";

describe("initializers", () => {
  it("take fans as Keras does", () => {
    expect(fansOf([3, 3, 16, 32])).toEqual({ in: 144, out: 288 });
    expect(fansOf([10, 4])).toEqual({ in: 10, out: 4 });
  });

  it("glorotUniform fills ±√(6 / (in + out))", () => {
    const values = [...glorotUniform([40, 50], new Random(1), fansOf([40, 50])).data];
    const limit = Math.sqrt(6 / 90);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(limit);
    expect(Math.max(...values)).toBeGreaterThan(0.95 * limit);
  });

  it("heNormal has deviation √(2 / in), cut off at two", () => {
    const values = [...heNormal([100, 100], new Random(1), fansOf([100, 100])).data];
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
    expect(deviation).toBeCloseTo(Math.sqrt(2 / 100), 2);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual((2 * Math.sqrt(2 / 100)) / 0.8796 + 1e-6);
  });

  it("looksLinear makes two ReLU layers begin as a linear map", () => {
    const random = new Random(4);
    const first = g.constant(looksLinear(false)([5, 8], random, fansOf([5, 8])));
    const second = g.constant(looksLinear(true)([8, 6], random, fansOf([8, 6])));
    const of = (values: number[]) => {
      const x = g.constant(float32([1, 5], values));
      return floats(evaluate([g.matmul(g.relu(g.matmul(x, first)), second)], {})[0]!);
    };
    const [a, b] = [
      [1, -2, 0.5, 3, -1],
      [-0.5, 1, 2, -1, 4],
    ];
    const sum = of(a.map((value, i) => value + b[i]!));
    expect(sum).toBeAllClose(
      Array.from(of(a), (value, i) => value + of(b)[i]!),
      { absolute: 1e-5 },
    );
  });
});
