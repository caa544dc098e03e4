/** @file The worker thread behind the JSON codec: one document at a time. */
import { parentPort, type TransferListItem } from "node:worker_threads";
import { lowerPriority } from "../../base/worker.ts";
import { toStatusError } from "../status.ts";
import { type CodecJob, type CodecResult, doCodecJob, type PlainStatus } from "./job.ts";

/** What comes back from the thread. */
export type CodecReply = { readonly result: CodecResult } | { readonly error: PlainStatus };

/** The buffers of a result, which are moved rather than copied; what is shared is neither. */
function buffersOf(result: CodecResult): TransferListItem[] {
  if (result instanceof Uint8Array) return [result.buffer as ArrayBuffer];
  if ("examples" in result) return [];
  const buffers = new Set<TransferListItem>();
  for (const { dtype, data } of result.inputs.values()) {
    if (dtype === "string") continue;
    const { buffer } = data as Float32Array;
    if (buffer instanceof ArrayBuffer) buffers.add(buffer);
  }
  return [...buffers];
}

/** Behind the thread that talks to clients, in front of the engine's, which wait for what comes from here. */
const NICENESS = 3;

lowerPriority(NICENESS);
parentPort?.on("message", (job: CodecJob) => {
  try {
    const result = doCodecJob(job);
    parentPort?.postMessage({ result } satisfies CodecReply, buffersOf(result));
  } catch (error) {
    const { status, message } = toStatusError(error);
    parentPort?.postMessage({ error: { status, message } } satisfies CodecReply);
  }
});
