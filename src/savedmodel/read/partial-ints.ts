/** @file Integers that are known or partly known during import: numbers, and lengths of axes that are known at run time. */
import { isFloat } from "../../base/tensor.ts";
import { numbersOf } from "../../graph/numbers.ts";
import { isOp, type Node, UNKNOWN_DIM } from "../../graph/ops.ts";
import { sliceRange } from "../../graph/shape-rules.ts";

/** An integer, the length of an axis that is known at run time, or undefined for an unknown number. */
export type PartialInt = number | Node<"side"> | undefined;

/** Shapes are short; longer lists are data. */
const LONGEST_LIST = 1 << 12;
/** Shapes are computed in few steps. */
const DEEPEST = 64;

type Binary = "add" | "sub" | "mul" | "div" | "max" | "min";

const ARITHMETIC: { readonly [op in Binary]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => Math.trunc(a / b),
  max: Math.max,
  min: Math.min,
};
/** The neutral second operand; of sums and products also the neutral first one. */
const NEUTRAL: { readonly [op in Binary]?: number } = { add: 0, sub: 0, mul: 1, div: 1 };

const isBinary = (node: Node): node is Node<Binary> => node.op in ARITHMETIC;

function combined(op: Binary, a: PartialInt, b: PartialInt): PartialInt {
  if (typeof a === "number" && typeof b === "number") {
    const result = ARITHMETIC[op](a, b);
    return Number.isSafeInteger(result) ? result : undefined;
  }
  if (b === NEUTRAL[op]) return a;
  return a === NEUTRAL[op] && (op === "add" || op === "mul") ? b : undefined;
}

function binaryInts(
  op: Binary,
  a: readonly PartialInt[],
  b: readonly PartialInt[],
): PartialInt[] | undefined {
  if (a.length !== b.length && a.length !== 1 && b.length !== 1) return undefined;
  const length = Math.max(a.length, b.length);
  const at = (list: readonly PartialInt[], i: number) => (list.length === 1 ? list[0] : list[i]);
  return Array.from({ length }, (_, i) => combined(op, at(a, i), at(b, i)));
}

/** Lists within lists of parts, or undefined where one is not known. */
function joined(parts: readonly (PartialInt[] | undefined)[]): PartialInt[] | undefined {
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

function ofSide(node: Node<"side">): PartialInt[] {
  const length = node.inputs[0]!.shape[node.attrs.axis];
  return [typeof length === "number" ? length : node];
}

function ofConstant({ attrs: { value } }: Node<"constant">): PartialInt[] | undefined {
  if (value.dtype === "string" || isFloat(value.dtype) || value.data.length > LONGEST_LIST) return undefined;
  return Array.from(numbersOf(value));
}

function partial(node: Node, depth: number): PartialInt[] | undefined {
  if (depth > DEEPEST || node.shape.length > 2 || isFloat(node.dtype)) return undefined;
  const of = (input: Node | undefined) => (input === undefined ? undefined : partial(input, depth + 1));
  const [first, second] = node.inputs;
  if (isOp(node, "constant")) return ofConstant(node);
  if (isOp(node, "side")) return ofSide(node);
  if (isOp(node, "cast") || isOp(node, "reshape")) return of(first);
  if (isOp(node, "concat")) return node.attrs.axis === 0 ? joined(node.inputs.map(of)) : undefined;
  if (isOp(node, "slice") && node.shape.length === 1) {
    const { starts, ends, steps } = node.attrs;
    const list = of(first);
    const range = list && sliceRange(list.length, starts[0]!, ends[0]!, steps[0]!);
    return range && Array.from({ length: range.count }, (_, i) => list[range.first + i * steps[0]!]);
  }
  if (isOp(node, "gather") && first!.shape.length === 1) {
    const [list, places] = [of(first), of(second)];
    return list && places?.map((place) => (typeof place === "number" ? list.at(place) : undefined));
  }
  if (isOp(node, "reduceProd") && node.shape.length === 0) {
    return of(first)?.reduce<PartialInt[]>(([product], side) => [combined("mul", product, side)], [1]);
  }
  if (!isBinary(node)) return undefined;
  const [a, b] = [of(first), of(second)];
  return a && b && binaryInts(node.op, a, b);
}

/** The elements of an integer scalar or list, as far as they are known; undefined if none is. */
export function partialInts(node: Node): readonly PartialInt[] | undefined {
  return partial(node, 0);
}

/** Whether a length is that of the same axis of x, whatever it will be. */
export function isSideOf(length: PartialInt, x: Node, axis: number): boolean {
  if (typeof length !== "object") return false;
  const [owner] = length.inputs;
  const name = owner!.shape[length.attrs.axis];
  if (owner === x && length.attrs.axis === axis) return true;
  return typeof name === "string" && name !== UNKNOWN_DIM && name === x.shape[axis];
}
