/** @file Shapes that a graph computes are known as far as they can be, and never wrongly. */
import { expect, it } from "vitest";
import { int64 } from "../base/tensor.ts";
import * as g from "./build.ts";
import { fromNumbers } from "./numbers.ts";
import type { Node } from "./ops.ts";
import { isSideOf, knownNumbers, partialInts } from "./partial-ints.ts";
import { shapeList } from "./partial-shapes.ts";

const x = g.input("x", ["batch", 3, 5]);
const list = (...values: number[]) => g.constant(int64([values.length], values));
const whole = (value: number) => g.scalar(value, "int64");

it("knows numbers, and which axis a length is that of", () => {
  const [batch, ...rest] = partialInts(shapeList(x))!;
  expect(rest).toEqual([3, 5]);
  expect(isSideOf(batch, x, 0)).toBe(true);
  expect(isSideOf(batch, x, 1)).toBe(false);
});

it("computes with them", () => {
  const sides = shapeList(x);
  const known = (node: Node) => partialInts(node)?.map((each) => (typeof each === "object" ? "side" : each));
  expect(known(g.mul(sides, list(1, 2, 3)))).toEqual(["side", 6, 15]);
  expect(known(g.add(sides, list(1, 2, 3)))).toEqual([undefined, 5, 8]);
  expect(known(g.slice(sides, [2], [-10], [-1]))).toEqual([5, 3, "side"]);
  expect(known(g.gather(sides, list(-1, 0)))).toEqual([5, "side"]);
  expect(known(g.reduceProd(g.slice(sides, [1], [3])))).toEqual([15]);
  expect(known(g.broadcastTo(whole(4), [3]))).toEqual([4, 4, 4]);
});

it("chooses by comparing, since no length is negative", () => {
  const sides = shapeList(x);
  const known = (other: Node) =>
    partialInts(g.select(g.equal(sides, other), list(7, 8, 9), sides))?.map((each) =>
      typeof each === "object" ? "side" : each,
    );
  expect(known(whole(-1))).toEqual(["side", 3, 5]);
  expect(known(whole(3))).toEqual([undefined, 8, 5]);
  expect(known(sides)).toEqual([7, 8, 9]);
});

it("does not take matrices that broadcast for lists", () => {
  const matrix = (...shape: number[]) => g.constant(fromNumbers("int64", shape, [1, 2]));
  expect(partialInts(g.add(matrix(2, 1), matrix(1, 2)))).toBeUndefined();
  expect(knownNumbers(g.add(matrix(2, 1), matrix(1, 2)))).toEqual([2, 3, 3, 4]);
});

it("takes time in proportion to the graph, on however many ways a value is met", () => {
  let sum: Node = list(1);
  for (let i = 0; i < 50; i++) sum = g.add(sum, sum);
  expect(partialInts(sum)).toEqual([2 ** 50]);
});
