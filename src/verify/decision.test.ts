/** @file What refuses a false accept rate that a model's calibration does not support. */
import { expect, it } from "vitest";
import { requireDecision } from "./decision.ts";

const rate = { value: 0.01, interval: [0.005, 0.02] as [number, number] };
const record = (negatives: number) => ({
  threshold: 0.5,
  operatingPoints: [{ far: 0.01, threshold: 0.7, measuredFar: rate, measuredTar: rate }],
  data: { dataset: "drawn", people: "10 people", positives: 5, negatives },
});

it.each([
  [2000, "0.001 takes 10,000 pairs of different people, and the model was calibrated on 2,000"],
  [
    20_000,
    "or measure 0.001 on people of your own, with at least 10,000 pairs of different people: faceid calibrate MODEL --dataset-path PEOPLE --far 0.001",
  ],
])("a rate that %d pairs were not measured for is refused with what to do", (negatives, remedy) => {
  expect(() => requireDecision(record(negatives), 0.001)).toThrow(
    expect.objectContaining({
      code: "CONFIG_INVALID",
      message:
        "the model is not calibrated for a false accept rate of 0.001: the lowest that it supports is 0.01",
      hint: `choose 0.01 or more; ${remedy}`,
    }),
  );
});
