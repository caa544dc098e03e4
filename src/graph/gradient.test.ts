/** @file Differentiation of whole graphs: paths that meet, broadcasting, second derivatives, and refusals. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { plainNumbers } from "../../test/support/op-case.ts";
import { print } from "../../test/support/print-graph.ts";
import { float32, type Tensor } from "../base/tensor.ts";
import * as g from "./build.ts";
import { check } from "./check.ts";
import { gradient } from "./gradient.ts";
import type { Node } from "./ops.ts";

const x = g.input("x", [3]);
const y = g.input("y", [3]);
const given = new Map<string, Tensor>([
  ["x", float32([3], [1, 2, 3])],
  ["y", float32([3], [4, 5, 6])],
  ["matrix", float32([2, 3], [1, 2, 3, 4, 5, 6])],
]);

/** Derivatives of the sum of a node's elements. */
function derivatives(node: Node, sources: Node[]): number[][] {
  const nodes = gradient(g.reduceSum(node), sources);
  check(nodes);
  nodes.forEach((derivative, i) => {
    expect(derivative.shape).toEqual(sources[i]!.shape);
  });
  return evaluate(nodes, { inputs: given }).map(plainNumbers);
}

it("follows the product rule", () => {
  expect(derivatives(g.mul(x, y), [x, y])).toEqual([
    [4, 5, 6],
    [1, 2, 3],
  ]);
});

it("follows the quotient and the chain rule", () => {
  const [byX, byY] = derivatives(g.div(g.exp(x), y), [x, y]);
  expect(byX!).toBeAllClose([1, 2, 3].map((v, i) => Math.exp(v) / (4 + i)));
  expect(byY!).toBeAllClose([1, 2, 3].map((v, i) => -Math.exp(v) / (4 + i) ** 2));
});

describe("a node that is used several times", () => {
  it("collects what comes back along every path", () => {
    expect(derivatives(g.mul(x, x), [x])).toEqual([[2, 4, 6]]);
    const twice = g.add(g.mul(x, x), g.sub(g.mul(x, 3), x));
    expect(derivatives(twice, [x])).toEqual([[4, 6, 8]]);
  });

  it("is differentiated through once", () => {
    const shared = g.tanh(x);
    const loss = g.reduceSum(g.mul(shared, g.add(shared, shared)));
    const text = print(gradient(loss, [x]));
    expect(text.match(/ = tanh /g)).toHaveLength(1);
    // One product of the whole derivative with 1 − tanh², not one for each path.
    expect(text.match(/ = sub /g)).toHaveLength(1);
  });
});

describe("broadcasting", () => {
  const matrix = g.input("matrix", [2, 3]);

  it("sums over the axes that an operand was repeated along", () => {
    expect(derivatives(g.mul(matrix, x), [x])).toEqual([[5, 7, 9]]);
    expect(derivatives(g.mul(matrix, g.reshape(x, [1, 3])), [x])).toEqual([[5, 7, 9]]);
    expect(derivatives(g.mul(g.reduceSum(x), matrix), [x])).toEqual([[21, 21, 21]]);
  });

  it("does so for an operand that lacks axes and has sides of 1 too", () => {
    const column = g.reshape(g.slice(x, [0], [2]), [2, 1]);
    const cube = g.reshape(matrix, [1, 2, 3]);
    expect(derivatives(g.mul(g.concat([cube, cube], 0), column), [x])).toEqual([[12, 30, 0]]);
  });
});

it("shares the derivative of a maximum among equals", () => {
  const tied = g.concat([x, g.slice(x, [2], [3])], 0);
  expect(derivatives(g.reduceMax(tied), [x, tied])).toEqual([
    [0, 0, 1],
    [0, 0, 0.5, 0.5],
  ]);
  expect(derivatives(g.max(x, x), [x])).toEqual([[1, 1, 1]]);
});

it("differentiates by nodes inside the graph, and by the loss itself", () => {
  const inner = g.mul(x, 2);
  const loss = g.reduceSum(g.mul(inner, inner));
  const [byInner, byLoss] = gradient(loss, [inner, loss]);
  const values = evaluate([byInner!, byLoss!], { inputs: given }).map(plainNumbers);
  expect(values).toEqual([[4, 8, 12], [1]]);
});

it("stops at casts to whole numbers, comparisons and indices, and goes around them", () => {
  const positive = g.cast(g.less(g.scalar(2), x), "float32");
  expect(derivatives(g.mul(positive, x), [x])).toEqual([[0, 0, 1]]);
  expect(derivatives(g.add(x, g.cast(g.cast(x, "int32"), "float32")), [x])).toEqual([[1, 1, 1]]);
});

it("keeps the type of each source", () => {
  const wide = g.cast(x, "float64");
  const [byX] = gradient(g.reduceSum(g.mul(wide, wide)), [x]);
  expect(byX!.dtype).toBe("float32");
  expect(plainNumbers(evaluate([byX!], { inputs: given })[0]!)).toEqual([2, 4, 6]);
});

it("can be differentiated again", () => {
  const [first] = gradient(g.reduceSum(g.mul(g.mul(x, x), x)), [x]);
  const [second] = gradient(g.reduceSum(first!), [x]);
  expect(plainNumbers(evaluate([second!], { inputs: given })[0]!)).toEqual([6, 12, 18]);
});

it("gives dropout the derivative of the elements that it kept", () => {
  const dropped = g.dropout(x, 0.5, "dropout");
  const [byX] = gradient(g.reduceSum(dropped), [x]);
  const random = () => Float32Array.of(0.2, 0.5, 0.9);
  const [value, derivative] = evaluate([dropped, byX!], { inputs: given, random }).map(plainNumbers);
  expect(value).toEqual([0, 4, 6]);
  expect(derivative).toEqual([0, 2, 2]);
});

describe("refusals", () => {
  it("name a loss that is no scalar", () => {
    expect(() => gradient(x, [x])).toThrow("gradient: the loss must be a scalar, got shape [3]");
  });

  it("name a source that the loss does not depend on", () => {
    expect(() => gradient(g.reduceSum(x), [y])).toThrow("the loss does not depend on y");
    expect(() => gradient(g.reduceSum(g.floor(x)), [x])).toThrow("the loss does not depend on x");
  });

  it("name an op whose derivative is not available", () => {
    expect(() => gradient(g.reduceProd(x), [x])).toThrow("the derivative of reduceProd is not available");
  });

  it("ask for known sides where a derivative is spread over them", () => {
    const rows = g.input("rows", ["batch", 3]);
    expect(() => gradient(g.reduceSum(rows), [rows])).toThrow(
      "every side of the input result, batch is unknown",
    );
  });
});
