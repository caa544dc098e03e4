/** @file The learning rate over a run. */
import { describe, expect, it } from "vitest";
import { trainConfigSchema } from "./config.ts";
import { learningRateAt } from "./schedule.ts";

const config = (changes: object) => trainConfigSchema.parse({ learningRate: 0.1, epochs: 10, ...changes });

describe("learningRateAt", () => {
  it("stays", () => {
    expect(learningRateAt(config({}), 1, 5)).toBe(0.1);
    expect(learningRateAt(config({}), 50, 5)).toBe(0.1);
  });

  it("rises over the warm-up", () => {
    const warm = config({ warmupSteps: 4 });
    expect([1, 2, 3, 4, 5].map((step) => learningRateAt(warm, step, 5))).toBeAllClose([
      0.025, 0.05, 0.075, 0.1, 0.1,
    ]);
  });

  it("falls along half a cosine", () => {
    const cosine = config({ schedule: "cosine" });
    expect(learningRateAt(cosine, 1, 5)).toBeCloseTo(0.1, 12);
    expect(learningRateAt(cosine, 26, 5)).toBeCloseTo(0.05, 12);
    expect(learningRateAt(cosine, 51, 5)).toBeCloseTo(0, 12);
  });

  it("is divided by ten after each named epoch", () => {
    const steps = config({ schedule: "step", decayEpochs: [2, 4] });
    expect([1, 10, 11, 20, 21].map((step) => learningRateAt(steps, step, 5))).toBeAllClose([
      0.1, 0.1, 0.01, 0.01, 0.001,
    ]);
  });
});
