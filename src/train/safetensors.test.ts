/** @file The file format: what is written can be read, and what is damaged is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FaceError } from "../base/errors.ts";
import { float32, int64, type Tensor } from "../base/tensor.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";

const joined = (pieces: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(pieces));

describe("safetensors", () => {
  it("reads back what it wrote", () => {
    const tensors = new Map<string, Tensor>([
      ["b", float32([2, 3], [1, 2, 3, 4, 5, 6])],
      ["a", int64([1], [7])],
      ["scalar", float32([], [0.5])],
    ]);
    const read = readSafetensors(joined(writeSafetensors(tensors, { format: "x" })));
    expect(read.metadata).toEqual({ format: "x" });
    for (const [name, value] of tensors) expect(read.tensors.get(name)).toEqual(value);
  });

  it("begins the tensors on a multiple of eight bytes", () => {
    const [header] = writeSafetensors(new Map([["weights", float32([1], [1])]]), {});
    expect(header!.length % 8).toBe(0);
  });

  it("refuses every cut and survives every changed byte", () => {
    const bytes = joined(writeSafetensors(new Map([["w", float32([4], [1, 2, 3, 4])]]), { note: "n" }));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readSafetensors(bytes.subarray(0, length))).toThrow(FaceError);
    }
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = bytes.slice();
        changed[at] = value;
        try {
          readSafetensors(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(FaceError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
