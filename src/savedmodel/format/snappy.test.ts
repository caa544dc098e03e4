/** @file Snappy blocks, well formed and hostile. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FaceError } from "../../base/errors.ts";
import { unpackSnappy } from "./snappy.ts";

const unpack = (...bytes: number[]) =>
  Buffer.from(unpackSnappy(Uint8Array.from(bytes), "block")).toString("latin1");
const codes = (text: string) => [...Buffer.from(text)];

describe("unpackSnappy", () => {
  it("reads literals", () => {
    expect(unpack(3, (3 - 1) << 2, ...codes("abc"))).toBe("abc");
  });

  it("reads literals whose length takes bytes of its own", () => {
    const text = "x".repeat(300);
    expect(unpack(0xac, 0x02, 61 << 2, 43, 1, ...codes(text))).toBe(text);
  });

  it("repeats near and far pieces, also overlapping ones", () => {
    expect(unpack(8, (2 - 1) << 2, ...codes("ab"), ((6 - 4) << 2) | 1, 2)).toBe("abababab");
    expect(unpack(7, (4 - 1) << 2, ...codes("abcd"), ((3 - 1) << 2) | 2, 4, 0)).toBe("abcdabc");
    expect(unpack(5, (4 - 1) << 2, ...codes("abcd"), ((1 - 1) << 2) | 3, 1, 0, 0, 0)).toBe("abcdd");
  });

  it.each([
    ["an impossible length", [0xff, 0xff, 0xff, 0xff, 0x0f, 0]],
    ["a length that is not reached", [4, 0, 65]],
    ["more than it claims", [1, 4, 65, 66]],
    ["a distance before its beginning", [4, 0, 65, 1, 9]],
    ["distance 0", [5, 0, 65, 1, 0]],
    ["an end in the middle", [9, 32, 65]],
  ])("refuses %s", (_, bytes) => {
    expect(() => unpack(...bytes)).toThrow(FaceError);
  });

  it("never does anything but unpack or refuse", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (data) => {
        try {
          unpackSnappy(data, "block");
        } catch (error) {
          expect(error).toMatchObject({ code: "MODEL_INVALID" });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
