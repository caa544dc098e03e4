/** @file PBM, PGM and PPM files, plain and raw. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readNetpbm } from "./netpbm.ts";

const LIMIT = 10_000;
const bytes = (text: string, ...data: number[]) => Buffer.concat([Buffer.from(text), Buffer.from(data)]);
const grey = (file: Uint8Array) => [...readNetpbm(file, LIMIT).data].filter((_, i) => i % 3 === 0);

describe("readNetpbm", () => {
  it("reads each of the six kinds", () => {
    expect(grey(bytes("P1\n3 2\n101\n0 1 0"))).toEqual([0, 255, 0, 255, 0, 255]);
    expect(grey(bytes("P2 2 1 15\n0 15"))).toEqual([0, 255]);
    expect([...readNetpbm(bytes("P3\n1 2\n255\n1 2 3\n4 5 6"), LIMIT).data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(grey(bytes("P4\n10 2\n", 0xff, 0xc0, 0, 0x40))).toEqual([
      ...Array(10).fill(0),
      ...Array(9).fill(255),
      0,
    ]);
    expect(grey(bytes("P5\n#x\n2 1\n#y\n255\n", 7, 35))).toEqual([7, 35]);
    expect(readNetpbm(bytes("P6 1 1 255\n", 9, 8, 7), LIMIT)).toMatchObject({ width: 1, height: 1 });
  });

  it("scales other maxima, and 16-bit samples, to 255", () => {
    expect(grey(bytes("P5 3 1 100\n", 0, 50, 100))).toEqual([0, 128, 255]);
    expect(grey(bytes("P5 2 1 65535\n", 255, 255, 128, 128))).toEqual([255, 128]);
  });

  it.each([
    ["P5 2 2 255\n\x01\x02", /cut off/],
    ["P2 2 1 255\n1 x", /numbers/],
    ["P1 2 1\n1 2", /bits/],
    ["P5 0 4 255\n", /claims 0x4/],
    ["P5 4 4 70000\n", /maximum 70000/],
    ["P5 1000 1000 255\n", /exceed the limit/],
    ["P2 99 99 255\n1", /cut off/],
    ["P5", /cut off/],
  ])("refuses %j", (text, reason) => {
    expect(() => readNetpbm(Buffer.from(text, "latin1"), LIMIT)).toThrow(reason);
  });

  it("never reads past the end, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.uint8Array({ maxLength: 60 }), (kind, rest) => {
        const file = Buffer.concat([Buffer.from(`P${kind}\n`), rest]);
        try {
          const { data, width, height } = readNetpbm(file, LIMIT);
          expect(data).toHaveLength(width * height * 3);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect((error as Error).message).toMatch(/netpbm|exceed/);
        }
      }),
    );
  });
});
