/** @file What readers of model formats share: a node's constant arguments, and the refusal of operators nobody reads. */
import { FaceError } from "../base/errors.ts";
import type { Node } from "./ops.ts";
import { knownNumbers, type PartialInt, partialInts } from "./partial-ints.ts";

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
