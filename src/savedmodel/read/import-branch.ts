/** @file Imports TensorFlow's branches: the one that is taken, where that is known, or else a choice between the values of both. */
import { FaceError } from "../../base/errors.ts";
import { shapeText } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { type Node, UNKNOWN_DIM } from "../../graph/ops.ts";
import { knownNumbers } from "../../graph/partial-ints.ts";
import type { LoopContext } from "./import-loop.ts";
import { dataInputs, type InlinedGraph, type InlinedNode, type OpenedFunction } from "./inlined-graph.ts";

export const BRANCH_OPS: ReadonlySet<string> = new Set(["If", "StatelessIf"]);
export const isBranch = ({ def }: InlinedNode): boolean => BRANCH_OPS.has(def.op);

/** The two functions of a branch, of which one runs. */
export interface OpenedBranch {
  readonly then: OpenedFunction;
  readonly otherwise: OpenedFunction;
}

/** Opens the functions of a branch. @throws FaceError `MODEL_INVALID` for functions that do not fit it. */
export function openBranch(graph: InlinedGraph, node: InlinedNode): OpenedBranch {
  const inputs = dataInputs(node.def).slice(1);
  const open = (attribute: string, as: string) => graph.open(node, attribute, () => false, as, inputs);
  const [then, otherwise] = [open("then_branch", "then"), open("else_branch", "else")];
  if (then.outputs.length !== otherwise.outputs.length)
    throw new FaceError(
      "MODEL_INVALID",
      `${node.place}: its two functions do not give the same number of values`,
    );
  return { then, otherwise };
}

function chosen(condition: Node, a: Node, b: Node, where: string): Node {
  const isAlike = a.dtype === b.dtype && a.shape.join() === b.shape.join() && !a.shape.includes(UNKNOWN_DIM);
  if (isAlike) return g.select(condition, a, b);
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `${where}: a choice between ${a.dtype}${shapeText(a.shape)} and ${b.dtype}${shapeText(b.shape)} is not supported`,
  );
}

/**
 * Imports a branch. Both sides are computed unless one is known to be taken.
 * @returns its outputs
 * @throws FaceError `MODEL_UNSUPPORTED` or `MODEL_INVALID`.
 */
export function importBranch(
  graph: InlinedGraph,
  node: InlinedNode,
  { then, otherwise }: OpenedBranch,
  context: LoopContext,
): readonly Node[] {
  const where = `${node.place} (${node.def.op})`;
  const given = context.outside(graph.inputs(node)[0]!);
  if (given.shape.length > 0 || given.dtype === "string")
    throw new FaceError("MODEL_UNSUPPORTED", `${where}: a condition that is no scalar is not supported`);
  const condition = given.dtype === "bool" ? given : g.differ(given, g.scalar(0, given.dtype));
  const values = ({ outputs }: OpenedFunction) => context.inside(outputs, new Map());
  const known = knownNumbers(g.cast(condition, "int32"))?.[0];
  if (known !== undefined) return values(known === 0 ? otherwise : then);
  const [a, b] = [values(then), values(otherwise)];
  return a.map((value, i) => chosen(condition, value, b[i]!, where));
}
