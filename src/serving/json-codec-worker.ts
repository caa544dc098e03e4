/** @file The worker thread behind the JSON codec: one document at a time. */
import { parentPort, type TransferListItem } from "node:worker_threads";
import { type CodecJob, doCodecJob, type PlainStatus } from "./json-job.ts";
import type { PredictJson } from "./json-tensors.ts";
import { toStatusError } from "./status.ts";

/** What comes back from the thread. */
export type CodecReply = { readonly result: PredictJson | Uint8Array } | { readonly error: PlainStatus };

/** The buffers of a result, which are moved rather than copied. */
function buffersOf(result: PredictJson | Uint8Array): TransferListItem[] {
  if (result instanceof Uint8Array) return [];
  const buffers = new Set<TransferListItem>();
  for (const { dtype, data } of result.inputs.values()) {
    if (dtype !== "string") buffers.add((data as Float32Array).buffer as ArrayBuffer);
  }
  return [...buffers];
}

parentPort?.on("message", (job: CodecJob) => {
  try {
    const result = doCodecJob(job);
    parentPort?.postMessage({ result } satisfies CodecReply, buffersOf(result));
  } catch (error) {
    const { status, message } = toStatusError(error);
    parentPort?.postMessage({ error: { status, message } } satisfies CodecReply);
  }
});
