/** @file A TensorFlow graph becomes ours: what the signatures need, walked from their outputs back to their inputs. */
import { FaceError } from "../base/errors.ts";
import { input } from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import type { GraphDef, NodeDef } from "../proto/tensorflow/graph_pb.ts";
import { importers } from "./from-tensorflow.ts";
import { OpCall } from "./op-call.ts";
import type { Signature } from "./signature.ts";

/** A signature's graph: inputs and outputs by the names that callers use. */
export interface SignatureProgram {
  readonly inputs: Readonly<Record<string, Node<"input">>>;
  readonly outputs: Readonly<Record<string, Node>>;
}

/** `node:2 → node, 2`; no number means output 0. */
function parseTensorName(name: string): { node: string; index: number } {
  const colon = name.lastIndexOf(":");
  return colon < 0
    ? { node: name, index: 0 }
    : { node: name.slice(0, colon), index: Number(name.slice(colon + 1)) };
}

const dataInputs = (def: NodeDef) => def.input.filter((name) => !name.startsWith("^"));

/** Nodes that unsupported operators stand at, at most so many of each in an error. */
const EXAMPLES_SHOWN = 3;

class GraphImport {
  readonly #defs: ReadonlyMap<string, NodeDef>;
  readonly #values = new Map<string, readonly Node[]>();

  constructor(graph: GraphDef) {
    this.#defs = new Map(graph.node.map((def) => [def.name, def]));
  }

  /** A value that is given from outside, whatever the graph would compute there. */
  feed(tensorName: string, node: Node): void {
    const { node: name, index } = parseTensorName(tensorName);
    const values = [...(this.#values.get(name) ?? [])];
    values[index] = node;
    this.#values.set(name, values);
  }

  /** The nodes that a value needs, inputs first. */
  order(tensorName: string): NodeDef[] {
    const order: NodeDef[] = [];
    const state = new Map<string, "open" | "done">();
    const stack = [{ name: parseTensorName(tensorName).node, next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (this.#values.has(top.name) || state.get(top.name) === "done") {
        stack.pop();
        continue;
      }
      const def = this.#def(top.name);
      state.set(top.name, "open");
      const inputs = dataInputs(def);
      if (top.next === inputs.length) {
        order.push(def);
        state.set(top.name, "done");
        stack.pop();
        continue;
      }
      const child = parseTensorName(inputs[top.next++]!).node;
      if (state.get(child) === "open") {
        throw new FaceError("MODEL_INVALID", `the graph goes in a circle through ${child}`);
      }
      stack.push({ name: child, next: 0 });
    }
    return order;
  }

  compute(def: NodeDef): void {
    const inputs = dataInputs(def).map((name) => this.value(name));
    const importer = importers[def.op]!;
    const made = importer(new OpCall(def, inputs));
    this.#values.set(def.name, Array.isArray(made) ? (made as Node[]) : [made as Node]);
  }

  value(tensorName: string): Node {
    const { node, index } = parseTensorName(tensorName);
    const value = this.#values.get(node)?.[index];
    if (value === undefined) throw new FaceError("MODEL_INVALID", `the graph has no value ${tensorName}`);
    return value;
  }

  #def(name: string): NodeDef {
    const def = this.#defs.get(name);
    if (def === undefined)
      throw new FaceError("MODEL_INVALID", `the graph refers to ${name}, which it does not hold`);
    return def;
  }
}

/** One error for everything that cannot be read. */
function refuseUnknown(order: readonly NodeDef[], signature: string): void {
  const places = new Map<string, string[]>();
  for (const { op, name } of order) {
    if (!(op in importers)) places.set(op, [...(places.get(op) ?? []), name]);
  }
  if (places.size === 0) return;
  const list = [...places].map(([op, names]) => {
    const more = names.length > EXAMPLES_SHOWN ? ` and ${names.length - EXAMPLES_SHOWN} more` : "";
    return `${op} (${names.slice(0, EXAMPLES_SHOWN).join(", ")}${more})`;
  });
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `signature ${signature} uses operations that faceid cannot run: ${list.join("; ")}`,
    {
      hint: "docs/formats.md lists the operations that can be read",
    },
  );
}

/** Side names: all first sides that are unknown are one batch. */
function symbolicShape(alias: string, shape: readonly number[] | undefined): (number | string)[] {
  if (shape === undefined) {
    throw new FaceError("MODEL_UNSUPPORTED", `the input ${alias} has no known rank`, {
      hint: "export the model with a shape for each input; single sides may be unknown",
    });
  }
  return shape.map((side, axis) => (side >= 0 ? side : axis === 0 ? "batch" : `${alias}_${axis}`));
}

/**
 * Reads one signature's graph.
 * @throws FaceError `MODEL_UNSUPPORTED` naming every operation that cannot be read, `MODEL_INVALID` for a graph that
 *   contradicts itself.
 */
export function importSignature(graph: GraphDef, name: string, signature: Signature): SignatureProgram {
  const reading = new GraphImport(graph);
  const inputs = Object.fromEntries(
    [...signature.inputs].map(([alias, { tensorName, shape, dtype }]) => {
      const node = input(alias, symbolicShape(alias, shape), dtype);
      reading.feed(tensorName, node);
      return [alias, node];
    }),
  );
  const outputs = Object.fromEntries(
    [...signature.outputs].map(([alias, { tensorName }]) => {
      const order = reading.order(tensorName);
      refuseUnknown(order, name);
      for (const def of order) reading.compute(def);
      return [alias, reading.value(tensorName)];
    }),
  );
  return { inputs, outputs };
}
