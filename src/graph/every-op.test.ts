/** @file What must hold for every op: shape rule, value, simplification and derivative, over random shapes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkOp } from "../../test/support/check-op.ts";
import { referenceRules } from "../../test/support/evaluate.ts";
import { opCases } from "../../test/support/op-cases.ts";
import { gradientRules } from "./gradient.ts";
import type { OpName } from "./ops.ts";
import { opRules } from "./shapes.ts";

const ops = Object.keys(opRules) as OpName[];

it("has a case and every kind of rule for each op", () => {
  for (const table of [opCases, referenceRules, gradientRules]) {
    expect(Object.keys(table).toSorted()).toEqual(ops.toSorted());
  }
});

describe.each(ops)("%s", (op) => {
  it("has a shape, a value and a derivative that agree", () => {
    fc.assert(
      fc.property(opCases[op].tries, fc.integer(), (attempt, seed) => checkOp(opCases[op], attempt, seed)),
      { numRuns: 60 },
    );
  });
});
