/** @file What rules that write our graph in TensorFlow's words share. */
import { FaceError } from "../base/errors.ts";
import type { Node, OpName } from "../graph/ops.ts";
import { attr, type GraphWriter } from "./graph-writer.ts";

/** What a rule works with. */
export interface Writing {
  readonly graph: GraphWriter;
  /** The name of the value of an input. */
  value(node: Node): string;
}

/** Adds what computes a node and returns the name of its value. */
export type Rule<K extends OpName> = (node: Node<K>, writing: Writing) => string;
export const typed = (node: Node) => ({ T: attr.type(node.dtype) });
export const values = (node: Node, writing: Writing) => node.inputs.map((input) => writing.value(input));

/** Only training makes these; what is exported must not hold any. */
export const trainingOnly: Rule<OpName> = (node) => {
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `${node.op} belongs to training and cannot be part of an exported model`,
  );
};

/** One side of a value as it is at run time. */
export function sideOf({ graph, value }: Writing, x: Node, axis: number): string {
  const shape = graph.node("Shape", [value(x)], { ...typed(x), out_type: attr.type("int32") }, x.label);
  return graph.node(
    "StridedSlice",
    [shape, graph.ints([axis]), graph.ints([axis + 1]), graph.ints([1])],
    { T: attr.type("int32"), Index: attr.type("int32"), shrink_axis_mask: attr.int(1) },
    x.label,
  );
}

export function packed({ graph }: Writing, sides: readonly string[]): string {
  return graph.node("Pack", sides, { T: attr.type("int32"), N: attr.int(sides.length), axis: attr.int(0) });
}
