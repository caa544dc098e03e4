/** @file The thread of the JSON codec: one document at a time. */
import { lowerPriority } from "../../base/worker.ts";
import { serveCalls } from "../../base/worker-client.ts";
import { readInferBody } from "../open-inference/body.ts";
import { type CodecCalls, ON_HEAP, outcome, readPredict, readTensors, written } from "./codec-calls.ts";
import { readExamplesJson } from "./examples.ts";
import { packStrings, packTensors, sentBuffers } from "./packed-strings.ts";
import { readPhotosJson } from "./photos.ts";

/** Lower than the thread that talks to clients, higher than the sessions, which wait for these documents. */
const NICENESS = 3;

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
  readInfer: (bytes, jsonLength) =>
    outcome(
      () => {
        const { inputs, ...read } = readInferBody(bytes, jsonLength, ON_HEAP);
        return { ...read, inputs: packTensors(inputs) };
      },
      ({ inputs }) => sentBuffers(inputs),
    ),
  readTensors: (...args) => outcome(() => packTensors(readTensors(...args)), sentBuffers),
  write: (form, args) =>
    outcome(
      () => written(form, args),
      ({ buffer }) => [buffer as ArrayBuffer],
    ),
}));
