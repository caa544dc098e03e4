/** @file However a model's files are damaged, they are read or refused; `npm run fuzz` tries far more. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DAMAGES } from "../../test/support/model-damage.ts";

describe.each(Object.entries(DAMAGES))("damaged %s", (kind, damages) => {
  it("are read or refused, never anything else", async () => {
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(damages, async (attempt) => {
        const outcome = await attempt();
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }),
      { numRuns: kind.includes("graph") ? 400 : 2000 },
    );
    expect(outcomes.get("refused")).toBeGreaterThan(0);
  });
});
