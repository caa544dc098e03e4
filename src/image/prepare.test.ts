/** @file Eight-bit pixels into floats. */
import { describe, expect, it } from "vitest";
import { prepare, prepareInto } from "./prepare.ts";

describe("prepare", () => {
  it("divides by 255 in float32", () => {
    const values = prepare(Uint8Array.from({ length: 256 }, (_, i) => i));
    expect([...values]).toEqual(Array.from(values, (_, i) => Math.fround(i / 255)));
  });

  it("writes into a batch and nowhere else", () => {
    const out = new Float32Array(9).fill(-1);
    prepareInto(Uint8Array.of(0, 51, 255), out, 3);
    expect([...out]).toEqual([-1, -1, -1, 0, Math.fround(0.2), 1, -1, -1, -1]);
  });
});
