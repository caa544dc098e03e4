/** @file The thread of the JSON codec: one document at a time. */
import { buffersOf } from "../../base/tensor.ts";
import { lowerPriority } from "../../base/worker.ts";
import { Moved, serveCalls } from "../../base/worker-client.ts";
import { toStatusError } from "../status.ts";
import { type CodecCalls, type CodecResult, doCodecJob } from "./job.ts";

/** Lower than the thread that talks to clients, higher than the sessions, which wait for these documents. */
const NICENESS = 3;

/** Memory of a result that moves to the caller. */
function buffersIn(result: CodecResult): ArrayBuffer[] {
  if (result instanceof Uint8Array) return [result.buffer as ArrayBuffer];
  return "examples" in result ? [] : buffersOf(result.inputs.values());
}

lowerPriority(NICENESS);
serveCalls<CodecCalls>(() => ({
  run: (job) => {
    try {
      const result = doCodecJob(job);
      return new Moved({ result }, buffersIn(result));
    } catch (error) {
      const { status, message } = toStatusError(error);
      return { error: { status, message } };
    }
  },
}));
