/** @file Imports the part of a TensorFlow graph that a signature needs. */
import { create } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import type { Tensor } from "../../base/tensor.ts";
import { constant, input, labelled } from "../../graph/build.ts";
import { checkTypes, outputsOf, refuseOperators } from "../../graph/import-call.ts";
import type { Node } from "../../graph/ops.ts";
import { type GraphDef, NodeDefSchema } from "../../proto/tensorflow/graph_pb.ts";
import type { Signature } from "../signature.ts";
import { forbiddenBefore, unlessAny } from "./assertions.ts";
import {
  ASSIGNED,
  assignedValue,
  isAssignment,
  lastAssignments,
  refuseHiddenChanges,
} from "./assignments.ts";
import { importers } from "./from-tensorflow.ts";
import { BRANCH_OPS, importBranch, isBranch, type OpenedBranch, openBranch } from "./import-branch.ts";
import { importLoop, isLoop, LOOP_OPS, type LoopContext, type OpenedLoop, openLoop } from "./import-loop.ts";
import { FED, InlinedGraph, type InlinedNode, type OpenedFunction, type Source } from "./inlined-graph.ts";
import { OpCall } from "./op-call.ts";
import { type StoredTable, TABLE_OPS } from "./tables.ts";
import { VARIABLE_OPS } from "./variable-keys.ts";

/** A signature's graph: inputs and outputs by the names that callers use. */
export interface SignatureProgram {
  readonly inputs: Readonly<Record<string, Node<"input">>>;
  readonly outputs: Readonly<Record<string, Node>>;
  /** Variables that signatures of the model change, as far as this one needs them; absent where it needs none. */
  readonly state?: ReadonlyMap<string, StateVariable>;
}

/** A variable whose value lives from run to run. */
export interface StateVariable {
  readonly input: Node<"input">;
  readonly initial: Tensor;
  /** Its value after the run, where the signature changes it. */
  readonly next?: Node;
}

/** Reads what a graph does not hold itself, by the paths of the nodes. */
export interface ReadValues {
  variables(nodes: readonly InlinedNode[]): Promise<ReadonlyMap<string, Tensor>>;
  tables(nodes: readonly InlinedNode[]): Promise<ReadonlyMap<string, StoredTable>>;
}

const isVariable = ({ def }: InlinedNode) => VARIABLE_OPS.has(def.op);
const isTable = ({ def }: InlinedNode) => TABLE_OPS.has(def.op);
/** Whether an operator can be imported, where it stands where it should. */
export const isReadable = (op: string): boolean =>
  Object.hasOwn(importers, op) ||
  [VARIABLE_OPS, TABLE_OPS, LOOP_OPS, BRANCH_OPS].some((ops) => ops.has(op)) ||
  op === FED;
/** Prefix of the inputs for variables that signatures change. */
const STATE = "variable/";

/** The part of a graph that a signature needs. */
export interface SignatureSlice {
  readonly graph: InlinedGraph;
  /** What the outputs need, inputs first. */
  readonly nodes: readonly InlinedNode[];
  /** The loops among them, and within those. */
  readonly loops: ReadonlyMap<InlinedNode, OpenedLoop>;
  /** The branches among them, and within those. */
  readonly branches: ReadonlyMap<InlinedNode, OpenedBranch>;
  /** What the rounds of loops and the sides of branches need, and the conditions of assertions. */
  readonly inLoops: readonly InlinedNode[];
  readonly variables: readonly InlinedNode[];
  /** The last assignment to each variable that the signature changes, by the variable's path. */
  readonly assignments: ReadonlyMap<string, InlinedNode>;
  /** Values that callers feed, by the signature's names. */
  readonly fed: ReadonlyMap<string, InlinedNode>;
  readonly outputs: ReadonlyMap<string, Source>;
}

/**
 * Finds what a signature needs.
 * @throws FaceError `MODEL_INVALID` for a graph that contradicts itself.
 */
export function sliceOf(graph: GraphDef, signature: Signature): SignatureSlice {
  const inlined = new InlinedGraph(graph);
  const fed = new Map(
    [...signature.inputs].map(([alias, { tensorName }]) => [
      alias,
      inlined.feed(tensorName, create(NodeDefSchema, { name: alias, op: FED })),
    ]),
  );
  const outputs = new Map(
    [...signature.outputs].map(([alias, { tensorName }]) => [alias, inlined.source(tensorName)]),
  );
  const nodes = inlined.order([...outputs.values()]);
  const assignments = lastAssignments(inlined, nodes);
  const { loops, branches, inLoops } = opened(inlined, nodes);
  const variables = [...nodes, ...inLoops].filter(isVariable);
  return { graph: inlined, nodes, loops, branches, inLoops, variables, assignments, fed, outputs };
}

/** Opens the loops and branches among nodes, and those within them. */
function opened(
  graph: InlinedGraph,
  nodes: readonly InlinedNode[],
): Pick<SignatureSlice, "loops" | "branches" | "inLoops"> {
  const loops = new Map<InlinedNode, OpenedLoop>();
  const branches = new Map<InlinedNode, OpenedBranch>();
  const functionsOf = (node: InlinedNode): readonly OpenedFunction[] => {
    if (isLoop(node)) {
      const loop = openLoop(graph, node);
      loops.set(node, loop);
      return [loop.body, loop.condition];
    }
    if (!isBranch(node)) return [];
    const branch = openBranch(graph, node);
    branches.set(node, branch);
    return [branch.then, branch.otherwise];
  };
  const known = new Set(nodes);
  // A set that grows while it is walked.
  for (const node of known) {
    const sources = functionsOf(node).flatMap(({ outputs }) => outputs);
    for (const inner of graph.order([...sources, ...forbiddenBefore(graph, node)])) known.add(inner);
  }
  const own = new Set(nodes);
  return { loops, branches, inLoops: [...known].filter((node) => !own.has(node)) };
}

/** Whether a node can be imported or is fed by callers. */
export function isSupported({ def }: InlinedNode): boolean {
  return isReadable(def.op) || def.op in ASSIGNED;
}

/** Whether a node is a value that callers feed. */
export function isFed({ def }: InlinedNode): boolean {
  return def.op === FED;
}

/** Names unknown sides; all unknown first sides are one batch. */
function symbolicShape(alias: string, shape: readonly number[] | undefined): (number | string)[] {
  if (shape === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `the input ${alias} has no known rank`, {
      hint: "export the model with a shape for each input; single sides may be unknown",
    });
  }
  return shape.map((side, axis) => (side >= 0 ? side : axis === 0 ? "batch" : `${alias}_${axis}`));
}

/** The values of nodes that are imported, over those of the graph around them. */
class Values {
  readonly #own = new Map<InlinedNode, readonly Node[]>();
  readonly #around: Values | undefined;

  constructor(around?: Values) {
    this.#around = around;
  }

  has(node: InlinedNode): boolean {
    return this.#own.has(node) || (this.#around?.has(node) ?? false);
  }

  set(node: InlinedNode, values: readonly Node[]): void {
    this.#own.set(node, values);
  }

  #of(node: InlinedNode): readonly Node[] | undefined {
    return this.#own.get(node) ?? (this.#around === undefined ? undefined : this.#around.#of(node));
  }

  /** @throws FaceError `MODEL_INVALID` for a value that no node makes. */
  at({ node, output }: Source): Node {
    const found = this.#of(node)?.[output];
    if (found !== undefined) return found;
    throw new FaceError("MODEL_INVALID", `the graph has no value ${node.place}:${output}`);
  }
}

/** Imports the nodes of a slice. */
class Importing {
  readonly #slice: SignatureSlice;
  readonly #variables: ReadonlyMap<string, Tensor>;
  readonly #tables: ReadonlyMap<string, StoredTable>;

  constructor(
    slice: SignatureSlice,
    variables: ReadonlyMap<string, Tensor>,
    tables: ReadonlyMap<string, StoredTable>,
  ) {
    this.#slice = slice;
    this.#variables = variables;
    this.#tables = tables;
  }

  /** Imports nodes, each after its inputs, and keeps their values. */
  run(nodes: readonly InlinedNode[], values: Values): void {
    for (const node of nodes) {
      if (values.has(node) || isFed(node)) continue;
      values.set(node, this.#imported(node, values));
    }
  }

  #imported(node: InlinedNode, values: Values): readonly Node[] {
    const { def, place } = node;
    if (isVariable(node)) return [labelled(constant(this.#variables.get(place)!), def.name)];
    const table = this.#tables.get(place);
    // A table's operators take it beside their inputs; its keys stand for it among them.
    if (table !== undefined) return [constant(table.keys)];
    const { graph, loops, branches } = this.#slice;
    const sources = graph.inputs(node);
    return outputsOf(`${place} (${def.op})`, () => {
      const [loop, branch] = [loops.get(node), branches.get(node)];
      if (loop !== undefined) return importLoop(graph, node, loop, this.#contextOf(values));
      if (branch !== undefined) return importBranch(graph, node, branch, this.#contextOf(values));
      const inputs = sources.map((source) => values.at(source));
      if (isAssignment(node)) return assignedValue(node, inputs);
      const taken = this.#tables.get(sources[0]?.node.place ?? "");
      const made = importers[def.op]!(new OpCall(def, inputs, place, taken));
      const outputs: readonly Node[] = "op" in made ? [made] : made;
      return forbiddenBefore(graph, node).reduce((asserted, condition) => {
        this.run(graph.order([condition]), values);
        return asserted.map((output) => unlessAny(values.at(condition), output));
      }, outputs);
    });
  }

  #contextOf(around: Values): LoopContext {
    return {
      outside: (source) => around.at(source),
      inside: (sources, args) => {
        const values = new Values(around);
        for (const [node, value] of args) values.set(node, [value]);
        this.run(this.#slice.graph.order(sources), values);
        return sources.map((source) => values.at(source));
      },
    };
  }
}

/**
 * Checks that a signature can be read, without reading it: its operators, and the order in which it changes variables.
 * @returns what it needs.
 * @throws FaceError `MODEL_UNSUPPORTED` naming what cannot be read, `MODEL_INVALID` for a graph that contradicts itself.
 */
export function checkReadable(graph: GraphDef, name: string, signature: Signature): SignatureSlice {
  const slice = sliceOf(graph, signature);
  refuseHiddenChanges(graph, slice.graph, slice.nodes);
  const unknown = [
    ...slice.nodes.filter((node) => !isSupported(node)),
    ...slice.inLoops.filter((node) => !isReadable(node.def.op)),
  ];
  refuseOperators(
    unknown.map(({ def, place }) => ({ operator: def.op, place })),
    `signature ${name}`,
  );
  return slice;
}

/**
 * Reads one signature's graph.
 * @param changed paths of the variables that any signature of the model changes
 * @throws FaceError `MODEL_UNSUPPORTED` naming every operation that cannot be read, `MODEL_INVALID` for a graph that
 *   contradicts itself.
 */
export async function importSignature(
  graph: GraphDef,
  name: string,
  signature: Signature,
  read: ReadValues,
  changed: ReadonlySet<string> = new Set(),
): Promise<SignatureProgram> {
  const slice = checkReadable(graph, name, signature);
  const variables = await read.variables(slice.variables);
  const tables = await read.tables([...slice.nodes, ...slice.inLoops].filter(isTable));
  const importing = new Importing(slice, variables, tables);
  const values = new Values();
  const inputs: Record<string, Node<"input">> = {};
  for (const [alias, { shape, dtype }] of signature.inputs) {
    inputs[alias] = input(alias, symbolicShape(alias, shape), dtype);
    values.set(slice.fed.get(alias)!, [inputs[alias]]);
  }
  const state = new Map<string, StateVariable>();
  for (const node of slice.variables) {
    if (!changed.has(node.place)) continue;
    const initial = variables.get(node.place)!;
    const place = input(STATE + node.place, initial.shape, initial.dtype);
    state.set(node.place, { input: place, initial });
    values.set(node, [place]);
  }
  importing.run(slice.nodes, values);
  const outputs = Object.fromEntries([...slice.outputs].map(([alias, source]) => [alias, values.at(source)]));
  for (const [place, node] of slice.assignments)
    state.set(place, { ...state.get(place)!, next: values.at({ node, output: 0 }) });
  checkTypes(Object.values(outputs), `signature ${name}`);
  return { inputs, outputs, ...(state.size > 0 && { state }) };
}
