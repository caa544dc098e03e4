/** @file The thread that parses large lists of examples. */
import { lowerPriority } from "../../base/worker.ts";
import { serveCalls } from "../../base/worker-client.ts";
import { outcome } from "../json/codec-calls.ts";
import { packTensors, sentBuffers, viewsOf } from "../json/packed-strings.ts";
import { type ExampleCalls, parseExamples } from "./parse-example.ts";

/** As the threads of the codec. */
const NICENESS = 3;

lowerPriority(NICENESS);
serveCalls<ExampleCalls>(() => ({
  parse: (features, records) =>
    outcome(() => packTensors(parseExamples(features, viewsOf(records))), sentBuffers),
}));
