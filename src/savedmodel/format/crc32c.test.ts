/** @file Checksums against published values. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32c, masked } from "./crc32c.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("crc32c", () => {
  it("gives the published check value", () => {
    expect(crc32c(bytes("123456789"))).toBe(0xe3069283);
  });

  it("gives the values of RFC 3720 for 32 zeros and 32 ones", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  });

  it("is the same in pieces as at once", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (data, cut) => {
        expect(crc32c(data.subarray(cut), crc32c(data.subarray(0, cut)))).toBe(crc32c(data));
      }),
    );
  });

  it("masks the checksum of nothing as TensorFlow does", () => {
    expect(masked(crc32c(new Uint8Array(0)))).toBe(0xa282ead8);
  });
});
