/** @file However ONNX files are damaged, they are read or refused; `npm run fuzz` tries far more. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ONNX_DAMAGES } from "../../../test/support/onnx-damage.ts";

/** Each takes some milliseconds. */
const RUNS: Readonly<Record<string, number>> = {
  "bytes of an ONNX file": 400,
  "nodes of an ONNX file": 400,
  "ONNX files in the engine": 100,
};

describe.each(Object.entries(ONNX_DAMAGES))("damaged %s", (kind, damages) => {
  it("are read or refused, never anything else", async () => {
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(damages, async (attempt) => {
        const outcome = await attempt();
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }),
      { numRuns: RUNS[kind]! },
    );
    expect(outcomes.get("refused")).toBeGreaterThan(0);
  });
});
