/** @file However a model's files are damaged, they are read or refused; `npm run fuzz` tries far more. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DAMAGES } from "../../test/support/model-damage.ts";

/** Graphs take a few milliseconds each; indexes, which are the rest, take none. */
const RUNS: Readonly<Record<string, number>> = {
  "bytes of a graph": 400,
  "nodes of a graph": 400,
  "graphs in the engine": 100,
};

describe.each(Object.entries(DAMAGES))("damaged %s", (kind, damages) => {
  it("are read or refused, never anything else", async () => {
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(damages, async (attempt) => {
        const outcome = await attempt();
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }),
      { numRuns: RUNS[kind] ?? 2000 },
    );
    expect(outcomes.get("refused")).toBeGreaterThan(0);
  });
});
