/** @file Rewrites a graph into a cheaper one with the same values: shared nodes, folded constants, simplification rules. */

import { FaceError } from "../base/errors.ts";
import { bytesOf, hasDType, type NumericDType, shapeText, sizeOf, type Tensor } from "../base/tensor.ts";
import { constant, makeNode } from "./build.ts";
import { evaluateNode } from "./evaluate.ts";
import { isOp, type Node, type OpName, topological, UNKNOWN_DIM } from "./ops.ts";
import { knownSize } from "./shape-rules.ts";
import type { Rule } from "./simplify-channels.ts";
import { simplifyRules } from "./simplify-rules.ts";

/** A folded constant may be larger than its inputs only up to this many elements. */
const LARGEST_EXPANSION = 1 << 12;
/** Products are folded only for up to this many elements in all, as plain loops are slow. */
const LARGEST_PRODUCT = 1 << 16;
/** Constants of up to this many bytes are compared by content, larger ones by identity. */
const COMPARED_BYTES = 256;
/** One pass nearly always suffices; nodes that rules add may allow further rules. */
const MOST_PASSES = 8;

const COMMUTATIVE: ReadonlySet<OpName> = new Set(["add", "mul", "max", "min", "equal", "and", "or"]);

/** The node's value as a constant, if all inputs are constants and the value is worth storing. */
function folded(node: Node): Node | undefined {
  const values = node.inputs.map((input) => (isOp(input, "constant") ? input.attrs.value : undefined));
  if (values.length === 0 || !values.every((value) => value !== undefined && value.dtype !== "string")) {
    return undefined;
  }
  // Repeated elements are not worth storing, except for vectors, which other rules look for.
  if (node.op === "broadcastTo" && node.shape.length > 1) return undefined;
  const known = values as Tensor[];
  const taken = known.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const limit = node.op === "matmul" ? LARGEST_PRODUCT - taken : Math.max(taken, LARGEST_EXPANSION);
  if (!((knownSize(node.shape) ?? Number.POSITIVE_INFINITY) <= limit)) return undefined;
  const value = evaluateNode(node, known);
  return value && { ...constant(value), label: node.label };
}

/** Whether a rewritten node knows at least as much about its shape; otherwise the rewriting is dropped. */
function saysAsMuch(better: Node, node: Node): boolean {
  const contradicts = better.shape.some(
    (dim, axis) =>
      typeof dim === "number" && typeof node.shape[axis] === "number" && dim !== node.shape[axis],
  );
  if (better.dtype !== node.dtype || better.shape.length !== node.shape.length || contradicts) {
    throw new FaceError(
      "INTERNAL",
      `internal: ${node.op} of ${node.dtype}${shapeText(node.shape)} was simplified to ` +
        `${better.op} of ${better.dtype}${shapeText(better.shape)}`,
    );
  }
  return better.shape.every((dim, axis) => dim === node.shape[axis] || node.shape[axis] === UNKNOWN_DIM);
}

/** One pass over a graph, inputs before the nodes that use them. */
class Pass {
  /** Nodes in their final form, by a key of what they compute. */
  readonly #shared = new Map<string, Node>();
  readonly #numbers = new Map<object, number>();
  /** Final forms, by the node of the old graph or by a rewritten one. */
  readonly #results = new Map<Node, Node>();
  readonly #uses = new Map<Node, number>();

  constructor(outputs: readonly Node[]) {
    const order = topological(outputs);
    const uses = new Map<Node, number>();
    for (const used of [...outputs, ...order.flatMap((node) => [...new Set(node.inputs)])]) {
      uses.set(used, (uses.get(used) ?? 0) + 1);
    }
    for (const node of order) {
      const result = this.simplified(node);
      this.#uses.set(result, (this.#uses.get(result) ?? 0) + uses.get(node)!);
    }
  }

  /** The final form of a node. The old graph's nodes come in order, so this recurses only into nodes that rules added. */
  simplified(node: Node): Node {
    const known = this.#results.get(node);
    if (known !== undefined) return known;
    const inputs = node.inputs.map((input) => this.simplified(input));
    const shared = this.#share(
      inputs.every((input, i) => input === node.inputs[i])
        ? node
        : makeNode(node.op, inputs, node.attrs, node.label),
    );
    const result = this.#results.get(shared) ?? this.#rewritten(shared);
    this.#results.set(node, result).set(shared, result).set(result, result);
    return result;
  }

  #rewritten<K extends OpName>(node: Node<K>): Node {
    const value = folded(node);
    if (value !== undefined) return this.#share(value);
    const rules: readonly Rule<K>[] = simplifyRules[node.op] ?? [];
    for (const rule of rules) {
      const better = rule(node, this);
      if (better === undefined || better === node || !saysAsMuch(better, node)) continue;
      const isNew = !this.#results.has(better);
      return this.simplified(isNew && better.label === undefined ? { ...better, label: node.label } : better);
    }
    return node;
  }

  /** Whether the old graph uses this value once. */
  usedOnce(node: Node): boolean {
    return (this.#uses.get(node) ?? 1) === 1;
  }

  /** The first node that computes the same. */
  #share(node: Node): Node {
    const key = this.#keyOf(node);
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    this.#shared.set(key, node);
    return node;
  }

  #keyOf(node: Node): string {
    if (isOp(node, "constant")) return `constant ${this.#contentKey(node.attrs.value)}`;
    const inputs = node.inputs.map((input) => this.#numberOf(input));
    if (COMMUTATIVE.has(node.op)) inputs.sort((a, b) => a - b);
    const attributes = Object.entries(node.attrs).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `${node.op} ${inputs.join(" ")} ${JSON.stringify(attributes, (_, value) => this.#attributeText(value))}`;
  }

  /** Writes as text the numbers that JSON lacks, and objects such as tables by their identity. */
  #attributeText(value: unknown): unknown {
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return `#${this.#numberOf(value)}`;
    return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  }

  #contentKey(value: Tensor): string {
    const isSmall =
      !hasDType(value, "string") && bytesOf(value as Tensor<NumericDType>).length <= COMPARED_BYTES;
    const content = isSmall
      ? bytesOf(value as Tensor<NumericDType>).join()
      : `#${this.#numberOf(value.data as object)}`;
    return `${value.dtype} ${shapeText(value.shape)} ${content}`;
  }

  #numberOf(thing: object): number {
    const known = this.#numbers.get(thing);
    if (known !== undefined) return known;
    this.#numbers.set(thing, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}

/**
 * The same values from fewer and cheaper nodes, in the order of the outputs: equal nodes become one, constants are
 * computed, and the rules of simplify-rules.ts are applied until none does anything. Results are equal up to rounding;
 * labels stay on what remains.
 */
export function simplify(outputs: readonly Node[]): Node[] {
  let current = [...outputs];
  for (let passes = 0; passes < MOST_PASSES; passes++) {
    const pass = new Pass(current);
    const next = current.map((node) => pass.simplified(node));
    if (next.every((node, i) => node === current[i])) break;
    current = next;
  }
  return current;
}
