/** @file The builder's conveniences and compositions. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { plainNumbers } from "../../test/support/op-case.ts";
import { float32 } from "../base/tensor.ts";
import * as g from "./build.ts";
import { check } from "./check.ts";
import type { Node } from "./ops.ts";

const constant = (shape: number[], values: number[]) => g.constant(float32(shape, values));
const numbers = (node: Node) => plainNumbers(evaluate([node])[0]!);
const images = g.input("images", ["batch", 4, 5, 3]);

describe("plain numbers as operands", () => {
  it.each(["float32", "float64", "float16", "int32", "int64", "uint8"] as const)(
    "take the type of the other side: %s",
    (dtype) => {
      const x = g.input("x", [2], dtype);
      for (const node of [g.add(x, 3), g.sub(3, x), g.less(x, 2)]) {
        expect(node.inputs.map((input) => input.dtype)).toEqual([dtype, dtype]);
        check([node]);
      }
    },
  );

  it("keep their value in every type", () => {
    expect(g.scalar(3, "int64").attrs.value.data).toEqual(BigInt64Array.of(3n));
    expect(g.scalar(1.5, "float16").attrs.value.data).toEqual(Uint16Array.of(0x3e00));
    expect(g.scalar(1, "bool").attrs.value.data).toEqual(Uint8Array.of(1));
  });
});

describe("axes", () => {
  const x = g.input("x", [2, 3, 4]);

  it("count from the end where they are negative", () => {
    expect(g.reduceSum(x, { axes: [-1, 0] }).attrs).toEqual({ axes: [0, 2], keepDims: false });
    expect(g.softmax(x).attrs).toEqual({ axis: 2 });
    expect(g.argMax(x, -2).shape).toEqual([2, 4]);
    expect(g.gather(x, g.input("i", [5], "int64"), -1).shape).toEqual([2, 3, 5]);
    expect(g.concat([x, x], -1).shape).toEqual([2, 3, 8]);
  });

  it("are all of them where none are named", () => {
    expect(g.reduceMean(x).shape).toEqual([]);
    expect(g.reduceMean(x, { keepDims: true }).shape).toEqual([1, 1, 1]);
  });

  it("can be added, before and after unknown sides", () => {
    expect(g.expandDims(images, 1).shape).toEqual(["batch", 1, 4, 5, 3]);
    expect(g.expandDims(images, 0).shape).toEqual([1, "batch", 4, 5, 3]);
    expect(g.expandDims(images, -1).shape).toEqual(["batch", 4, 5, 3, 1]);
  });
});

it("casts to the same type by doing nothing", () => {
  expect(g.cast(images, "float32")).toBe(images);
});

it("concatenates one part by doing nothing", () => {
  expect(g.concat([images], 1)).toBe(images);
});

describe("compositions", () => {
  it("flatten all but the batch", () => {
    expect(g.flatten(images).shape).toEqual(["batch", 60]);
    expect(() => g.flatten(g.input("x", [2, "height", 3]))).toThrow(
      "flatten: every side must be known, got [height, 3]",
    );
  });

  it("average over positions", () => {
    expect(numbers(g.reduceMean(constant([1, 2, 1, 2], [1, 10, 3, 30]), { axes: [1, 2] }))).toEqual([2, 20]);
  });

  it("scale vectors to length 1, and leave a vector of zeros", () => {
    expect(numbers(g.l2Normalize(constant([2, 2], [3, 4, 0, 0])))).toBeAllClose([0.6, 0.8, 0, 0]);
    const length = Math.sqrt(g.L2_EPSILON);
    expect(numbers(g.l2Normalize(constant([1], [length / 2])))).toBeAllClose([0.5]);
  });

  it("drop elements by chance and make up for it", () => {
    const random = (_: string, shape: readonly number[]) => {
      const size = shape[0]!;
      return Float32Array.from({ length: size }, (_, i) => i / size);
    };
    const dropped = g.dropout(constant([10_000], new Array(10_000).fill(1)), 0.2, "dropout");
    const values = plainNumbers(evaluate([dropped], { random })[0]!);
    expect(values.filter((value) => value === 0).length).toBe(2000);
    expect(values.at(-1)).toBeCloseTo(1.25);
    expect(() => g.dropout(images, 0.2, "dropout")).toThrow("dropout: every side must be known");
  });
});
