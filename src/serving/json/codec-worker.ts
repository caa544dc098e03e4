/** @file The thread of the JSON codec: one document at a time. */
import type { TransferListItem } from "node:worker_threads";
import { collectWhenIdle, lowerPriority } from "../../base/worker.ts";
import { Moved, serveCalls } from "../../base/worker-client.ts";
import {
  classifyResponse,
  multiInferenceResponse,
  predictResponse,
  regressResponse,
} from "../grpc/response-messages.ts";
import { readInferBody, writeInferBody } from "../open-inference/body.ts";
import { inferResponse, readInferTensors } from "../open-inference/messages.ts";
import {
  type CodecCalls,
  ON_HEAP,
  type Outcome,
  plainStatus,
  readPredict,
  readTensors,
} from "./codec-calls.ts";
import { readExamplesJson } from "./examples.ts";
import { packStrings, packTensors, sentBuffers } from "./packed-strings.ts";
import { readPhotosJson } from "./photos.ts";
import { writeClassifyJson, writePredictJson, writeRegressJson } from "./write.ts";

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
  } finally {
    // A document leaves many times its size.
    collectWhenIdle();
  }
}

/** A function whose result is bytes, which move to the caller. */
const writer =
  <A extends readonly unknown[]>(write: (...args: A) => Uint8Array) =>
  (...args: A) =>
    outcome(
      () => write(...args),
      ({ buffer }) => [buffer as ArrayBuffer],
    );

lowerPriority(NICENESS);
serveCalls<CodecCalls>(() => ({
  readPredict: (...args) =>
    outcome(
      () => {
        const { inputs, ...read } = readPredict(...args);
        return { ...read, inputs: packTensors(inputs) };
      },
      ({ inputs }) => sentBuffers(inputs),
    ),
  readExamples: (bytes) =>
    outcome(
      () => {
        const { examples, ...read } = readExamplesJson(bytes);
        return { ...read, examples: packStrings(examples) };
      },
      ({ examples }) => [examples.bytes.buffer as ArrayBuffer, examples.ends.buffer as ArrayBuffer],
    ),
  readPhotos: (...args) =>
    outcome(
      () => readPhotosJson(...args),
      ({ files }) => files.flatMap((file) => ("url" in file ? [] : [file.buffer as ArrayBuffer])),
    ),
  readTensors: (...args) => outcome(() => packTensors(readTensors(...args)), sentBuffers),
  writePredict: writer(writePredictJson),
  writeClassify: writer(writeClassifyJson),
  writeRegress: writer(({ values }) => writeRegressJson(values)),
  predictResponse: writer(predictResponse),
  classifyResponse: writer(classifyResponse),
  regressResponse: writer(regressResponse),
  multiInferenceResponse: writer(multiInferenceResponse),
  readInfer: (bytes, jsonLength) =>
    outcome(
      () => {
        const { inputs, ...read } = readInferBody(bytes, jsonLength, ON_HEAP);
        return { ...read, inputs: packTensors(inputs) };
      },
      ({ inputs }) => sentBuffers(inputs),
    ),
  writeInfer: (answer) =>
    outcome(
      () => writeInferBody(answer),
      ({ bytes }) => [bytes.buffer as ArrayBuffer],
    ),
  readInferTensors: (bytes, plans) =>
    outcome(() => packTensors(readInferTensors(bytes, plans, ON_HEAP)), sentBuffers),
  inferResponse: writer(inferResponse),
}));
