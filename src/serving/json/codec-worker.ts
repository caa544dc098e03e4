/** @file The thread of the JSON codec: one document at a time. */
import type { TransferListItem } from "node:worker_threads";
import { buffersOf } from "../../base/tensor.ts";
import { lowerPriority } from "../../base/worker.ts";
import { Moved, serveCalls } from "../../base/worker-client.ts";
import { type CodecCalls, type Outcome, plainStatus, readPredict } from "./codec-calls.ts";
import { readExamplesJson } from "./examples.ts";
import { readPhotosJson } from "./photos.ts";
import { writePredictJson } from "./write.ts";

/** Lower than the thread that talks to clients, higher than the sessions, which wait for these documents. */
const NICENESS = 3;

/** @param buffers the memory of a result that moves to the caller. */
function outcome<T>(
  work: () => T,
  buffers: (result: T) => readonly TransferListItem[] = () => [],
): Outcome<T> | Moved<Outcome<T>> {
  try {
    const result = work();
    return new Moved({ result }, buffers(result));
  } catch (error) {
    return { error: plainStatus(error) };
  }
}

lowerPriority(NICENESS);
serveCalls<CodecCalls>(() => ({
  readPredict: (...args) =>
    outcome(
      () => readPredict(...args),
      ({ inputs }) => buffersOf(inputs.values()),
    ),
  readExamples: (bytes) => outcome(() => readExamplesJson(bytes)),
  readPhotos: (...args) =>
    outcome(
      () => readPhotosJson(...args),
      ({ files }) => files.flatMap((file) => ("url" in file ? [] : [file.buffer as ArrayBuffer])),
    ),
  writePredict: (...args) =>
    outcome(
      () => writePredictJson(...args),
      ({ buffer }) => [buffer as ArrayBuffer],
    ),
}));
