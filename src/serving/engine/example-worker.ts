/** @file The thread that parses large lists of examples. */
import { collectWhenIdle, lowerPriority } from "../../base/worker.ts";
import { Moved, serveCalls } from "../../base/worker-client.ts";
import { plainStatus } from "../json/codec-calls.ts";
import { packTensors, sentBuffers, viewsOf } from "../json/packed-strings.ts";
import { type ExampleCalls, parseExamples } from "./parse-example.ts";

/** As the threads of the codec. */
const NICENESS = 3;

lowerPriority(NICENESS);
serveCalls<ExampleCalls>(() => ({
  parse: (features, records) => {
    try {
      const result = packTensors(parseExamples(features, viewsOf(records)));
      return new Moved({ result }, sentBuffers(result));
    } catch (error) {
      return { error: plainStatus(error) };
    } finally {
      collectWhenIdle();
    }
  },
}));
