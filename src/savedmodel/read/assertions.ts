/** @file What a model asserts of its inputs: that a vocabulary holds all of them, as Keras does where it has no index for others. */
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import { type InlinedGraph, type InlinedNode, parseReference, type Source } from "./inlined-graph.ts";
import { onlyIf } from "./op-call.ts";

/** The node that makes a node's first input, if it has this operator. */
function before(graph: InlinedGraph, node: InlinedNode | undefined, op: string): InlinedNode | undefined {
  const made = node && graph.inputs(node)[0]?.node;
  return made?.def.op === op ? made : undefined;
}

/** The condition that no element may meet for an assertion to hold; the assertion compares the number of such elements with 0. */
function forbidden(graph: InlinedGraph, assertion: InlinedNode): Source | undefined {
  const places = before(graph, before(graph, before(graph, assertion, "Equal"), "Size"), "Where");
  return places && graph.inputs(places)[0];
}

/** The conditions of assertions that must hold before a node has its value: each must be true of no element. */
export function forbiddenBefore(graph: InlinedGraph, node: InlinedNode): Source[] {
  return node.def.input.flatMap((reference) => {
    if (!reference.startsWith("^")) return [];
    const { name } = parseReference(reference.slice(1));
    if (!graph.has(node, name)) return [];
    const assertion = graph.beside(node, name);
    const condition = assertion.def.op === "Assert" ? forbidden(graph, assertion) : undefined;
    return condition === undefined ? [] : [condition];
  });
}

/** A value of a run in which a condition is true of no element; any other run fails. */
export function unlessAny(condition: Node, value: Node): Node {
  const count = g.reduceSum(g.cast(condition, "int32"));
  return onlyIf(g.equal(count, g.scalar(0, "int32")), value);
}
