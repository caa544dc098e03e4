/** @file Rounding of numbers to each element type. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromNumbers, numbersOf, roundHalfToEven } from "./numbers.ts";

const roundTrip = (dtype: "float16" | "bfloat16" | "float32", values: number[]) =>
  Array.from(numbersOf(fromNumbers(dtype, [values.length], values)));

const everyBits = (dtype: "float16" | "bfloat16") => ({
  dtype,
  shape: [1 << 16],
  data: Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits),
});

describe("halves", () => {
  it.each(["float16", "bfloat16"] as const)("%s: every value survives a round trip", (dtype) => {
    const all = everyBits(dtype);
    const numbers = numbersOf(all);
    const again = fromNumbers(dtype, all.shape, numbers).data as Uint16Array;
    const differing = Array.from(all.data).filter((bits, i) => again[i] !== bits);
    expect(differing.every((bits) => Number.isNaN(numbers[bits]))).toBe(true);
  });

  it("knows float16's landmarks", () => {
    const [one, largest, smallest, smallestNormal] = [0x3c00, 0x7bff, 0x0001, 0x0400];
    const data = Uint16Array.of(one, largest, smallest, smallestNormal, 0x8000, 0x7c00, 0xfc00);
    const values = numbersOf({ dtype: "float16", shape: [7], data });
    expect(Array.from(values)).toEqual([1, 65504, 2 ** -24, 2 ** -14, -0, Infinity, -Infinity]);
  });

  it("rounds to the nearest, ties to even, and overflows to infinity", () => {
    expect(roundTrip("float16", [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, -1e9])).toEqual([
      1,
      1 + 2 ** -9,
      65504,
      Infinity,
      -Infinity,
    ]);
    expect(roundTrip("float16", [2 ** -25, 3 * 2 ** -25, 2047.9])).toEqual([0, 2 ** -23, 2048]);
    expect(roundTrip("bfloat16", [1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38])).toEqual([1, 1 + 2 ** -6, Infinity]);
    expect(roundTrip("float16", [Number.NaN])[0]).toBeNaN();
  });

  it("errs by at most half a unit in the last place", () => {
    fc.assert(
      fc.property(fc.double({ min: -60000, max: 60000, noNaN: true }), (value) => {
        const [half] = roundTrip("float16", [value]);
        const unit = 2 ** Math.max(Math.floor(Math.log2(Math.abs(value) || 1)) - 10, -24);
        expect(Math.abs(half! - value)).toBeLessThanOrEqual(unit / 2);
      }),
    );
  });
});

it("rounds halves to even", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6, -2.6].map(roundHalfToEven)).toEqual([
    0, 2, 2, 0, -2, 2, 3, -3,
  ]);
});

it("drops fractions, wraps integers and takes anything but 0 for true", () => {
  const values = [1.9, -1.9, 300, 0];
  expect([...(fromNumbers("int32", [4], values).data as Int32Array)]).toEqual([1, -1, 300, 0]);
  expect([...(fromNumbers("uint8", [4], values).data as Uint8Array)]).toEqual([1, 255, 44, 0]);
  expect([...(fromNumbers("int64", [4], values).data as BigInt64Array)]).toEqual([1n, -1n, 300n, 0n]);
  expect([...(fromNumbers("bool", [4], values).data as Uint8Array)]).toEqual([1, 1, 1, 0]);
  expect([...(fromNumbers("int64", [1], [Number.NaN]).data as BigInt64Array)]).toEqual([0n]);
});

it("refuses strings", () => {
  expect(() => numbersOf({ dtype: "string", shape: [0], data: [] })).toThrow("cannot compute with strings");
});
