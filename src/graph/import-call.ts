/** @file What readers of model formats share: a node's constant arguments, and the refusal of operators nobody reads. */
import { FaceError, messageOf } from "../base/errors.ts";
import * as g from "./build.ts";
import { check } from "./check.ts";
import type { Dim, Node } from "./ops.ts";
import { knownNumbers, type PartialInt, partialInts } from "./partial-ints.ts";
import * as partial from "./partial-shapes.ts";

/** Most copies of a tensor along an axis of more than one element. */
const MOST_COPIES = 256;

/** Elements to put before and after each axis. */
export interface Margins {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Reads the inputs of one node of a foreign model; an error names the node. */
export abstract class ImportCall<Input extends Node | undefined = Node> {
  /** Undefined where an optional input is left out. */
  readonly inputs: readonly Input[];
  readonly #where: string;

  /** @param where the node's place and operator, for errors. */
  constructor(inputs: readonly Input[], where: string) {
    this.inputs = inputs;
    this.#where = where;
  }

  /** The error for what we do not support. */
  unsupported(what: string): FaceError {
    return new FaceError("MODEL_UNSUPPORTED", `${this.#where}: ${what} is not supported`);
  }

  /** The error for what no valid model has. */
  invalid(what: string): FaceError {
    return new FaceError("MODEL_INVALID", `${this.#where}: ${what}`);
  }

  input(i: number): Node {
    const node = this.inputs[i];
    if (node === undefined) throw this.invalid(`input ${i} is missing`);
    return node;
  }

  /** The elements of an input that is an integer or a list of them, as far as they are known. */
  partialInts(i: number): readonly PartialInt[] {
    const known = partialInts(this.input(i));
    if (known === undefined)
      throw this.unsupported(`input ${i} that is computed from other values than shapes`);
    return known;
  }

  /** An input that must be known while the model is read, such as a shape or an axis. */
  constants(i: number): readonly number[] {
    const known = knownNumbers(this.input(i));
    if (known === undefined) throw this.unsupported(`input ${i} that is not constant`);
    return known;
  }

  constant(i: number): number {
    const [value] = this.constants(i);
    if (value === undefined) throw this.invalid(`input ${i} is empty`);
    return value;
  }

  /** An axis counted from the front; with `fresh`, an axis of a result with so many new axes. */
  placeOf(axis: number, x: Node, fresh = 0): number {
    const rank = x.shape.length + fresh;
    const place = axis < 0 ? axis + rank : axis;
    if (!(Number.isInteger(place) && place >= 0 && place < rank)) {
      throw this.invalid(`there is no axis ${axis} in a tensor of rank ${rank}`);
    }
    return place;
  }

  /** Axes counted from the front, each once. */
  placesOf(axes: readonly number[], x: Node, fresh = 0): number[] {
    return [...new Set(axes.map((axis) => this.placeOf(axis, x, fresh)))];
  }

  /** Refuses a shape that takes too much memory for what it is made of. */
  checkExpansion(sides: readonly PartialInt[]): void {
    const known = sides.map((side) => (typeof side === "number" ? side : 1));
    if (!partial.isAffordable(known))
      throw this.unsupported(`a tensor of shape [${known.join(", ")}] made of few elements`);
  }

  /** A reshape to sides of which several may be unknown if all but one keep their axis. */
  reshapeTo(x: Node, sides: readonly (Dim | PartialInt)[]): Node {
    const reshaped = partial.reshapeTo(x, sides);
    if (reshaped === undefined)
      throw this.unsupported("a reshape to several sides that are unknown before a run");
    return reshaped;
  }

  /** A tensor with a new axis of one element. */
  expandedAt(x: Node, axis: number): Node {
    return this.reshapeTo(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
  }

  /** Repeats a tensor along its sides of 1. */
  repeatedTo(x: Node, sides: readonly PartialInt[]): Node {
    this.checkExpansion(sides);
    const repeated = partial.repeatedTo(x, sides);
    if (repeated === undefined)
      throw this.unsupported("a shape that is computed from more than one unknown side");
    return repeated;
  }

  /** The first input, so many times along each axis as the second one says: an axis of 1 is repeated, a longer one joined. */
  tiled(): Node {
    const [x, multiples] = [this.input(0), this.partialInts(1)];
    if (multiples.length !== x.shape.length)
      throw this.invalid(`${multiples.length} multiples for rank ${x.shape.length}`);
    const sides = partial.sidesOf(x);
    const isSingle = (axis: number) => x.shape[axis] === 1;
    return multiples.reduce(
      (tiled: Node, times, axis) => {
        if (isSingle(axis) || times === 1) return tiled;
        if (typeof times !== "number" || times < 1 || times > MOST_COPIES)
          throw this.unsupported(`${times ?? "unknown"} copies of a tensor`);
        this.checkExpansion([...partial.sidesOf(tiled), times]);
        return g.concat(new Array<Node>(times).fill(tiled), axis);
      },
      this.repeatedTo(
        x,
        multiples.map((times, axis) => (isSingle(axis) ? times : sides[axis])),
      ),
    );
  }

  /** A tensor with its elements mirrored beyond its ends. @param skipped 1 where an end itself is not repeated. */
  mirrored(x: Node, { before, after }: Margins, skipped: 0 | 1): Node {
    return before.reduce((padded, first, axis) => {
      const [side, last] = [padded.shape[axis], after[axis]!];
      if (first === 0 && last === 0) return padded;
      if (typeof side !== "number" || Math.max(first, last) > side - skipped)
        throw this.invalid(`margins of ${first} and ${last} mirror an axis of ${side}`);
      const stop = skipped === 1 ? 0 : -Number.MAX_SAFE_INTEGER;
      const head = first > 0 ? [g.cut(padded, axis, first - 1 + skipped, stop, -1)] : [];
      const tail = last > 0 ? [g.cut(padded, axis, -1 - skipped, -1 - skipped - last, -1)] : [];
      return g.concat([...head, padded, ...tail], axis);
    }, x);
  }

  /** The numbers from the first input up to the second, by the third. */
  range(): Node {
    const [start, limit, delta] = [this.constant(0), this.constant(1), this.constant(2)];
    const length = Math.max(0, Math.ceil((limit - start) / delta));
    if (!Number.isFinite(length))
      throw this.invalid(`a range from ${start} to ${limit} by ${delta} never ends`);
    this.checkExpansion([length]);
    return g.range(this.input(0).dtype, length, start, delta);
  }
}

/**
 * The values of a node's outputs; shapes that do not fit are the model's fault.
 * @param where the node's place and operator, for errors
 */
export function outputsOf(where: string, make: () => Node | readonly Node[]): readonly Node[] {
  try {
    const made = make();
    return Array.isArray(made) ? (made as Node[]) : [made as Node];
  } catch (error) {
    if (!(error instanceof FaceError) || error.code !== "SHAPE_MISMATCH") throw error;
    throw new FaceError("MODEL_INVALID", `${where}: ${error.message}`, { cause: error });
  }
}

/** Checks that the types of all values fit together. */
export function checkTypes(outputs: readonly Node[], what: string): void {
  try {
    check(outputs);
  } catch (error) {
    const reason = messageOf(error).replace(/^internal: /, "");
    throw new FaceError("MODEL_INVALID", `${what} contradicts itself: ${reason}`, { cause: error });
  }
}

const EXAMPLES_SHOWN = 3;

/**
 * Throws one error for all operators that cannot be read.
 * @param unknown each with its place in the model.
 * @param what the part of the model that uses them, for the error.
 */
export function refuseOperators(
  unknown: Iterable<{ readonly operator: string; readonly place: string }>,
  what: string,
): void {
  const places = new Map<string, string[]>();
  for (const { operator, place } of unknown) places.set(operator, [...(places.get(operator) ?? []), place]);
  if (places.size === 0) return;
  const list = [...places].map(([operator, all]) => {
    const more = all.length > EXAMPLES_SHOWN ? ` and ${all.length - EXAMPLES_SHOWN} more` : "";
    return `${operator} (${all.slice(0, EXAMPLES_SHOWN).join(", ")}${more})`;
  });
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `${what} uses operations that faceid cannot run: ${list.join("; ")}`,
    { hint: "docs/formats.md lists the operations that can be read" },
  );
}
