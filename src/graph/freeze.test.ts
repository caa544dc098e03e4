/** @file Parameters that become constants. */
import { expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { float32 } from "../base/tensor.ts";
import * as g from "./build.ts";
import { freeze } from "./freeze.ts";
import { topological } from "./ops.ts";

const x = g.input("x", [2]);
const [a, b] = [g.parameter("a", [2]), g.parameter("b", [2])];
const values = new Map([["a", float32([2], [10, 20])]]);

it("replaces the parameters that have a value, keeps the others and whatever does not depend on them", () => {
  const untouched = g.relu(x);
  const [frozen, same] = freeze([g.add(g.mul(untouched, a), b), untouched], values);
  const ops = topological([frozen!]).map((node) => `${node.op} ${node.label ?? ""}`.trim());
  expect(ops).toEqual(["input x", "relu", "constant a", "mul", "parameter b", "add"]);
  expect(same).toBe(untouched);
  const feeds = {
    inputs: new Map([["x", float32([2], [1, 2])]]),
    parameters: new Map([["b", float32([2], [1, 1])]]),
  };
  expect(evaluate([frozen!], feeds)[0]!.data).toEqual(Float32Array.of(11, 41));
});

it("refuses a value of another shape or type", () => {
  const wrong = new Map([["a", float32([1, 2], [1, 2])]]);
  expect(() => freeze([a], wrong)).toThrow("parameter a takes float32[2], its value is float32[1, 2]");
});
