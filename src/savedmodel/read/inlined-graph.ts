/** @file A TensorFlow graph with its function calls inlined: finds the node that makes each value. */
import { create } from "@bufbuild/protobuf";
import { FaceError } from "../../base/errors.ts";
import {
  type FunctionDef,
  type GraphDef,
  type NodeDef,
  NodeDefSchema,
} from "../../proto/tensorflow/graph_pb.ts";

/** A node in the graph itself or in one call of a function. */
export interface InlinedNode {
  readonly def: NodeDef;
  /** Its path through the calls, for messages: `StatefulPartitionedCall/conv1/Conv2D`. */
  readonly place: string;
  readonly scope: Scope;
}

/** The output of a node, which is no call, that makes a value. */
export interface Source {
  readonly node: InlinedNode;
  readonly output: number;
}

/** A function that was opened: its arguments, where they are values of their own, and what it returns. */
export interface OpenedFunction {
  readonly args: readonly (InlinedNode | undefined)[];
  readonly outputs: readonly Source[];
}

/** A scope of node names: the graph itself, or one call of a function. */
interface Scope {
  readonly path: string;
  readonly depth: number;
  readonly defs: ReadonlyMap<string, NodeDef>;
  /** Undefined for the graph itself. */
  readonly call:
    | { readonly from: Scope; readonly inputs: readonly string[]; readonly body: Body }
    | undefined;
  readonly placed: Map<string, InlinedNode>;
  readonly calls: Map<string, Scope>;
}

/** A function's definition as lookup tables. */
interface Body {
  readonly name: string;
  readonly defs: ReadonlyMap<string, NodeDef>;
  readonly args: ReadonlyMap<string, number>;
  /** Names of the outputs in order, and the reference that each returns. */
  readonly outputs: readonly string[];
  readonly returns: Readonly<Record<string, string>>;
}

/** The operator of values that are given: by callers, or to a function that a node runs otherwise than as a call. */
export const FED = "faceid.Fed";

/** Operators that call a function. */
export const CALL_OPS: ReadonlySet<string> = new Set(["PartitionedCall", "StatefulPartitionedCall"]);

/** The deepest nesting of calls. */
const DEEPEST_CALL = 128;
/** Most calls and nodes after inlining; nested calls in a small file could claim any number. */
const MOST_CALLS = 20_000;
const MOST_NODES = 500_000;
/** How many references one value may be followed through before it counts as a cycle. */
const MOST_STEPS = 100_000;

/** Output names of operators with several outputs; all others have one, which may be a list. */
const OUTPUT_NAMES: Readonly<Record<string, readonly string[]>> = {
  FusedBatchNorm: ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"],
  FusedBatchNormV2: ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"],
  FusedBatchNormV3: [
    "y",
    "batch_mean",
    "batch_variance",
    "reserve_space_1",
    "reserve_space_2",
    "reserve_space_3",
  ],
  TopKV2: ["values", "indices"],
};

/** It has three outputs for each sparse feature before those of dense ones. */
const PARSER = "ParseExampleV2";
const OUTPUTS_OF_SPARSE = 3;

const invalid = (message: string) => new FaceError("MODEL_INVALID", message);

/** `name:2` of a graph, `name:output:2` of a function; no number means 0. */
export function parseReference(reference: string): { name: string; output: string; index: number } {
  const [name = "", ...rest] = reference.split(":");
  const index = rest.length === 0 ? 0 : Number(rest.at(-1));
  if (name === "" || rest.length > 2 || !Number.isInteger(index) || index < 0) {
    throw invalid(`the graph refers to ${JSON.stringify(reference)}, which is not the name of a value`);
  }
  return { name, output: rest.length === 2 ? rest[0]! : "", index };
}

/** A node's inputs without control inputs. */
export const dataInputs = (def: NodeDef): string[] => def.input.filter((name) => !name.startsWith("^"));

function bodyOf(definition: FunctionDef): Body {
  const name = definition.signature?.name ?? "";
  return {
    name,
    defs: new Map(definition.nodeDef.map((def) => [def.name, def])),
    args: new Map(definition.signature?.inputArg.map((arg, i) => [arg.name, i])),
    outputs: definition.signature?.outputArg.map((arg) => arg.name) ?? [],
    returns: definition.ret,
  };
}

/** Looks up values in a graph, through its calls. */
export class InlinedGraph {
  readonly #root: Scope;
  readonly #functions: ReadonlyMap<string, FunctionDef>;
  readonly #bodies = new Map<string, Body>();
  readonly #fed = new Map<string, InlinedNode>();
  readonly #givenFromOutside = new Set<InlinedNode>();
  #calls = 0;
  #nodes = 0;

  constructor(graph: GraphDef) {
    this.#root = {
      path: "",
      depth: 0,
      defs: new Map(graph.node.map((def) => [def.name, def])),
      call: undefined,
      placed: new Map(),
      calls: new Map(),
    };
    this.#functions = new Map(graph.library?.function.map((each) => [each.signature?.name ?? "", each]));
  }

  /**
   * Declares that callers feed a value, whatever would compute it: a value of the graph itself by its name, one inside a
   * call by its node's path.
   */
  feed(tensorName: string, def: NodeDef): InlinedNode {
    const { name, index } = parseReference(tensorName);
    const node = { def, place: def.name, scope: this.#root };
    this.#fed.set(`${name}:${index}`, node);
    this.#givenFromOutside.add(node);
    return node;
  }

  /** A node of the graph itself. */
  node(name: string): InlinedNode {
    return this.#place(this.#root, this.#def(this.#root, name));
  }

  /** Where a value of the graph itself comes from. */
  source(tensorName: string): Source {
    return this.#follow(this.#root, tensorName);
  }

  /** Where the inputs of a node come from. */
  inputs({ def, scope }: InlinedNode): Source[] {
    return dataInputs(def).map((reference) => this.#follow(scope, reference));
  }

  /**
   * Opens a function that a node runs otherwise than as a call, such as the body of a loop.
   * @param attribute the node's attribute that names it
   * @param given whether an argument is a value of its own; all others are what the node's inputs are
   * @param as the name of its scope among those of the node
   * @param inputs the node's inputs that the function takes
   * @throws FaceError `MODEL_INVALID`.
   */
  open(
    node: InlinedNode,
    attribute: string,
    given: (argument: number) => boolean,
    as: string,
    inputs: readonly string[] = dataInputs(node.def),
  ): OpenedFunction {
    const { def, scope: from, place } = node;
    const value = def.attr[attribute]?.value;
    if (value?.case !== "func")
      throw invalid(`${place} (${def.op}) does not say which function is its ${attribute}`);
    const path = `${place}/${as}/`;
    const body = this.#body(value.value.name, path);
    const scope = this.#enter(from, body, path, inputs);
    const args = [...body.args.keys()].map((name, i) => {
      if (!given(i)) return undefined;
      const arg = { def: create(NodeDefSchema, { name, op: FED }), place: path + name, scope };
      this.#fed.set(`${path}${name}:0`, arg);
      this.#givenFromOutside.add(arg);
      return arg;
    });
    const outputs = body.outputs.map((name) => {
      const reference = body.returns[name];
      if (reference === undefined) throw invalid(`${path} does not return its output ${name}`);
      return this.#follow(scope, reference);
    });
    return { args, outputs };
  }

  /** The nodes of the function that a node calls; empty for a node that is no call. */
  inside(node: InlinedNode): InlinedNode[] {
    const scope = this.#opened(node.scope, node.def);
    return scope === undefined ? [] : [...scope.defs.values()].map((def) => this.#place(scope, def));
  }

  /** Whether there is a node of that name in the same scope. */
  has({ scope }: InlinedNode, name: string): boolean {
    return scope.defs.has(name);
  }

  /** The node of that name in the same scope. */
  beside({ scope }: InlinedNode, name: string): InlinedNode {
    return this.#place(scope, this.#def(scope, name));
  }

  /**
   * The nodes that values need, inputs first.
   * @throws FaceError `MODEL_INVALID` for a cycle or a reference to a missing node.
   */
  order(sources: readonly Source[]): InlinedNode[] {
    const order: InlinedNode[] = [];
    const state = new Map<InlinedNode, "open" | "done">();
    const stack = sources
      .map(({ node }) => ({ node, inputs: undefined as Source[] | undefined, next: 0 }))
      .reverse();
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (top.inputs === undefined) {
        if (state.get(top.node) === "done") {
          stack.pop();
          continue;
        }
        state.set(top.node, "open");
        top.inputs = this.#givenFromOutside.has(top.node) ? [] : this.inputs(top.node);
      }
      const input = top.inputs[top.next++]?.node;
      if (input === undefined) {
        order.push(top.node);
        state.set(top.node, "done");
        stack.pop();
      } else if (state.get(input) === "open") {
        throw invalid(`the graph has a cycle through ${input.place}`);
      } else if (!state.has(input)) {
        stack.push({ node: input, inputs: undefined, next: 0 });
      }
    }
    return order;
  }

  /** Follows a reference into calls and out of them to a node that is no call. */
  #follow(start: Scope, reference: string): Source {
    let [scope, next] = [start, reference];
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const { name, output, index } = parseReference(next);
      const inside = scope.defs.get(name);
      const place = inside === undefined ? index : outputIndex(inside, output, index);
      const fed = this.#fed.get(`${scope.path}${name}:${place}`);
      if (fed !== undefined) return { node: fed, output: 0 };
      const arg = scope.call?.body.args.get(name);
      if (scope.call !== undefined && arg !== undefined) {
        const given = scope.call.inputs[arg];
        if (given === undefined) throw invalid(`${scope.path} is called without its argument ${name}`);
        [scope, next] = [scope.call.from, given];
        continue;
      }
      const def = this.#def(scope, name);
      const inner = this.#opened(scope, def);
      if (inner === undefined) {
        return { node: this.#place(scope, def), output: place };
      }
      [scope, next] = [inner, returned(inner.call!.body, output, index, inner.path)];
    }
    throw invalid(`the graph has a cycle through ${start.path}${reference}`);
  }

  /** The inside of a call, or undefined for a node that is none. */
  #opened(scope: Scope, def: NodeDef): Scope | undefined {
    const name = this.#functionName(def);
    if (name === undefined) return undefined;
    const known = scope.calls.get(def.name);
    if (known !== undefined) return known;
    const path = `${scope.path}${def.name}/`;
    const opened = this.#enter(scope, this.#body(name, path), path, dataInputs(def));
    scope.calls.set(def.name, opened);
    return opened;
  }

  /** The scope of a function's body. */
  #enter(from: Scope, body: Body, path: string, inputs: readonly string[]): Scope {
    for (let outer: Scope | undefined = from; outer?.call !== undefined; outer = outer.call.from) {
      if (outer.call.body === body) throw invalid(`the function ${body.name} calls itself at ${path}`);
    }
    if (from.depth >= DEEPEST_CALL || ++this.#calls > MOST_CALLS) {
      throw invalid(`the functions' calls are too many or too deep at ${path}`);
    }
    return {
      path,
      depth: from.depth + 1,
      defs: body.defs,
      call: { from, inputs, body },
      placed: new Map(),
      calls: new Map(),
    };
  }

  #functionName(def: NodeDef): string | undefined {
    if (this.#functions.has(def.op)) return def.op;
    if (!CALL_OPS.has(def.op)) return undefined;
    const value = def.attr.f?.value;
    if (value?.case !== "func") throw invalid(`${def.name} (${def.op}) does not say which function it calls`);
    return value.value.name;
  }

  #body(name: string, path: string): Body {
    const known = this.#bodies.get(name);
    if (known !== undefined) return known;
    const definition = this.#functions.get(name);
    if (definition === undefined)
      throw invalid(`${path} calls the function ${name}, which the graph does not hold`);
    const body = bodyOf(definition);
    this.#bodies.set(name, body);
    return body;
  }

  #place(scope: Scope, def: NodeDef): InlinedNode {
    const known = scope.placed.get(def.name);
    if (known !== undefined) return known;
    if (++this.#nodes > MOST_NODES) throw invalid("the graph has too many nodes after its calls are inlined");
    const node = { def, place: `${scope.path}${def.name}`, scope };
    scope.placed.set(def.name, node);
    return node;
  }

  #def(scope: Scope, name: string): NodeDef {
    const def = scope.defs.get(name);
    if (def === undefined) throw invalid(`the graph refers to ${scope.path}${name}, which it does not hold`);
    return def;
  }
}

/** The index of an output among all outputs of an operator. */
function outputIndex({ op, attr }: NodeDef, output: string, index: number): number {
  if (op === PARSER && output === "dense_values") {
    const sparse = attr.num_sparse?.value;
    return OUTPUTS_OF_SPARSE * (sparse?.case === "i" ? Number(sparse.value) : 0) + index;
  }
  const first = OUTPUT_NAMES[op]?.indexOf(output) ?? -1;
  return Math.max(first, 0) + index;
}

/** The reference that a function returns for one of a call's outputs. */
function returned(body: Body, output: string, index: number, path: string): string {
  const first = body.outputs.indexOf(output);
  const name = body.outputs[Math.max(first, 0) + index];
  const reference = name === undefined ? undefined : body.returns[name];
  if (reference === undefined) throw invalid(`${path} has no output ${output || index}`);
  return reference;
}
