/** @file All-reduce and broadcast over real threads. */
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { AllReduce, abortReduce, createReduceBuffer, ownersOf } from "./all-reduce.ts";

/**
 * A thread that takes part with constant values and hands back what it has after each of several rounds: two means, of which
 * only the first replica wants the second, then two values of which the last replica owns the first.
 */
function participant(buffer: object, index: number, rounds: number): Promise<number[][]> {
  const module = new URL("./all-reduce.ts", import.meta.url).href;
  const loader = import.meta.resolve("tsx/esm/api");
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(${JSON.stringify(loader)}).then(async (tsx) => {
      tsx.register();
      const { AllReduce } = await import(${JSON.stringify(module)});
      const reduce = new AllReduce(workerData.buffer, workerData.index);
      const means = [];
      for (let round = 0; round < workerData.rounds; round++) {
        const values = Float32Array.of(workerData.index + round, 10 * workerData.index);
        const other = Float32Array.of(workerData.index);
        reduce.mean([values, other], (i) => i === 0 || workerData.index === 0);
        const [first, second] = [Float32Array.of(100 * workerData.index + round), Float32Array.of(workerData.index)];
        reduce.broadcast([first, second], [workerData.buffer.replicas - 1, 0]);
        means.push([...values, ...other, ...first, ...second]);
      }
      parentPort.postMessage(means);
    });`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true, workerData: { buffer, index, rounds } });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

describe("AllReduce", () => {
  it("gives every replica the same means and what the others own, round after round", async () => {
    const buffer = createReduceBuffer(3, 3);
    const results = await Promise.all([0, 1, 2].map((index) => participant(buffer, index, 5)));
    for (const [index, rounds] of results.entries()) {
      const other = index === 0 ? 1 : index;
      expect(rounds).toEqual(Array.from({ length: 5 }, (_, round) => [1 + round, 10, other, 200 + round, 0]));
    }
  });

  it("lets nobody wait for a replica that failed", () => {
    const buffer = createReduceBuffer(2, 1);
    abortReduce(buffer);
    expect(() => new AllReduce(buffer, 0).mean([Float32Array.of(1)])).toThrow("another replica failed");
    expect(() => new AllReduce(buffer, 0).broadcast([Float32Array.of(1)], [0])).toThrow(
      "another replica failed",
    );
  });
});

describe("ownersOf", () => {
  it("gives every replica about as much", () => {
    const sizes = new Map([
      ["a", 10],
      ["b", 60],
      ["c", 30],
      ["d", 25],
    ]);
    expect([...ownersOf(sizes, 2)]).toEqual([
      ["b", 0],
      ["c", 1],
      ["d", 1],
      ["a", 1],
    ]);
  });

  it("leaves replicas without any where there are fewer values", () => {
    expect([...ownersOf(new Map([["a", 1]]), 3).values()]).toEqual([0]);
  });
});
