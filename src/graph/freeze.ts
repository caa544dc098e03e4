/** @file Freezing: replaces a graph's parameters with constants. */
import { FaceError } from "../base/errors.ts";
import { shapeText, type TensorMap } from "../base/tensor.ts";
import { constant, labelled } from "./build.ts";
import { isOp, type Node, topological } from "./ops.ts";

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
  const frozen = new Map<Node, Node>();
  for (const node of topological(outputs)) {
    const inputs = node.inputs.map((input) => frozen.get(input)!);
    const isTouched = inputs.some((input, i) => input !== node.inputs[i]);
    const rebuilt = isTouched ? { ...node, inputs } : node;
    frozen.set(node, isOp(node, "parameter") ? frozenParameter(node, values) : rebuilt);
  }
  return outputs.map((output) => frozen.get(output)!);
}
