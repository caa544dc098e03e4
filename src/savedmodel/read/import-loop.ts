/** @file Imports TensorFlow's loops. What a loop's rounds write into lists, one after the other, becomes its items. */
import { FaceError } from "../../base/errors.ts";
import { zeros } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { loop } from "../../graph/loops.ts";
import { numericDType } from "../../graph/numbers.ts";
import { type Dim, isOp, type Node, topological, UNKNOWN_DIM } from "../../graph/ops.ts";
import { knownNumbers, partialInts } from "../../graph/partial-ints.ts";
import { emptyLength, foundList, type Write, writeOf } from "./import-lists.ts";
import type { InlinedGraph, InlinedNode, OpenedFunction, Source } from "./inlined-graph.ts";
import { onlyIf } from "./op-call.ts";

export const LOOP_OPS: ReadonlySet<string> = new Set(["While", "StatelessWhile"]);
export const isLoop = ({ def }: InlinedNode): boolean => LOOP_OPS.has(def.op);

/** A run that takes more rounds fails. */
export const MOST_ROUNDS = 2 ** 20;

/** The functions of a loop. */
export interface OpenedLoop {
  /** Whether each argument changes from round to round; the others are what the loop is given. */
  readonly changes: readonly boolean[];
  readonly body: OpenedFunction;
  readonly condition: OpenedFunction;
}

/** The node behind nodes that only pass a value on. */
function passedOn(graph: InlinedGraph, { node: start }: Source): InlinedNode {
  let node = start;
  for (const seen = new Set<InlinedNode>(); node.def.op === "Identity" && !seen.has(node); ) {
    seen.add(node);
    node = graph.inputs(node)[0]?.node ?? node;
  }
  return node;
}

/** Opens the functions of a loop. @throws FaceError `MODEL_INVALID` for functions that do not fit it. */
export function openLoop(graph: InlinedGraph, node: InlinedNode): OpenedLoop {
  const all = graph.open(node, "body", () => true, "arguments");
  const count = graph.inputs(node).length;
  if (all.args.length !== count || all.outputs.length !== count)
    throw new FaceError("MODEL_INVALID", `${node.place}: its body does not take and give ${count} values`);
  const changes = all.outputs.map((source, i) => passedOn(graph, source) !== all.args[i]);
  const isGiven = (i: number) => changes[i] ?? false;
  const condition = graph.open(node, "cond", isGiven, "cond");
  if (condition.args.length !== count || condition.outputs.length !== 1)
    throw new FaceError(
      "MODEL_INVALID",
      `${node.place}: its condition does not take ${count} values and give one`,
    );
  return { changes, condition, body: graph.open(node, "body", isGiven, "body") };
}

/** The parts of the graph around a loop that its import needs. */
export interface LoopContext {
  /** Values of the graph around the loop. */
  outside(source: Source): Node;
  /** Imports values of the loop's functions, with their arguments' values. */
  inside(sources: readonly Source[], args: ReadonlyMap<InlinedNode, Node>): Node[];
}

/** One argument of a loop that changes. */
interface State {
  readonly index: number;
  readonly first: Node;
  /** Length of the list, where it is one to be filled. */
  readonly length: Node | undefined;
  readonly place: Node;
}

/** Sides that hold before and after a round. */
const widened = (before: readonly Dim[], after: readonly Dim[]): Dim[] =>
  before.map((side, axis) => (side === after[axis] ? side : UNKNOWN_DIM));

/** The side of a shape that a number is, as far as it is known. */
function dimOf(node: Node): Dim {
  const [length] = partialInts(node) ?? [];
  if (typeof length === "number") return Math.max(0, length);
  return length === undefined ? UNKNOWN_DIM : length.inputs[0]!.shape[length.attrs.axis]!;
}

class LoopImport {
  readonly #where: string;
  readonly #opened: OpenedLoop;
  readonly #context: LoopContext;
  readonly #states: State[];
  #next: readonly Node[] = [];
  #more: Node | undefined;

  constructor(where: string, opened: OpenedLoop, inputs: readonly Source[], context: LoopContext) {
    this.#where = where;
    this.#opened = opened;
    this.#context = context;
    this.#states = inputs.flatMap((source, index) => {
      if (!opened.changes[index]) return [];
      const first = context.outside(source);
      const length = emptyLength(first);
      const place = length === undefined ? g.input(`state/${index}`, first.shape, first.dtype) : foundList();
      return [{ index, first, length, place }];
    });
  }

  #unsupported(what: string): FaceError {
    return new FaceError("MODEL_UNSUPPORTED", `${this.#where}: ${what} is not supported`);
  }

  /** Imports a round, with wider and wider shapes until they hold for all rounds. */
  #settle(): void {
    const { body, condition } = this.#opened;
    for (let isSettled = false; !isSettled; ) {
      const args = new Map<InlinedNode, Node>();
      for (const { index, place } of this.#states) {
        args.set(body.args[index]!, place);
        args.set(condition.args[index]!, place);
      }
      this.#next = this.#context.inside(
        this.#states.map(({ index }) => body.outputs[index]!),
        args,
      );
      [this.#more] = this.#context.inside(condition.outputs, args);
      isSettled = true;
      for (const [i, state] of this.#states.entries()) {
        if (state.length !== undefined) continue;
        const [{ place }, next] = [state, this.#next[i]!];
        if (next.dtype !== place.dtype || next.shape.length !== place.shape.length)
          throw this.#unsupported("a value that changes its rank");
        const shape = widened(place.shape, next.shape);
        if (shape.every((side, axis) => side === place.shape[axis])) continue;
        this.#states[i] = { ...state, place: g.input(`state/${state.index}`, shape, place.dtype) };
        isSettled = false;
      }
    }
  }

  /** The states that count rounds: from 0, one more in each. */
  #counters(): Set<Node> {
    const counts = this.#states.filter(({ place, first }, i) => {
      const next = this.#next[i]!;
      if (!isOp(next, "add") || knownNumbers(first)?.join() !== "0") return false;
      const [a, b] = next.inputs as [Node, Node];
      const step = a === place ? b : b === place ? a : undefined;
      return step !== undefined && isOp(step, "constant") && knownNumbers(step)?.join() === "1";
    });
    return new Set(counts.map(({ place }) => place));
  }

  /** How many rounds there are, as far as is known: all that the condition says is that counters are less than a number. */
  #rounds(counters: ReadonlySet<Node>): Dim {
    const places = new Set(this.#states.map(({ place }) => place));
    const limits: Dim[] = [];
    const terms = [this.#more!];
    for (const term of terms) {
      const [a, b] = term.inputs as [Node, Node];
      if (isOp(term, "and")) terms.push(a, b);
      else if (isOp(term, "less") && counters.has(a) && !topological([b]).some((node) => places.has(node)))
        limits.push(dimOf(b));
      else return UNKNOWN_DIM;
    }
    return limits.every((limit) => limit === limits[0]) ? (limits[0] ?? UNKNOWN_DIM) : UNKNOWN_DIM;
  }

  /** The outputs of the loop: undefined for those that do not change. */
  outputs(): readonly (Node | undefined)[] {
    this.#settle();
    const counters = this.#counters();
    const rounds = this.#rounds(counters);
    const tensors = this.#states.flatMap((state, i) =>
      state.length === undefined ? [{ ...state, next: this.#next[i]! }] : [],
    );
    const lists = this.#states.flatMap((state, i) =>
      state.length === undefined ? [] : [{ ...state, length: state.length, write: this.#writeOf(i) }],
    );
    const stacked = lists.filter(({ write }) => this.#isStacked(write, counters));
    const single = lists.filter((list) => !stacked.includes(list));
    for (const { write, length } of single) this.#checkSingle(write, length, counters);
    const kept = single.filter(({ write }) => !tensors.some(({ next }) => next === write.item));
    // A list with indices is as long as the loop; one that is appended to says nothing.
    const lengths = [
      rounds,
      ...stacked.flatMap(({ write, length }) => (write.index === undefined ? [] : [dimOf(length)])),
    ];
    const results = loop({
      states: [
        ...tensors.map(({ place, first }) => ({ state: place as Node<"input">, first })),
        ...kept.map(({ write, index }) => lastItem(write.item, index)),
      ],
      condition: this.#more!,
      next: [...tensors.map(({ next }) => next), ...kept.map(({ write }) => write.item)],
      items: stacked.map(({ write }) => write.item),
      rounds: lengths.find((length) => length !== UNKNOWN_DIM) ?? UNKNOWN_DIM,
      mostRounds: MOST_ROUNDS,
    });
    const outputs = new Array<Node | undefined>(this.#opened.changes.length);
    for (const [i, { index }] of tensors.entries()) outputs[index] = results.states[i];
    for (const [i, { index, length, write }] of stacked.entries()) {
      const items = results.items[i]!;
      outputs[index] = this.#stacked(items, write, length, rounds);
    }
    const count = results.states[tensors.findIndex(({ place }) => counters.has(place))]!;
    for (const { index, write } of single) {
      const place = tensors.findIndex(({ next }) => next === write.item);
      const last = place >= 0 ? place : tensors.length + kept.findIndex((each) => each.index === index);
      // Without a round the list has no element.
      const item = onlyIf(g.less(g.scalar(0, count.dtype), count), results.states[last]!);
      outputs[index] = g.expandDims(item, 0);
    }
    return outputs;
  }

  /** The items of all rounds, where they fill the list. */
  #stacked(items: Node, { index, item }: Write, length: Node, rounds: Dim): Node {
    const made = g.side(items, 0);
    // TensorFlow does not know the shape of a list without elements either.
    const isShaped = item.shape.every((side) => typeof side === "number");
    const checked = isShaped ? items : onlyIf(g.less(g.scalar(0, "int64"), made), items);
    const isSure = index === undefined || (rounds !== UNKNOWN_DIM && rounds === dimOf(length));
    return isSure ? checked : onlyIf(g.equal(made, g.cast(length, "int64")), checked);
  }

  #writeOf(i: number): Write {
    const write = writeOf(this.#next[i]!);
    if (write === undefined || write.list !== this.#states[i]!.place)
      throw this.#unsupported("a list that not every round writes one element of");
    return write;
  }

  #isStacked({ index }: Write, counters: ReadonlySet<Node>): boolean {
    return index === undefined || counters.has(index);
  }

  #checkSingle({ index }: Write, length: Node, counters: ReadonlySet<Node>): void {
    const isFirst = index !== undefined && knownNumbers(index)?.join() === "0";
    if (!isFirst || knownNumbers(length)?.join() !== "1")
      throw this.#unsupported("a list whose elements are not written one after the other");
    if (counters.size === 0) throw this.#unsupported("a list in a loop that does not count its rounds");
  }
}

/** A state that holds the item of the last round; before the first it has no elements where its sides are not known. */
function lastItem(item: Node, index: number): { state: Node<"input">; first: Node } {
  const shape = item.shape.map((side) => (typeof side === "number" ? side : UNKNOWN_DIM));
  const state = g.input(`state/${index}`, shape, item.dtype);
  const sides = shape.map((side) => (typeof side === "number" ? side : 0));
  return { state, first: g.constant(zeros(numericDType(item.dtype), sides)) };
}

/**
 * Imports a loop.
 * @returns its outputs
 * @throws FaceError `MODEL_UNSUPPORTED` or `MODEL_INVALID`.
 */
export function importLoop(
  graph: InlinedGraph,
  node: InlinedNode,
  opened: OpenedLoop,
  context: LoopContext,
): readonly Node[] {
  const inputs = graph.inputs(node);
  const outputs = new LoopImport(`${node.place} (${node.def.op})`, opened, inputs, context).outputs();
  return inputs.map((source, i) => outputs[i] ?? context.outside(source));
}
