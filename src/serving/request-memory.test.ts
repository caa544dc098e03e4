/** @file Memory of requests: who gets which piece, and when it is given to the next. */
import { describe, expect, it } from "vitest";
import { float32, floats, int64, type NumericDType, tensor } from "../base/tensor.ts";
import { allOf, RequestMemory } from "./request-memory.ts";

const KIB = 1024;
const MIB = 2 ** 20;

/** Where a request's array of so many bytes lies. */
function place(memory: RequestMemory, bytes: number): ArrayBufferLike {
  return memory.array("uint8", bytes).buffer;
}
const isShared = (buffer: ArrayBufferLike) => buffer instanceof SharedArrayBuffer;

describe("a request's memory", () => {
  it("is used again when the request is over, and only then, for arrays of the same size", () => {
    const first = new RequestMemory();
    const piece = place(first, 5000);
    expect(isShared(piece)).toBe(true);
    using other = new RequestMemory();
    expect(place(other, 5000)).not.toBe(piece);
    first.release();
    using third = new RequestMemory();
    expect(place(third, 5008)).not.toBe(piece);
    expect(place(third, 5000)).toBe(piece);
    expect(place(third, 5000)).not.toBe(piece);
  });

  it("is given back when the last of those who hold it lets go", () => {
    const memory = new RequestMemory();
    const piece = place(memory, 6000);
    memory.hold();
    memory.hold();
    memory.release();
    memory[Symbol.dispose]();
    using next = new RequestMemory();
    expect(place(next, 6000)).not.toBe(piece);
    memory.release();
    expect(place(next, 6000)).toBe(piece);
  });

  it("gives whoever is late memory of its own", () => {
    const memory = new RequestMemory();
    memory.release();
    expect(isShared(place(memory, 7000))).toBe(false);
  });

  it("is shared from 4 KiB to 4 MiB, and zeros from the heap below and above", () => {
    using memory = new RequestMemory();
    const sizes = [0, 4 * KIB - 1, 4 * KIB, 4 * MIB, 4 * MIB + 1];
    expect(sizes.map((bytes) => isShared(place(memory, bytes)))).toEqual([false, false, true, true, false]);
    expect(memory.array("int64", 3)).toEqual(new BigInt64Array(3));
  });

  it("has room for texts of about the same length in the same piece", () => {
    const first = new RequestMemory();
    const [text, longer] = [first.text(1_000_001)!, first.text(1_100_000)!];
    expect([text.length, longer.length]).toEqual([1_000_001, 1_100_000]);
    expect(text.buffer.byteLength).toBeLessThan(1.125 * text.length);
    expect(longer.buffer).not.toBe(text.buffer);
    first.release();
    using next = new RequestMemory();
    expect(next.text(1_000_900)!.buffer).toBe(text.buffer);
    expect(next.text(4 * MIB)!.length).toBe(4 * MIB);
    expect([next.text(4 * MIB + 1), next.text(0), next.text(100)]).toEqual([undefined, undefined, undefined]);
  });

  it("is 128 MiB in all: beyond that arrays come from the heap, and what is free makes room for other sizes", () => {
    const greedy = new RequestMemory();
    const count = (bytes: number) =>
      Array.from({ length: 40 }, () => place(greedy, bytes)).filter(isShared).length;
    // Other tests' pieces are free by now and are dropped.
    expect(count(4 * MIB)).toBeGreaterThanOrEqual(31);
    expect(count(4 * MIB)).toBe(0);
    greedy.release();
    using next = new RequestMemory();
    // The second finds room only when the free pieces of the other size are gone.
    expect([place(next, 3 * MIB), place(next, 3 * MIB)].map(isShared)).toEqual([true, true]);
    using last = new RequestMemory();
    expect(Array.from({ length: 40 }, () => place(last, 4 * MIB)).filter(isShared)).toHaveLength(30);
  });
});

describe("a tensor in a request's memory", () => {
  it.each<NumericDType>(["float32", "float64", "int64", "int32", "uint8", "bool"])(
    "holds %s elements copied from bytes, aligned or not",
    (dtype) => {
      const bytes = Uint8Array.from({ length: 8000 }, (_, i) => (i * 37) % 251);
      for (const offset of [0, 1, 3]) {
        const message = new Uint8Array(offset + bytes.length);
        message.set(bytes, offset);
        using memory = new RequestMemory();
        const width = memory.array(dtype, 1).BYTES_PER_ELEMENT;
        const { shape, data } = memory.fromBytes(dtype, [2, 4000 / width], message.subarray(offset));
        message.fill(0);
        expect(isShared(data.buffer)).toBe(true);
        expect(shape).toEqual([2, 4000 / width]);
        expect(Buffer.from(data.buffer, data.byteOffset, data.byteLength).equals(bytes)).toBe(true);
      }
    },
  );

  it("is refused when the bytes do not fill its shape, before it takes any memory", () => {
    const first = new RequestMemory();
    const piece = place(first, 8192);
    first.release();
    using memory = new RequestMemory();
    expect(() => memory.fromBytes("float32", [2, 1024], new Uint8Array(8188))).toThrow(
      "a float32 tensor of shape [2, 1024] takes 8192 bytes, got 8188",
    );
    using next = new RequestMemory();
    expect(place(next, 8192)).toBe(piece);
  });

  it("is copied there when it is of a size for it; others stay as they are", () => {
    using memory = new RequestMemory();
    const large = float32(
      [2, 1000],
      Array.from({ length: 2000 }, (_, i) => i),
    );
    const adopted = memory.adopt(large);
    expect(isShared(floats(adopted).buffer)).toBe(true);
    expect([adopted.dtype, adopted.shape, [...floats(adopted)]]).toEqual([
      "float32",
      [2, 1000],
      [...large.data],
    ]);
    const others = [int64([2], [1, 2]), tensor("string", [1], [new Uint8Array(9000)]), adopted];
    for (const value of others) expect(memory.adopt(value)).toBe(value);
  });
});

describe("work that writes to a request's memory", () => {
  it("is told to have failed when none of it goes on", async () => {
    const done: string[] = [];
    const slow = new Promise<void>((resolve) => setTimeout(resolve, 20)).then(() => done.push("slow"));
    await expect(allOf([slow, Promise.reject(new Error("broken"))])).rejects.toThrow("broken");
    expect(done).toEqual(["slow"]);
    expect(await allOf([Promise.resolve(1), Promise.resolve(2)])).toEqual([1, 2]);
  });
});
