/** @file The worker thread of one replica: opens it, then answers the engine's calls one after the other. */
import { workerData } from "node:worker_threads";
import { Moved, serveCalls } from "../base/worker-client.ts";
import { abortReduce } from "./all-reduce.ts";
import { Replica, type ReplicaSettings } from "./replica.ts";

/** The methods of a replica that the engine calls. */
export type ReplicaCalls = Pick<Replica, "step" | "load" | "state" | "embed" | "compare">;

const moved = async (answer: Promise<Float32Array>) => {
  const values = await answer;
  return new Moved(values, [values.buffer as ArrayBuffer]);
};

serveCalls<ReplicaCalls, ReplicaSettings>(
  async (settings) => {
    const replica = await Replica.open(settings);
    return {
      step: (...args) => replica.step(...args),
      load: (state) => replica.load(state),
      state: () => replica.state(),
      embed: (...args) => moved(replica.embed(...args)),
      compare: (...args) => moved(replica.compare(...args)),
      [Symbol.asyncDispose]: () => replica.close(),
    };
  },
  {
    onError() {
      // The others must not wait for gradients that will never come.
      const { buffer } = workerData as ReplicaSettings;
      if (buffer !== undefined) abortReduce(buffer);
    },
  },
);
