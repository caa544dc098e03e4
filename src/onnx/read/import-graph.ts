/** @file An ONNX graph becomes ours: what its outputs need, from its inputs on. */

import { FaceError } from "../../base/errors.ts";
import type { DType } from "../../base/tensor.ts";
import { constant, input, labelled } from "../../graph/build.ts";
import { checkTypes, outputsOf, refuseOperators } from "../../graph/import-call.ts";
import type { Node, SymbolicShape } from "../../graph/ops.ts";
import type { GraphProto, NodeProto, TensorProto } from "../../proto/onnx/onnx_pb.ts";
import { channelsSecond, entriesLast } from "./channels-last.ts";
import { onnxImporters } from "./from-onnx.ts";
import { OnnxCall, type OnnxContext } from "./onnx-call.ts";

/** An ONNX graph in our words: inputs and outputs by their names in the file. */
export interface OnnxProgram {
  readonly inputs: Readonly<Record<string, Node<"input">>>;
  readonly outputs: Readonly<Record<string, Node>>;
}

/** An input that the outputs need, as it is to be read. */
export interface WantedInput {
  readonly name: string;
  readonly dtype: DType;
  /** In the file's order of axes. */
  readonly shape: SymbolicShape;
  /** Whether the program takes it with its channels last. */
  readonly channelsLast: boolean;
}

/** What the outputs of a graph need, before any of it is computed. */
export interface NeededPart {
  readonly nodes: readonly NodeProto[];
  readonly stored: ReadonlyMap<string, TensorProto>;
  /** Names of the inputs that are used and have no stored value. */
  readonly inputs: readonly string[];
}

const isStandard = (domain: string) => domain === "" || domain === "ai.onnx";
const operatorOf = ({ domain, opType }: NodeProto) => (isStandard(domain) ? opType : `${domain}.${opType}`);
const placeOf = ({ name, output }: NodeProto) =>
  name || output.find((each) => each !== "") || "a nameless node";

const isReadable = (node: NodeProto) => isStandard(node.domain) && Object.hasOwn(onnxImporters, node.opType);

/**
 * Finds what the outputs need; the rest of a graph is of no interest.
 * @param what the file, for errors
 */
export function neededPart(graph: GraphProto, what: string): NeededPart {
  const invalid = (reason: string) => new FaceError("MODEL_INVALID", `${what}: ${reason}`);
  const stored = new Map(graph.initializer.map((each) => [each.name, each]));
  const declared = new Set(graph.input.map(({ name }) => name));
  const made = new Set<string>();
  for (const name of graph.node.flatMap(({ output }) => output.filter((each) => each !== ""))) {
    if (made.has(name) || stored.has(name) || declared.has(name))
      throw invalid(`the value ${name} is made in two places`);
    made.add(name);
  }
  const needed = new Set(graph.output.map(({ name }) => name));
  // Inputs of a node stand before it, as the format demands; where they do not, reading it finds them missing.
  const nodes = graph.node
    .toReversed()
    .filter(({ input: inputs, output }) => {
      const isNeeded = output.some((name) => name !== "" && needed.has(name));
      if (isNeeded) for (const name of inputs) if (name !== "") needed.add(name);
      return isNeeded;
    })
    .toReversed();
  return {
    nodes,
    stored: new Map([...stored].filter(([name]) => needed.has(name))),
    inputs: [...declared].filter((name) => needed.has(name) && !stored.has(name)),
  };
}

/** Throws one error for all operators that cannot be read. */
export function refuseUnknown(nodes: readonly NodeProto[], what: string): void {
  const unknown = nodes.filter((node) => !isReadable(node));
  refuseOperators(
    unknown.map((node) => ({ operator: operatorOf(node), place: placeOf(node) })),
    what,
  );
}

const unsupportedOutput = (node: NodeProto, i: number) =>
  new FaceError("MODEL_UNSUPPORTED", `${placeOf(node)} (${node.opType}): its output ${i} is not supported`);

/** Elements of one value, from which on no machine runs it. */
const LARGEST_VALUE = 2 ** 31;
/** Elements that all values together may have that do not depend on any input, beyond those that are stored. */
const MOST_CONSTANT = 1 << 26;
/** As often as weights may be rearranged on their way into a product. */
const MOST_COPIES = 16;

/** Keeps count of what a graph makes, so that a small file cannot take all memory. */
class Budget {
  readonly #dependent = new Set<Node>();
  readonly #what: string;
  #constant: number;

  constructor(inputs: Iterable<Node>, stored: number, what: string) {
    for (const each of inputs) this.#dependent.add(each);
    this.#constant = MOST_CONSTANT + MOST_COPIES * stored;
    this.#what = what;
  }

  /** Counts what a node has made. */
  add(given: readonly (Node | undefined)[], made: readonly Node[], place: string): void {
    const isDependent = given.some((each) => each !== undefined && this.#dependent.has(each));
    for (const each of made) {
      const size = each.shape.reduce<number>(
        (product, side) => product * (typeof side === "number" ? side : 1),
        1,
      );
      if (isDependent) this.#dependent.add(each);
      else this.#constant -= size;
      if (size <= LARGEST_VALUE && this.#constant >= 0) continue;
      throw new FaceError(
        "MODEL_UNSUPPORTED",
        `${this.#what}: ${place} makes more elements than can be kept`,
      );
    }
  }
}

/** An input of the program, and the value that the file's nodes see. */
function inputNode({ name, dtype, shape, channelsLast }: WantedInput): { port: Node<"input">; value: Node } {
  const port = input(name, channelsLast ? entriesLast(shape) : shape, dtype);
  return { port, value: channelsLast ? channelsSecond(port) : port };
}

/**
 * Reads a graph.
 * @param part what its outputs need; every operator in it must be known
 * @param wanted the inputs that it needs
 * @throws FaceError `MODEL_UNSUPPORTED` for what cannot be done, `MODEL_INVALID` for a graph that contradicts itself.
 */
export function importGraph(
  graph: GraphProto,
  part: NeededPart,
  wanted: readonly WantedInput[],
  context: OnnxContext,
  what: string,
): OnnxProgram {
  const values = new Map<string, Node>();
  const inputs: Record<string, Node<"input">> = {};
  for (const each of wanted) {
    const { port, value } = inputNode(each);
    inputs[each.name] = port;
    values.set(each.name, value);
  }
  let storedElements = 0;
  const dependent = [...values.values()];
  for (const [name, stored] of part.stored) {
    const tensor = context.tensor(stored, name);
    storedElements += tensor.data.length;
    values.set(name, labelled(constant(tensor), name));
  }
  const budget = new Budget(dependent, storedElements, what);
  const unmade = new Map<string, FaceError>();
  const value = (name: string, place: string): Node => {
    const found = values.get(name);
    if (unmade.has(name)) throw unmade.get(name)!;
    if (found === undefined)
      throw new FaceError("MODEL_INVALID", `${what}: ${place} needs ${name}, which is not made before it`);
    return found;
  };
  for (const node of part.nodes) {
    const place = placeOf(node);
    const given = node.input.map((name) => (name === "" ? undefined : value(name, place)));
    const made = outputsOf(`${place} (${node.opType})`, () =>
      onnxImporters[node.opType]!(new OnnxCall(node, given, context, place)),
    );
    budget.add(given, made, place);
    for (const [i, name] of node.output.entries()) {
      if (made[i] !== undefined) values.set(name, made[i]);
      else unmade.set(name, unsupportedOutput(node, i));
    }
  }
  const outputs = Object.fromEntries(graph.output.map(({ name }) => [name, value(name, "the output")]));
  checkTypes(Object.values(outputs), what);
  return { inputs, outputs };
}
