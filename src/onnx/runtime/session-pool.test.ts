/** @file A model in threads: the inputs it is sent, shared and joined memory, errors of the runtime. */
import { describe, expect, it } from "vitest";
import { ConcatenatedView, float32, floats, type Tensor, tensor } from "../../base/tensor.ts";
import { add, input } from "../../graph/build.ts";
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

  it("refuses strings, inputs that do not fit, and bytes that are no model", async () => {
    await using pool = await SessionPool.open(bytes);
    const unsupported = { code: "MODEL_UNSUPPORTED" };
    await expect(outputOf(pool, tensor("string", [0], []))).rejects.toMatchObject(unsupported);
    await expect(outputOf(pool, float32([1, 3], [1, 2, 3]))).rejects.toMatchObject(unsupported);
    await expect(SessionPool.open(Uint8Array.of(1, 2, 3))).rejects.toMatchObject(unsupported);
  });
});
