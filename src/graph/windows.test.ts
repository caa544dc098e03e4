/** @file Margins and output sides of sliding windows. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { outputSize, resolvePads, samePads } from "./windows.ts";

describe("samePads", () => {
  it.each([
    { size: 8, kernel: 3, stride: 2, pads: [0, 1] },
    { size: 7, kernel: 3, stride: 2, pads: [1, 1] },
    { size: 8, kernel: 5, stride: 2, pads: [1, 2] },
    { size: 112, kernel: 5, stride: 1, pads: [2, 2] },
    { size: 5, kernel: 2, stride: 1, pads: [0, 1] },
    { size: 4, kernel: 1, stride: 3, pads: [0, 0] },
  ])("of $size with a window of $kernel and stride $stride is $pads", ({ size, kernel, stride, pads }) => {
    expect(samePads(size, kernel, stride)).toEqual(pads);
  });

  it("counts what a dilated window reaches over", () => {
    expect(samePads(10, 3, 1, 2)).toEqual([2, 2]);
    expect(samePads(10, 3, 2, 3)).toEqual([2, 3]);
  });

  it("gives every stride one window, and no more margin than that takes", () => {
    const sides = fc.integer({ min: 1, max: 40 });
    const small = fc.integer({ min: 1, max: 6 });
    fc.assert(
      fc.property(sides, small, small, small, (size, kernel, stride, dilation) => {
        const pads = samePads(size, kernel, stride, dilation);
        const window = {
          size: [kernel, kernel],
          strides: [stride, stride],
          dilations: [dilation, dilation],
        } as const;
        const explicit = outputSize("test", [size, size], { ...window, padding: [pads, pads] });
        expect(explicit).toEqual(outputSize("test", [size, size], { ...window, padding: "same" }));
        expect(pads[1] - pads[0]).toBeOneOf([0, 1]);
      }),
    );
  });
});

describe("resolvePads", () => {
  it("leaves explicit margins and makes none for valid", () => {
    const explicit = [
      [1, 2],
      [0, 3],
    ] as const;
    expect(resolvePads(explicit, [9, 9], [3, 3], [1, 1])).toBe(explicit);
    expect(resolvePads("valid", [9, 9], [3, 3], [1, 1])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(resolvePads("same", [9, 8], [3, 3], [2, 2])).toEqual([
      [1, 1],
      [0, 1],
    ]);
  });
});

describe("outputSize", () => {
  const window = { size: [3, 3], strides: [2, 2], padding: "valid" } as const;

  it("drops what is left over at the far edge", () => {
    expect(outputSize("test", [8, 7], window)).toEqual([3, 3]);
  });

  it("does not know the output of an unknown side", () => {
    expect(outputSize("test", ["height", 7], window)).toEqual(["?", 3]);
  });

  it("refuses a window larger than the image", () => {
    expect(() => outputSize("maxPool", [2, 7], window)).toThrow(
      "maxPool: a window that spans 3 does not fit a side of 2, margins included",
    );
    expect(() => outputSize("conv2d", [4, 7], { ...window, dilations: [2, 1] })).toThrow("spans 5");
  });
});
