/** @file Finds the bundle key of each variable: by the object graph, by the restoring nodes, or by name. */
import { fromBinary } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import type { Tensor } from "../../base/tensor.ts";
import {
  type MetaGraphDef,
  type SavedObjectGraph,
  type SignatureDef,
  type TrackableObjectGraph,
  TrackableObjectGraphSchema,
} from "../../proto/tensorflow/graph_pb.ts";
import { storedTensor } from "../format/tensor-proto.ts";
import type { InlinedGraph, InlinedNode, Source } from "./inlined-graph.ts";
import { dataInputs, parseReference } from "./inlined-graph.ts";

/** Under this key TensorFlow 2 keeps the checkpoint's object graph. */
export const OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH";

/** Operators that hold a variable. */
export const VARIABLE_OPS: ReadonlySet<string> = new Set(["VarHandleOp", "VariableV2", "Variable"]);
const ASSIGN_OPS: ReadonlySet<string> = new Set(["AssignVariableOp", "Assign"]);
/** Operators that pass on a variable or the value assigned to it. */
const HANDED_ON: ReadonlySet<string> = new Set(["Identity", "Cast", "Reshape"]);
const MOST_RESTORING_NODES = 200_000;
/** Largest list of keys, with 16 bytes counted for each. */
const LARGEST_KEY_LIST = 2 ** 24;

const VALUE_ATTRIBUTE = "VARIABLE_VALUE";

/** Variable's node name → key in the bundle. */
type Keys = ReadonlyMap<string, string>;

/** Reads the checkpoint's object graph. @throws FaceError `MODEL_INVALID`. */
export function parseObjectGraph(value: Tensor | undefined): TrackableObjectGraph {
  const bytes = value?.dtype === "string" ? (value.data as readonly Uint8Array[])[0] : undefined;
  try {
    return fromBinary(TrackableObjectGraphSchema, bytes ?? new Uint8Array(0));
  } catch (error) {
    throw new FaceError("MODEL_INVALID", `${OBJECT_GRAPH_KEY} is damaged: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Walks the objects of model and checkpoint together, by the names of their children. */
function objectKeys(saved: SavedObjectGraph, tracked: TrackableObjectGraph): Map<number, string> {
  const keys = new Map<number, string>();
  const partner = new Map<number, number>([[0, 0]]);
  for (const [id, trackedId] of partner) {
    const object = tracked.nodes[trackedId];
    const value = object?.attributes.find(({ name }) => name === VALUE_ATTRIBUTE);
    if (value !== undefined) keys.set(id, value.checkpointKey);
    const children = new Map(object?.children.map((child) => [child.localName, child.nodeId]));
    for (const { localName, nodeId } of saved.nodes[id]?.children ?? []) {
      const next = children.get(localName);
      // A map that grows while it is walked: breadth first, each object once.
      if (next !== undefined && !partner.has(nodeId)) partner.set(nodeId, next);
    }
  }
  return keys;
}

/** The objects that a signature's function gets after its own inputs. */
function boundObjects(saved: SavedObjectGraph, signature: string): readonly number[] {
  const child = (id: number | undefined, name: string) =>
    saved.nodes[id ?? -1]?.children.find(({ localName }) => localName === name)?.nodeId;
  const kind = saved.nodes[child(child(0, "signatures"), signature) ?? -1]?.kind;
  const name = kind?.case === "bareConcreteFunction" ? kind.value.concreteFunctionName : "";
  return saved.concreteFunctions[name]?.boundInputs ?? [];
}

/** The node of the graph itself that makes a value, past identities. */
function makerOf(graph: InlinedGraph, tensorName: string): InlinedNode {
  let node = graph.node(parseReference(tensorName).name);
  // A damaged graph may have a cycle of identities.
  for (const seen = new Set<InlinedNode>(); node.def.op === "Identity" && !seen.has(node); ) {
    seen.add(node);
    node = graph.node(parseReference(dataInputs(node.def)[0] ?? "").name);
  }
  return node;
}

/** By the model's objects: the last inputs of a signature's call are the variables that its function is bound to. */
function keysByObjects(
  graph: InlinedGraph,
  meta: MetaGraphDef,
  signatures: readonly (readonly [string, SignatureDef])[],
  tracked: TrackableObjectGraph,
): Keys {
  const keys = new Map<string, string>();
  const saved = meta.objectGraphDef;
  if (saved === undefined) return keys;
  const byObject = objectKeys(saved, tracked);
  for (const [name, { outputs }] of signatures) {
    const bound = boundObjects(saved, name);
    for (const info of Object.values(outputs)) {
      if (info.encoding.case !== "name") continue;
      const inputs = dataInputs(makerOf(graph, info.encoding.value).def);
      const captured = inputs.slice(inputs.length - bound.length);
      for (const [i, id] of bound.entries()) {
        const key = byObject.get(id);
        const input = captured[i];
        if (key !== undefined && input !== undefined) keys.set(makerOf(graph, input).def.name, key);
      }
    }
  }
  return keys;
}

/** All that runs because a node runs, through control inputs and calls. */
export function restoringNodes(graph: InlinedGraph, name: string): ReadonlySet<InlinedNode> {
  const nodes = new Set<InlinedNode>([graph.node(parseReference(name).name)]);
  for (const node of nodes) {
    for (const inner of graph.inside(node)) nodes.add(inner);
    for (const control of node.def.input.filter((input) => input.startsWith("^"))) {
      nodes.add(graph.beside(node, control.slice(1)));
    }
    if (nodes.size > MOST_RESTORING_NODES) {
      throw new FaceError("MODEL_INVALID", "the nodes that restore the model's variables are too many");
    }
  }
  return nodes;
}

/** Where a value comes from, past nodes that pass it on, cast or reshaped. */
export function origin(graph: InlinedGraph, source: Source | undefined): Source | undefined {
  let found = source;
  const seen = new Set<InlinedNode>();
  while (found !== undefined && HANDED_ON.has(found.node.def.op)) {
    if (seen.has(found.node)) return undefined;
    seen.add(found.node);
    found = graph.inputs(found.node)[0];
  }
  return found;
}

function constantStrings(source: Source | undefined): string[] {
  const value = source?.node.def.attr.value?.value;
  if (source?.node.def.op !== "Const" || value?.case !== "tensor") return [];
  const decoder = new TextDecoder();
  const tensor = storedTensor(value.value, source.node.place, { maxBytes: LARGEST_KEY_LIST });
  return tensor.dtype === "string"
    ? (tensor.data as readonly Uint8Array[]).map((each) => decoder.decode(each))
    : [];
}

/** By the nodes that restore the variables: each assigns an output of RestoreV2, which lists the keys. */
function keysByRestoring(graph: InlinedGraph, meta: MetaGraphDef): Keys {
  const keys = new Map<string, string>();
  const name = meta.saverDef?.restoreOpName ?? "";
  if (name === "") return keys;
  const listed = new Map<InlinedNode, string[]>();
  for (const node of restoringNodes(graph, name)) {
    if (!ASSIGN_OPS.has(node.def.op)) continue;
    const [handle, value] = graph.inputs(node);
    const target = origin(graph, handle);
    const restored = origin(graph, value);
    if (restored?.node.def.op !== "RestoreV2" || target === undefined) continue;
    const names = listed.get(restored.node) ?? constantStrings(origin(graph, graph.inputs(restored.node)[1]));
    listed.set(restored.node, names);
    const key = names[restored.output];
    if (key !== undefined) keys.set(target.node.place, key);
  }
  return keys;
}

/** By names that no two variables share. */
function keysByName(tracked: TrackableObjectGraph): Keys {
  const keys = new Map<string, string>();
  const ambiguous = new Set<string>();
  for (const { name, fullName, checkpointKey } of tracked.nodes.flatMap((node) => node.attributes)) {
    if (name !== VALUE_ATTRIBUTE) continue;
    if (keys.has(fullName)) ambiguous.add(fullName);
    keys.set(fullName, checkpointKey);
  }
  for (const name of ambiguous) keys.delete(name);
  return keys;
}

/**
 * Finds the keys of a model's variables.
 * @param known the bundle's keys
 * @returns a function from a variable to the key of its value, or undefined where the bundle holds none.
 * @throws FaceError `MODEL_INVALID` for a graph that contradicts itself.
 */
export function keyFinder(
  graph: InlinedGraph,
  meta: MetaGraphDef,
  tracked: TrackableObjectGraph,
  known: ReadonlySet<string>,
): (variable: InlinedNode) => string | undefined {
  const signatures = Object.entries(meta.signatureDef).filter(([, { outputs }]) =>
    Object.values(outputs).every(({ encoding }) => encoding.case === "name"),
  );
  const byObjects = keysByObjects(graph, meta, signatures, tracked);
  const byRestoring = keysByRestoring(graph, meta);
  const byName = keysByName(tracked);
  return ({ place, def }) => {
    const name = def.attr.shared_name?.value;
    const shared = name?.case === "s" ? new TextDecoder().decode(name.value) : "";
    const keys = [byObjects.get(place), byRestoring.get(place), byName.get(shared), shared, place];
    return keys.find((key) => key !== undefined && known.has(key));
  };
}
