/** @file The student's loss against its two terms written out. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { float32, floats } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import { distillationLoss } from "./distillation-loss.ts";

const TEACHER = [1, 0, 0.6, 0.8];

function lossOf(student: readonly number[]): number {
  const [a, b] = [g.input("student", [2, 2]), g.input("teacher", [2, 2])] as const;
  const inputs = new Map([
    ["student", float32([2, 2], student)],
    ["teacher", float32([2, 2], TEACHER)],
  ]);
  return floats(evaluate([distillationLoss(a, b)], { inputs })[0]!)[0]!;
}

describe("the loss of a student", () => {
  it("is zero for the teacher's directions, at any length", () => {
    expect(lossOf([3, 0, 1.2, 1.6])).toBeCloseTo(0, 6);
  });

  it("adds the errors of the similarities to those of the directions", () => {
    // Both embeddings point up: cosines of 0 and 0.8 to the teacher's, and of 1 to each other where the teacher has 0.6.
    expect(lossOf([0, 2, 0, 1])).toBeCloseTo(1 - 0.4 + (10 * 2 * 0.4 ** 2) / 4, 5);
  });

  it("sees similarities alone where every direction is turned alike", () => {
    expect(lossOf([0, 1, -0.8, 0.6])).toBeCloseTo(1, 6);
  });
});
