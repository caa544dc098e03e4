/** @file A model in threads: the inputs it is sent, shared and joined memory, errors of the runtime. */
import { describe, expect, it } from "vitest";
import { ConcatenatedView, float32, floats, type Tensor, tensor } from "../../base/tensor.ts";
import { add, input, lookup } from "../../graph/build.ts";
import { lower } from "../lower/lower.ts";
import { SessionPool } from "./session-pool.ts";

const x = input("x", ["n", 2]);
const { bytes } = lower({ outputs: { y: add(x, x) } });

const shared = (values: readonly number[]): Tensor => {
  const data = new Float32Array(new SharedArrayBuffer(4 * values.length));
  data.set(values);
  return tensor("float32", [values.length / 2, 2], data);
};

async function outputOf(pool: SessionPool, value: Tensor): Promise<number[]> {
  const outputs = await pool.run(new Map([["x", value]]));
  return [...floats(outputs.get("y")!)];
}

describe("SessionPool", () => {
  it("reads plain, shared and joined memory, and leaves the caller's in place", async () => {
    await using pool = await SessionPool.open(bytes, 2);
    const own = float32([1, 2], [1, 2]);
    const view: Tensor = float32([1, 2], new Float32Array(64).fill(3).subarray(10, 12));
    const joined = new ConcatenatedView("float32", [2, 2], [own, view]);
    const sharedParts = new ConcatenatedView("float32", [2, 2], [shared([5, 6]), shared([7, 8])]);
    const given = [own, view, joined, shared([9, 9]), sharedParts];
    expect(await Promise.all(given.map((value) => outputOf(pool, value)))).toEqual([
      [2, 4],
      [6, 6],
      [2, 4, 6, 6],
      [18, 18],
      [10, 12, 14, 16],
    ]);
    expect([...floats(own), ...floats(view)]).toEqual([1, 2, 3, 3]);
  });

  it("sends only the inputs that the model reads", async () => {
    await using pool = await SessionPool.open(bytes, 1, { inputNames: ["x"] });
    const values = new Map([
      ["x", float32([1, 2], [1, 2])],
      ["unused", float32([1], [1])],
    ]);
    expect([...floats((await pool.run(values, ["y"])).get("y")!)]).toEqual([2, 4]);
  });

  it("looks strings up, and refuses those that the runtime would read as others", async () => {
    const encode = (text: string) => new TextEncoder().encode(text);
    const strings = (...texts: string[]) => tensor("string", [texts.length], texts.map(encode));
    const table = { keys: strings("pear", "äpfel"), values: strings("1", "東京"), fallback: strings("?") };
    const fallback = { ...table.fallback, shape: [] };
    const y = lookup(input("x", ["batch"], "string"), { ...table, fallback });
    await using pool = await SessionPool.open(lower({ outputs: { y } }).bytes);
    const answer = async (value: Tensor) => (await pool.run(new Map([["x", value]]), ["y"])).get("y");
    expect(await answer(strings("äpfel", "", "Pear", "pear"))).toEqual(strings("東京", "?", "?", "1"));
    await expect(answer(strings("pear", "pear\0"))).rejects.toThrow("string 1 holds a zero byte");
    const latin1 = tensor("string", [1], [Uint8Array.of(0xe4)]);
    await expect(answer(latin1)).rejects.toThrow("string 0 is not UTF-8");
  });

  it("refuses inputs that do not fit, and bytes that are no model", async () => {
    await using pool = await SessionPool.open(bytes);
    const unsupported = { code: "MODEL_UNSUPPORTED" };
    await expect(outputOf(pool, tensor("string", [1], [Uint8Array.of(65)]))).rejects.toMatchObject(
      unsupported,
    );
    await expect(outputOf(pool, float32([1, 3], [1, 2, 3]))).rejects.toMatchObject(unsupported);
    await expect(SessionPool.open(Uint8Array.of(1, 2, 3))).rejects.toMatchObject(unsupported);
  });
});
