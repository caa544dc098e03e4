/** @file Reverse-mode differentiation: the derivative of a scalar by any nodes, as more nodes of the same graph. */
import { FaceError } from "../base/errors.ts";
import { shapeText } from "../base/tensor.ts";
import { scalar } from "./build.ts";
import { accumulate, inputGradients } from "./gradients.ts";
import { type Node, topological } from "./ops.ts";

/** The nodes whose value depends on one of the sources. */
function dependents(order: readonly Node[], sources: readonly Node[]): Set<Node> {
  const found = new Set<Node>(sources);
  for (const node of order) {
    if (node.inputs.some((input) => found.has(input))) found.add(node);
  }
  return found;
}

/**
 * The derivatives of a scalar `loss` by `sources`, in their order and shapes.
 * @throws FaceError `SHAPE_MISMATCH` when the loss is not a scalar or does not depend on a source, and
 *   `MODEL_UNSUPPORTED` when an op on the way has no derivative.
 */
export function gradient(loss: Node, sources: readonly Node[]): Node[] {
  if (loss.shape.length > 0) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `gradient: the loss must be a scalar, got shape ${shapeText(loss.shape)}`,
      {
        hint: "reduce it to its mean or sum first",
      },
    );
  }
  const order = topological([loss]);
  const relevant = dependents(order, sources);
  const derivatives = new Map<Node, Node>([[loss, scalar(1, loss.dtype)]]);
  for (const node of order.toReversed()) {
    const dy = derivatives.get(node);
    if (dy === undefined || !relevant.has(node) || node.inputs.every((input) => !relevant.has(input)))
      continue;
    const passed = inputGradients(node, dy);
    node.inputs.forEach((input, i) => {
      const part = passed[i];
      if (part !== undefined && relevant.has(input))
        derivatives.set(input, accumulate(derivatives.get(input), part));
    });
  }
  return sources.map((source) => {
    const derivative = derivatives.get(source);
    if (derivative !== undefined) return derivative;
    throw new FaceError(
      "SHAPE_MISMATCH",
      `gradient: the loss does not depend on ${source.label ?? source.op}`,
      { hint: "pass the very node that the loss was made from, not another one of that name" },
    );
  });
}
