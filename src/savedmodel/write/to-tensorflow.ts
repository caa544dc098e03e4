/** @file Writes our graph as a TensorFlow graph: one rule per op, by kind in the files named emit-…. */
import { FaceError } from "../../base/errors.ts";
import { isOp, type Node, type OpName, topological } from "../../graph/ops.ts";
import { EmitContext, type EmitRules, trainingOnly } from "./emit-context.ts";
import { elementwiseRules } from "./emit-elementwise.ts";
import { imageRules } from "./emit-images.ts";
import { movingRules } from "./emit-moving.ts";
import { attr, type GraphWriter } from "./graph-writer.ts";

const rules: EmitRules = {
  input: ({ attrs, dtype, shape }, { graph }) =>
    graph.named(attrs.name, "Placeholder", [], { dtype: attr.type(dtype), shape: attr.shape(shape) }),
  parameter: (node) => {
    throw new FaceError("INTERNAL", `internal: ${node.attrs.name} has no value to be exported with`);
  },
  constant: (node, context) => context.value(node),
  randomUniform: trainingOnly,
  ...elementwiseRules,
  ...imageRules,
  ...movingRules,
};

function applyRule<K extends OpName>(node: Node<K>, context: EmitContext): string {
  return rules[node.op](node, context);
}

/**
 * Adds everything that the outputs need to a TensorFlow graph.
 * @param given names of values that are in the graph already.
 * @returns the name of each node's value, `:0` left off.
 * @throws FaceError `MODEL_UNSUPPORTED` for ops that only training makes.
 */
export function writeGraph(
  outputs: readonly Node[],
  graph: GraphWriter,
  given: ReadonlyMap<Node, string> = new Map(),
): Map<Node, string> {
  const names = new Map<Node, string>(given);
  const context = new EmitContext(graph, names);
  const results = new Set(outputs);
  for (const node of topological(outputs)) {
    if (names.has(node) || (isOp(node, "constant") && !results.has(node))) continue;
    names.set(node, applyRule(node, context));
  }
  return names;
}
