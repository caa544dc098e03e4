/** @file What the rules that write ops as TensorFlow operators share: the graph, names of values, operators of a node. */
import { FaceError } from "../../base/errors.ts";
import { isOp, type Node, type OpName } from "../../graph/ops.ts";
import type { AttrValue } from "../../proto/tensorflow/graph_pb.ts";
import { attr, type GraphWriter } from "./graph-writer.ts";

type Attributes = Readonly<Record<string, AttrValue>>;

/** Adds the operators that compute a node and returns the name of its value. */
export type EmitRule<K extends OpName> = (node: Node<K>, context: EmitContext) => string;
/** One rule per op. */
export type EmitRules = { readonly [K in OpName]: EmitRule<K> };

const INT32 = attr.type("int32");
export const INDEX = { Index: INT32 };

/** A graph that is being written. */
export class EmitContext {
  readonly graph: GraphWriter;
  readonly #names: Map<Node, string>;

  /** @param names the values written so far; the caller adds to it, except for constants. */
  constructor(graph: GraphWriter, names: Map<Node, string>) {
    this.graph = graph;
    this.#names = names;
  }

  /** The name of a node's value; a constant is written when it is first asked for, as some operators keep it in another shape. */
  value(node: Node): string {
    const known = this.#names.get(node);
    if (known !== undefined || !isOp(node, "constant")) return known!;
    const name = this.graph.constant(node.attrs.value, node.label);
    this.#names.set(node, name);
    return name;
  }

  /** The names of the values of a node's inputs. */
  inputs(node: Node): string[] {
    return node.inputs.map((input) => this.value(input));
  }

  /** Adds an operator named after a node, whose attribute T is the node's element type. */
  operator(node: Node, op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.graph.node(op, inputs, { T: attr.type(node.dtype), ...attributes }, node.label);
  }

  /** One side of a value as it is at run time, in the given integer type; `label` names the operators. */
  sideOf(node: Node, axis: number, dtype: "int32" | "int64", label: string | undefined): string {
    const T = attr.type(dtype);
    const shape = { T: attr.type(node.dtype), out_type: T };
    const list = this.graph.node("Shape", [this.value(node)], shape, label);
    const inputs = [list, this.graph.ints([axis]), this.graph.ints([axis + 1]), this.graph.ints([1])];
    return this.graph.node("StridedSlice", inputs, { T, ...INDEX, shrink_axis_mask: attr.int(1) }, label);
  }

  /** A list of int32 from scalars. */
  packed(sides: readonly string[]): string {
    return this.graph.node("Pack", sides, { T: INT32, N: attr.int(sides.length), axis: attr.int(0) });
  }
}

/** The rule of ops that only training makes: an exported model must not hold any. */
export const trainingOnly: EmitRule<OpName> = (node) => {
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `${node.op} belongs to training and cannot be part of an exported model`,
  );
};
