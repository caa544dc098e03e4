/** @file Large documents in threads of their own: what they are read from, and where their numbers go. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DType } from "../../base/tensor.ts";
import { copyBytes, RequestMemory } from "../request-memory.ts";
import { JsonCodec } from "./codec.ts";
import { readPredict, type SignatureLookup } from "./codec-calls.ts";

let codec: JsonCodec;

beforeAll(() => {
  codec = new JsonCodec({ workers: 1, maxQueued: 4 });
});

afterAll(() => codec[Symbol.asyncDispose]());

const signature = (inputs: Record<string, DType>): SignatureLookup => ({
  signatures: new Map([["serving_default", new Map(Object.entries(inputs))]]),
});

/** A text in memory that threads share, as the body of a large request. */
function sharedText(text: string, memory: RequestMemory): Uint8Array {
  const place = memory.text(text.length)!;
  copyBytes(Buffer.from(text), place);
  return place;
}

const isShared = (data: unknown) => (data as Float32Array).buffer instanceof SharedArrayBuffer;

describe("a large document", () => {
  const count = 5000;
  const floats = Array.from({ length: count }, (_, i) => i / 7 - 300);
  const longs = floats.map((_, i) => i - 2500);
  const lookup = signature({ x: "float32", n: "int64", s: "string" });
  const text = JSON.stringify({ inputs: { x: floats, n: longs, s: ["zwölf", "a\nb"] } });

  it("is read from shared memory into shared memory", async () => {
    using memory = new RequestMemory();
    const ascii = text.replace("ö", "\\u00f6");
    const { inputs } = await codec.readPredict(sharedText(ascii, memory), lookup, { memory });
    expect([...inputs.keys()]).toEqual(["x", "n", "s"]);
    expect([...(inputs.get("x")!.data as Float32Array)]).toEqual([...Float32Array.from(floats)]);
    expect([...(inputs.get("n")!.data as BigInt64Array)]).toEqual(longs.map(BigInt));
    expect([isShared(inputs.get("x")!.data), isShared(inputs.get("n")!.data)]).toEqual([true, true]);
    const [first, second] = inputs.get("s")!.data as readonly Uint8Array[];
    expect([Buffer.from(first!).toString(), Buffer.from(second!).toString()]).toEqual(["zwölf", "a\nb"]);
    expect(isShared(first)).toBe(false);
  });

  it("is read as well without", async () => {
    const { inputs } = await codec.readPredict(new Uint8Array(Buffer.from(text)), lookup);
    expect([...(inputs.get("x")!.data as Float32Array)]).toEqual([...Float32Array.from(floats)]);
    expect(isShared(inputs.get("x")!.data)).toBe(false);
  });

  it("whose numbers are shorter in the text than in memory goes to the heap where the memory ends", async () => {
    using memory = new RequestMemory();
    const digits = Array.from({ length: 30_000 }, (_, i) => i % 10);
    const short = JSON.stringify({ inputs: { x: [1, 2, 3], n: digits } });
    const types = signature({ x: "float32", n: "int64" });
    const { inputs } = await codec.readPredict(sharedText(short, memory), types, { memory });
    expect([...(inputs.get("n")!.data as BigInt64Array)]).toEqual(digits.map(BigInt));
    expect([isShared(inputs.get("x")!.data), isShared(inputs.get("n")!.data)]).toEqual([true, false]);
  });
});

describe("numbers of several inputs", () => {
  it("lie one behind the other, each where its elements may begin", () => {
    const into = new Uint8Array(new SharedArrayBuffer(64));
    const bytes = Buffer.from(
      JSON.stringify({ inputs: { x: [1, 2, 3], n: [4, 5], y: [6, 7, 8, 9, 10, 11] } }),
    );
    const lookup = signature({ x: "float32", n: "int64", y: "float64" });
    const { inputs } = readPredict(bytes, lookup, into);
    expect([...inputs].map(([name, { data }]) => [name, [...(data as Float32Array)].map(Number)])).toEqual([
      ["x", [1, 2, 3]],
      ["n", [4, 5]],
      ["y", [6, 7, 8, 9, 10, 11]],
    ]);
    const offsets = [...inputs.values()].map(({ data }) => (data as Float32Array).byteOffset);
    expect([offsets, [...inputs.values()].map(({ data }) => isShared(data))]).toEqual([
      [0, 16, 0],
      [true, true, false],
    ]);
  });
});
