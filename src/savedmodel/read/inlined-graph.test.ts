/** @file Functions are opened up where they are called; circles and calls without end are refused. */
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  FunctionDefSchema,
  type GraphDef,
  GraphDefSchema,
  type NodeDef,
  NodeDefSchema,
} from "../../proto/tensorflow/graph_pb.ts";
import { InlinedGraph } from "./inlined-graph.ts";

interface Body {
  readonly nodeDef?: NodeDef[];
  readonly ret: Record<string, string>;
}

const node = (name: string, op: string, ...input: string[]): NodeDef =>
  create(NodeDefSchema, { name, op, input });
const call = (name: string, f: string, ...input: string[]): NodeDef =>
  create(NodeDefSchema, {
    name,
    op: "PartitionedCall",
    input,
    attr: { f: { value: { case: "func", value: { name: f } } } },
  });

/** A graph whose functions all take one argument, `x`. */
function graphOf(nodes: NodeDef[], functions: Record<string, Body> = {}): GraphDef {
  const bodies = Object.entries(functions).map(([name, { nodeDef = [], ret }]) =>
    create(FunctionDefSchema, {
      nodeDef,
      ret,
      signature: {
        name,
        inputArg: [{ name: "x" }],
        outputArg: Object.keys(ret).map((output) => ({ name: output })),
      },
    }),
  );
  return create(GraphDefSchema, { node: nodes, library: { function: bodies } });
}

const places = (graph: GraphDef, output: string, ...fed: string[]) => {
  const placed = new InlinedGraph(graph);
  for (const name of fed) placed.feed(name, node(name, "Fed"));
  return placed.order([placed.source(output)]).map(({ place }) => place);
};

describe("a graph with functions", () => {
  it("is opened up call by call, inputs first", () => {
    const graph = graphOf([node("x", "Placeholder"), call("f1", "f", "x"), call("f2", "f", "f1:1", "^x")], {
      f: {
        nodeDef: [call("inner", "g", "x"), node("Neg", "Neg", "inner:output:0", "^inner")],
        ret: { same: "x", negative: "Neg:y:0" },
      },
      g: { nodeDef: [node("Square", "Square", "x")], ret: { y: "Square:y:0" } },
    });
    expect(places(graph, "f2:1")).toEqual(["x", "f1/inner/Square", "f1/Neg", "f2/inner/Square", "f2/Neg"]);
    expect(places(graph, "f2:0")).toEqual(["x", "f1/inner/Square", "f1/Neg"]);
  });

  it("calls a function by its own name as well", () => {
    const graph = graphOf([node("x", "Placeholder"), node("y", "f", "x")], {
      f: { nodeDef: [node("Neg", "Neg", "x")], ret: { out: "Neg:y:0" } },
    });
    expect(places(graph, "y")).toEqual(["x", "y/Neg"]);
  });

  it("tells several outputs of one operator apart by name", () => {
    const graph = graphOf([node("x", "Placeholder"), call("f", "f", "x")], {
      f: {
        nodeDef: [
          node("norm", "FusedBatchNormV3", "x"),
          node("top", "TopKV2", "x"),
          node("parts", "Split", "x"),
        ],
        ret: { a: "norm:batch_variance:0", b: "top:indices:0", c: "parts:output:2" },
      },
    });
    const placed = new InlinedGraph(graph);
    expect([0, 1, 2].map((i) => placed.source(`f:${i}`).output)).toEqual([2, 1, 2]);
  });

  it("ends at every value that is given, whatever would compute it", () => {
    const graph = graphOf([
      node("parse", "ParseExample"),
      node("x", "Identity", "parse:3"),
      node("y", "Neg", "x"),
    ]);
    expect(places(graph, "y", "x")).toEqual(["x", "y"]);
    expect(places(graph, "y", "parse:3")).toEqual(["parse:3", "x", "y"]);
  });

  it.each([
    ["a circle", [node("a", "Neg", "b"), node("b", "Neg", "a")], {}, "has a cycle through"],
    ["a node that feeds itself", [node("a", "Neg", "a")], {}, "has a cycle through a"],
    ["a missing node", [node("a", "Neg", "nowhere:3")], {}, "refers to nowhere, which it does not hold"],
    ["a reference that is none", [node("a", "Neg", "x:y:z:0")], {}, "is not the name of a value"],
    ["a missing function", [call("a", "f")], {}, "calls the function f, which the graph does not hold"],
    ["a missing argument", [call("a", "f")], { f: { ret: { y: "x" } } }, "called without its argument x"],
    ["a missing output", [call("a", "f")], { f: { ret: {} } }, "has no output 0"],
    [
      "a function that calls itself",
      [node("x", "Placeholder"), call("a", "f", "x")],
      { f: { nodeDef: [call("again", "f", "x")], ret: { y: "again:output:0" } } },
      "calls itself",
    ],
    [
      "calls that pass one value round",
      [call("a", "f", "b"), call("b", "f", "a")],
      { f: { ret: { y: "x" } } },
      "has a cycle through",
    ],
  ])("refuses %s", (_, nodes, functions, says) => {
    expect(() => places(graphOf(nodes, functions), "a")).toThrow(says);
  });

  it("refuses calls within calls that would fill all memory", () => {
    const levels = Array.from({ length: 40 }, (_, i) => [
      `f${i}`,
      {
        nodeDef: [
          call("l", `f${i + 1}`, "x"),
          call("r", `f${i + 1}`, "x"),
          node("add", "Add", "l:output:0", "r:output:0"),
        ],
        ret: { y: "add:z:0" },
      },
    ]);
    const graph = graphOf([node("x", "Placeholder"), call("a", "f0", "x")], {
      ...Object.fromEntries(levels),
      f40: { ret: { y: "x" } },
    });
    expect(() => places(graph, "a")).toThrow("too many or too deep");
  });

  it("takes chains longer than the call stack is deep", () => {
    const chain = Array.from({ length: 50_000 }, (_, i) => node(`n${i + 1}`, "Neg", `n${i}`));
    expect(places(graphOf([node("n0", "Placeholder"), ...chain]), "n50000")).toHaveLength(50_001);
  });
});
