/** @file A model in threads: the inputs it is sent, shared and joined memory, errors of the runtime. */
import { describe, expect, it, vi } from "vitest";
import { Random } from "../../base/random.ts";
import { ConcatenatedView, float32, floats, int64, type Tensor, tensor } from "../../base/tensor.ts";
import { WorkerClient } from "../../base/worker-client.ts";
import { add, conv2d, input, lookup, parameter, reduceMean, relu, sub } from "../../graph/build.ts";
import { lower } from "../lower/lower.ts";
import { AloneSession, type SessionCalls, type SessionData, SessionPool } from "./session-pool.ts";

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

  it("computes a few rows at a time where asked, and answers with all of them", async () => {
    // The mean over the batch shows which rows were computed together.
    const model = lower({
      outputs: { y: sub(x, reduceMean(x, { axes: [0], keepDims: true })), same: x },
    }).bytes;
    const inputs = new Map([["x", float32([5, 2], [0, 9, 2, 9, 10, 8, 20, 6, 5, 4])]]);
    const run = async (rowsAtATime: number | undefined, runtime = {}, outputs?: string[]) => {
      await using pool = await SessionPool.open(model, 1, { rowsAtATime, runtime });
      return await pool.run(inputs, outputs);
    };
    const answer = await run(2);
    expect(answer.get("y")!.shape).toEqual([5, 2]);
    expect([...floats(answer.get("y")!)]).toEqual([-1, 0, 1, 0, -5, 1, 5, -1, 0, 0]);
    expect(floats(answer.get("same")!)).toEqual(floats(inputs.get("x")!));
    expect(await run(5)).toEqual(await run(undefined));
    expect([...(await run(1, {}, ["y"])).keys()]).toEqual(["y"]);
    // Two threads share an operator, and take as many rows each.
    expect(await run(1, { threads: 2 })).toEqual(answer);
  });

  it("computes the same numbers where a run is alone and has more threads", async () => {
    const random = new Random(7);
    const drawn = (...shape: number[]) =>
      float32(
        shape,
        Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.uniform() - 0.5),
      );
    const image = input("x", ["n", 56, 56, 16]);
    const kernel = parameter("kernel", [3, 3, 16, 32]);
    const network = lower(
      { outputs: { y: relu(conv2d(image, kernel, { padding: "same" })) } },
      { frozen: new Map([["kernel", drawn(3, 3, 16, 32)]]) },
    ).bytes;
    const inputs = new Map([["x", drawn(1, 56, 56, 16)]]);
    await using pool = await SessionPool.open(network, 1, { aloneThreads: 4 });
    const answers = [await pool.run(inputs), ...(await Promise.all([1, 2, 3].map(() => pool.run(inputs))))];
    const data: SessionData = { bytes: network, options: { threads: 4 }, niceness: 0 };
    await using alone = new AloneSession(
      () => new WorkerClient<SessionCalls>(import.meta.url, "session-worker", data),
    );
    expect(alone.whenIdle()).toBeUndefined();
    alone.open();
    const thread = await vi.waitUntil(() => alone.whenIdle(), { timeout: 60_000 });
    answers.push(await thread.call("run", [inputs, undefined]), await pool.run(inputs));
    const [first, ...others] = answers.map((outputs) => floats(outputs.get("y")!));
    for (const other of others) expect(other).toEqual(first);
  });

  it("sends only the inputs that the model reads", async () => {
    await using pool = await SessionPool.open(bytes, 1, { inputNames: ["x"] });
    const values = new Map([
      ["x", float32([1, 2], [1, 2])],
      ["unused", float32([1], [1])],
    ]);
    expect([...floats((await pool.run(values, ["y"])).get("y")!)]).toEqual([2, 4]);
  });

  it("answers with strings for a few rows at a time", async () => {
    const strings = (...texts: string[]) =>
      tensor(
        "string",
        [texts.length],
        texts.map((text) => new TextEncoder().encode(text)),
      );
    const table = {
      keys: int64([2], [0, 1]),
      values: strings("pear", "plum"),
      fallback: { ...strings("?"), shape: [] },
    };
    const y = lookup(input("x", ["batch"], "int64"), table);
    await using pool = await SessionPool.open(lower({ outputs: { y } }).bytes, 1, { rowsAtATime: 2 });
    const answer = await pool.run(new Map([["x", int64([3], [1, 0, 7])]]));
    expect(answer.get("y")).toEqual(strings("plum", "pear", "?"));
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
