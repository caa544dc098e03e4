/** @file What the legality check finds. */
import { describe, expect, it } from "vitest";
import { float32 } from "../base/tensor.ts";
import * as g from "./build.ts";
import { makeNode } from "./build.ts";
import { check } from "./check.ts";
import type { Node } from "./ops.ts";

const x = g.input("x", [2, 4, 4, 3]);
const ints = g.input("ints", [3], "int64");
const flags = g.input("flags", [3], "bool");
const kernel = g.parameter("kernel", [3, 3, 3, 8]);
const pool = { size: [2, 2], strides: [2, 2], padding: "valid" } as const;

it("passes legal graphs, and equal declarations of one leaf", () => {
  const again = g.input("x", [2, 4, 4, 3]);
  expect(() => check([g.add(g.conv2d(x, kernel), 1), g.relu(again)])).not.toThrow();
});

describe("leaves", () => {
  const cases: Record<string, [nodes: Node[], says: string]> = {
    "of one name and several shapes": [
      [x, g.input("x", [2])],
      "x is declared as input of float32[2, 4, 4, 3] and as input of float32[2]",
    ],
    "of one name and several types": [
      [ints, g.input("ints", [3], "int32")],
      "ints is declared as input of int64[3] and as input of int32[3]",
    ],
    "of one name and several kinds": [
      [ints, g.parameter("ints", [3], "int64")],
      "ints is declared as input of int64[3] and as parameter of int64[3]",
    ],
    "of one stream and several shapes": [
      [g.randomUniform("noise", [2]), g.randomUniform("noise", [3])],
      "stream noise is declared as float32[2] and as float32[3]",
    ],
    "without a name": [[g.input("", [2])], "a leaf needs a name"],
    "with impossible sides": [[g.input("y", [-1, 2.5])], "[-1, 2.5] is not a shape"],
    "with missing elements": [
      [g.constant({ ...float32([2], [1, 2]), shape: [3] })],
      "elements do not fill the shape",
    ],
  };

  it.each(Object.entries(cases))("%s are refused", (_, [nodes, says]) => {
    expect(() => check(nodes)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    expect(() => check(nodes)).toThrow(says);
  });
});

describe("an op", () => {
  const convAttrs = { strides: [1, 1], padding: "same", dilations: [1, 1], groups: 1 } as const;
  const cases: Record<string, [node: Node, says: string]> = {
    "with an input too many": [
      makeNode("neg", [x, x], {}),
      "internal: illegal neg: it takes 1 inputs, has 2",
    ],
    "with no input at all": [
      { ...makeNode("concat", [x], { axis: 0 }), inputs: [] },
      "it takes some inputs, has 0",
    ],
    "that does not exist": [{ ...g.neg(x), op: "negate" as "neg" }, "there is no such op"],
    "on elements of a wrong type": [g.sqrt(ints), "illegal sqrt: it takes float elements, has int64"],
    "on truth values": [g.add(flags, flags), "illegal add: it takes number elements, has bool"],
    "with another shape than it gives": [
      { ...g.neg(x), shape: [2, 4, 4, 4] },
      "it declares float32[2, 4, 4, 4] but gives float32[2, 4, 4, 3]",
    ],
    "with another type than it gives": [
      { ...g.less(x, 0), dtype: "float32" },
      "it declares float32[2, 4, 4, 3] but gives bool[2, 4, 4, 3]",
    ],
    "with a label, which it is called by,": [
      { ...g.labelled(g.neg(x), "conv1"), dtype: "float64" },
      "internal: illegal neg (conv1)",
    ],
    "that strides by 0": [
      { ...g.conv2d(x, kernel), attrs: { ...convAttrs, strides: [0, 1] } },
      "strides, dilations and groups must be positive",
    ],
    "with margins as wide as its window": [
      g.maxPool(x, {
        size: [2, 2],
        padding: [
          [2, 0],
          [0, 0],
        ],
      }),
      "margins must be smaller than the window",
    ],
    "with negative margins": [
      g.conv2d(x, kernel, {
        padding: [
          [-1, 0],
          [0, 0],
        ],
      }),
      "margins must be 0 or more",
    ],
    "that pools by half a pixel": [
      { ...g.maxPool(x, pool), attrs: { ...pool, size: [0.5, 1] } },
      "window and strides must be positive",
    ],
    "that reduces an axis twice": [
      makeNode("reduceSum", [x], { axes: [1, 1], keepDims: false }),
      "axes must be ascending, each once",
    ],
    "that pads by less than nothing": [g.pad(x, [0, -1, 0, 0], [0, 0, 0, 0]), "margins must be 0 or more"],
  };

  it.each(Object.entries(cases))("%s is refused", (_, [node, says]) => {
    expect(() => check([g.labelled(node, node.label ?? "")])).toThrow(
      expect.objectContaining({ code: "INTERNAL" }),
    );
    expect(() => check([node])).toThrow(says);
  });

  it("is found deep in a graph", () => {
    const bad: Node = { ...g.neg(x), shape: [7] };
    expect(() => check([{ ...g.relu(bad), shape: [2] }])).toThrow("illegal neg");
  });
});
