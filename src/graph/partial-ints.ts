/** @file What is known of shapes and axes while a model is read: numbers, and lengths that only a run will tell. */
import { isFloat } from "../base/tensor.ts";
import { numbersOf } from "./numbers.ts";
import { isOp, type Node, UNKNOWN_DIM } from "./ops.ts";
import { knownSize, sliceRange } from "./shape-rules.ts";
import { simplify } from "./simplify.ts";

/** A whole number, the length of an axis that is known when the model runs, or nothing at all. */
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
/** The number that changes nothing as the second operand; for products and sums also as the first. */
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

/** Whether two numbers are equal, as 1 or 0; the length of an axis is never negative. */
function equality(a: PartialInt, b: PartialInt): PartialInt {
  if (typeof a === "number" && typeof b === "number") return a === b ? 1 : 0;
  if (typeof a === "object" && typeof b === "object") return a === b ? 1 : undefined;
  const [length, other] = typeof a === "object" ? [a, b] : [b, a];
  return typeof length === "object" && typeof other === "number" && other < 0 ? 0 : undefined;
}

const chosen = (condition: PartialInt, a: PartialInt, b: PartialInt): PartialInt =>
  typeof condition === "number" ? (condition === 0 ? b : a) : undefined;

/** Lists combined element by element, those of one element with each of the others. */
function together(
  lists: readonly (readonly PartialInt[] | undefined)[],
  combine: (...each: PartialInt[]) => PartialInt,
): PartialInt[] | undefined {
  if (!lists.every((list) => list !== undefined)) return undefined;
  const length = Math.max(...lists.map((list) => list.length));
  if (lists.some((list) => list.length !== length && list.length !== 1)) return undefined;
  return Array.from({ length }, (_, i) =>
    combine(...lists.map((list) => (list.length === 1 ? list[0] : list[i]))),
  );
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

/** What is known of the nodes that were looked at; a node may be met on very many ways. */
type Seen = Map<Node, PartialInt[] | undefined>;

function partial(node: Node, depth: number, seen: Seen): PartialInt[] | undefined {
  const size = knownSize(node.shape);
  const isShort = size !== undefined && size <= LONGEST_LIST;
  if (depth > DEEPEST || node.shape.length > 2 || isFloat(node.dtype) || !isShort) return undefined;
  if (!seen.has(node)) {
    const list = computed(node, (input) => partial(input, depth + 1, seen));
    // Matrices that broadcast against each other are no lists.
    seen.set(node, list?.length === size ? list : undefined);
  }
  return seen.get(node);
}

function repeatedInts(
  { attrs: { shape } }: Node<"broadcastTo">,
  list: PartialInt[] | undefined,
): PartialInt[] | undefined {
  return list?.length === 1 ? new Array<PartialInt>(shape[0]!).fill(list[0]) : list;
}

function slicedInts(
  { attrs: { starts, ends, steps } }: Node<"slice">,
  list: PartialInt[] | undefined,
): PartialInt[] | undefined {
  const range = list && sliceRange(list.length, starts[0]!, ends[0]!, steps[0]!);
  return range && Array.from({ length: range.count }, (_, i) => list[range.first + i * steps[0]!]);
}

function gatheredInts(
  list: PartialInt[] | undefined,
  places: PartialInt[] | undefined,
): PartialInt[] | undefined {
  return list && places?.map((place) => (typeof place === "number" ? list.at(place) : undefined));
}

function computed(node: Node, look: (input: Node) => PartialInt[] | undefined): PartialInt[] | undefined {
  const of = (input: Node | undefined) => (input === undefined ? undefined : look(input));
  const [first, second] = node.inputs;
  if (isOp(node, "constant")) return ofConstant(node);
  if (isOp(node, "side")) return ofSide(node);
  if (isOp(node, "cast") || isOp(node, "reshape")) return of(first);
  if (isOp(node, "concat")) return node.attrs.axis === 0 ? joined(node.inputs.map(of)) : undefined;
  if (node.shape.length === 1 && isOp(node, "broadcastTo")) return repeatedInts(node, of(first));
  if (node.shape.length === 1 && isOp(node, "slice")) return slicedInts(node, of(first));
  if (isOp(node, "gather") && first!.shape.length === 1) return gatheredInts(of(first), of(second));
  if (isOp(node, "reduceProd") && node.shape.length === 0) {
    return of(first)?.reduce<PartialInt[]>(([product], side) => [combined("mul", product, side)], [1]);
  }
  const lists = () => node.inputs.map(of);
  if (isOp(node, "equal")) return together(lists(), equality);
  if (isOp(node, "select")) return together(lists(), chosen);
  return isBinary(node) ? together(lists(), (a, b) => combined(node.op, a, b)) : undefined;
}

/** The elements of a scalar or of a list of whole numbers, as far as they are known; undefined where nothing is. */
export function partialInts(node: Node): readonly PartialInt[] | undefined {
  return partial(node, 0, new Map());
}

/** All elements of a value that is known while a model is read; undefined where it depends on what a run is given. */
export function knownNumbers(node: Node): readonly number[] | undefined {
  const ints = partialInts(node);
  if (ints?.every((each) => typeof each === "number")) return ints as number[];
  const [folded] = simplify([node]);
  const isKnown = folded !== undefined && isOp(folded, "constant") && folded.attrs.value.dtype !== "string";
  return isKnown ? Array.from(numbersOf(folded.attrs.value)) : undefined;
}

/** Whether a length is that of the same axis of x, whatever it will be. */
export function isSideOf(length: PartialInt, x: Node, axis: number): boolean {
  if (typeof length !== "object") return false;
  const [owner] = length.inputs;
  const name = owner!.shape[length.attrs.axis];
  if (owner === x && length.attrs.axis === axis) return true;
  return typeof name === "string" && name !== UNKNOWN_DIM && name === x.shape[axis];
}
