/** @file Averaging over real threads. */
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { Averager, abortLanes, createLanes } from "./averaging.ts";

/** A thread that takes part with constant values and hands back the means of several rounds. */
function participant(lanes: object, index: number, rounds: number): Promise<number[][]> {
  const module = new URL("./averaging.ts", import.meta.url).href;
  const loader = import.meta.resolve("tsx/esm/api");
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(${JSON.stringify(loader)}).then(async (tsx) => {
      tsx.register();
      const { Averager } = await import(${JSON.stringify(module)});
      const averager = new Averager(workerData.lanes, workerData.index);
      const means = [];
      for (let round = 0; round < workerData.rounds; round++) {
        const values = Float32Array.of(workerData.index + round, 10 * workerData.index);
        averager.average([values]);
        means.push([...values]);
      }
      parentPort.postMessage(means);
    });`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true, workerData: { lanes, index, rounds } });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

describe("Averager", () => {
  it("gives every replica the same means, round after round", async () => {
    const lanes = createLanes(3, 2);
    const results = await Promise.all([0, 1, 2].map((index) => participant(lanes, index, 5)));
    const expected = Array.from({ length: 5 }, (_, round) => [1 + round, 10]);
    for (const means of results) expect(means).toEqual(expected);
  });

  it("lets nobody wait for a replica that failed", () => {
    const lanes = createLanes(2, 1);
    abortLanes(lanes);
    expect(() => new Averager(lanes, 0).average([Float32Array.of(1)])).toThrow("another replica failed");
  });
});
