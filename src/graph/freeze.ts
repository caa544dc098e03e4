/** @file Replaces nodes of a graph; freezing puts constants in place of its parameters. */
import { FaceError } from "../base/errors.ts";
import { shapeText, type TensorMap } from "../base/tensor.ts";
import { constant, labelled } from "./build.ts";
import { isOp, type Node, topological } from "./ops.ts";

/**
 * Rebuilds a graph around replaced nodes; what does not depend on one of them stays the same node.
 * @param replacement the node to use in place of one, of the same shape and type; `undefined` keeps it.
 */
export function replaceNodes(
  outputs: readonly Node[],
  replacement: (node: Node) => Node | undefined,
): Node[] {
  const results = new Map<Node, Node>();
  for (const node of topological(outputs)) {
    const inputs = node.inputs.map((input) => results.get(input)!);
    const isTouched = inputs.some((input, i) => input !== node.inputs[i]);
    results.set(node, replacement(node) ?? (isTouched ? { ...node, inputs } : node));
  }
  return outputs.map((output) => results.get(output)!);
}

function frozenParameter(node: Node<"parameter">, values: TensorMap): Node {
  const value = values.get(node.attrs.name);
  if (value === undefined) return node;
  const [wanted, got] = [node, value].map(({ dtype, shape }) => `${dtype}${shapeText(shape)}`);
  if (wanted === got) return labelled(constant(value), node.attrs.name);
  throw new FaceError("SHAPE_MISMATCH", `parameter ${node.attrs.name} takes ${wanted}, its value is ${got}`);
}

/**
 * The same outputs with constants in place of the parameters that have a value; the others stay.
 * @throws FaceError `SHAPE_MISMATCH` when a value has another shape or type than its parameter.
 */
export function freeze(outputs: readonly Node[], values: TensorMap): Node[] {
  return replaceNodes(outputs, (node) =>
    isOp(node, "parameter") ? frozenParameter(node, values) : undefined,
  );
}
