/** @file Variables that a signature changes: TensorFlow 1's assignments, which pass on the value they assign. */
import { FaceError } from "../../base/errors.ts";
import { shapeText } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import type { GraphDef, NodeDef } from "../../proto/tensorflow/graph_pb.ts";
import { type InlinedGraph, type InlinedNode, parseReference } from "./inlined-graph.ts";
import { VARIABLE_OPS } from "./variable-keys.ts";

/** The value that each assigns, of the variable's and the given one. */
export const ASSIGNED: Readonly<Record<string, (before: Node, value: Node) => Node>> = {
  Assign: (_before, value) => value,
  AssignAdd: (before, value) => g.add(before, value),
  AssignSub: (before, value) => g.sub(before, value),
};

/** Operators that change a variable beside the flow of values, in an order that only control inputs give. */
const CHANGES =
  /^(?:Assign.*VariableOp|Resource(?:Scatter|Apply|SparseApply|StridedSliceAssign).*|Scatter(?:Add|Sub|Mul|Div|Min|Max|Update)|Apply[A-Z].*|CountUpTo)$/;

export const isAssignment = ({ def }: InlinedNode): boolean => def.op in ASSIGNED;

/** The value that an assignment passes on. @throws FaceError `SHAPE_MISMATCH` for a value of another shape. */
export function assignedValue({ def }: InlinedNode, [before, value]: readonly Node[]): Node {
  if (before!.shape.join() !== value!.shape.join()) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `the variable has shape ${shapeText(before!.shape)}, the value to assign ${shapeText(value!.shape)}`,
    );
  }
  return ASSIGNED[def.op]!(before!, value!);
}

/** The last assignment to each variable among the nodes of a signature, by the variable's path. */
export function lastAssignments(
  graph: InlinedGraph,
  nodes: readonly InlinedNode[],
): Map<string, InlinedNode> {
  const last = new Map<string, InlinedNode>();
  for (const node of nodes) {
    if (!isAssignment(node)) continue;
    const target = graph.inputs(node)[0]?.node;
    const place = target === undefined ? undefined : variableOf(graph, target);
    if (target === undefined || place === undefined) throw unordered(node);
    // Two assignments that do not follow each other would run in any order.
    if (last.has(place) && last.get(place) !== target) throw unordered(node);
    last.set(place, node);
  }
  return last;
}

/** The variable behind a reference: itself, or through the assignments that pass it on. */
function variableOf(graph: InlinedGraph, start: InlinedNode): string | undefined {
  let node: InlinedNode | undefined = start;
  while (node !== undefined && isAssignment(node)) node = graph.inputs(node)[0]?.node;
  return node !== undefined && VARIABLE_OPS.has(node.def.op) ? node.place : undefined;
}

const unordered = ({ def, place }: Pick<InlinedNode, "def" | "place">) =>
  new FaceError(
    "MODEL_UNSUPPORTED",
    `${place} (${def.op}) changes a variable in an order that cannot be read`,
    { hint: "serve the model with TensorFlow Serving, or export it without state" },
  );

const changes = ({ op }: NodeDef) => op in ASSIGNED || CHANGES.test(op);

/** Functions that change a variable, in themselves or in what they call. */
function changingFunctions(graph: GraphDef): ReadonlySet<string> {
  const functions = graph.library?.function ?? [];
  const found = new Set<string>();
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const { signature, nodeDef } of functions) {
      if (nodeDef.some((def) => changes(def) || callsOne(def, found))) found.add(signature?.name ?? "");
    }
  }
  return found;
}

const callsOne = ({ op, attr }: NodeDef, functions: ReadonlySet<string>) =>
  functions.has(op) ||
  Object.values(attr).some(({ value }) => value.case === "func" && functions.has(value.value.name));

/** What runs because control inputs of the nodes name it, with all that it needs itself. */
function runBeside(graph: InlinedGraph, nodes: readonly InlinedNode[]): InlinedNode[] {
  const known = new Set(nodes);
  const seen = new Set(nodes);
  for (const node of seen) {
    for (const reference of node.def.input) {
      const isControl = reference.startsWith("^");
      if (known.has(node) && !isControl) continue;
      const { name } = parseReference(isControl ? reference.slice(1) : reference);
      if (graph.has(node, name)) seen.add(graph.beside(node, name));
    }
  }
  return [...seen].filter((node) => !known.has(node));
}

/** What runs because a call runs all of its function: the nodes of changing functions that hold nodes of the signature. */
function runInside(nodes: readonly InlinedNode[], changing: ReadonlySet<string>): InlinedNode[] {
  const known = new Set(nodes);
  const scopes = new Set(nodes.map(({ scope }) => scope));
  for (const { call } of scopes) if (call !== undefined) scopes.add(call.from);
  return [...scopes]
    .filter(({ call }) => call !== undefined && changing.has(call.body.name))
    .flatMap((scope) =>
      [...scope.defs.values()]
        // What an opened call runs is looked at as a scope of its own.
        .filter((def) => !scope.calls.has(def.name))
        .map((def) => scope.placed.get(def.name) ?? { def, place: scope.path + def.name, scope }),
    )
    .filter((node) => !known.has(node));
}

/**
 * Refuses a signature that changes variables beside the flow of its values, which would be answered as if it did not.
 * @throws FaceError `MODEL_UNSUPPORTED` that names the operator.
 */
export function refuseHiddenChanges(
  definition: GraphDef,
  graph: InlinedGraph,
  nodes: readonly InlinedNode[],
): void {
  const changing = changingFunctions(definition);
  const others = [...runBeside(graph, nodes), ...runInside(nodes, changing)];
  // A loop of the signature itself may change a variable in its rounds.
  const change =
    others.find(({ def }) => changes(def) || callsOne(def, changing)) ??
    nodes.find(({ def }) => callsOne(def, changing));
  if (change !== undefined) throw unordered(change);
}
