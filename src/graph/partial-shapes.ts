/** @file Shapes of which some sides only a run will tell: asked for as a list, and given to a reshape or a repetition. */
import { int64, sizeOf } from "../base/tensor.ts";
import { broadcastTo, cast, concat, constant, reshape, select, side, slice } from "./build.ts";
import { fromNumbers } from "./numbers.ts";
import type { Dim, Node } from "./ops.ts";
import { isSideOf, type PartialInt } from "./partial-ints.ts";

/** Elements that a model may make out of a single one; a small file must not take all memory. */
const LARGEST_EXPANSION = 1 << 26;

/** Whether a tensor of this shape may be made out of few elements. */
export function isAffordable(sides: readonly number[]): boolean {
  return sizeOf(sides) <= LARGEST_EXPANSION && sides.every((each) => each >= 0);
}

/** The lengths of all axes of a value, each known or to be asked of it. */
export function sidesOf(x: Node): PartialInt[] {
  return x.shape.map((length, axis) =>
    typeof length === "number" ? length : (side(x, axis) as Node<"side">),
  );
}

/** The sides of a tensor as an int64 list; those that only a run will tell are asked of it then. */
export function shapeList(x: Node): Node {
  if (x.shape.every((length) => typeof length === "number"))
    return constant(int64([x.shape.length], x.shape));
  const sides = x.shape.map((length, axis) =>
    typeof length === "number" ? constant(int64([1], [length])) : reshape(side(x, axis), [1]),
  );
  return concat(sides, 0);
}

/**
 * A reshape to sides of which some may be unknown: such a side stays in its place, or there is only one. Undefined where
 * there are more.
 */
export function reshapeTo(x: Node, sides: readonly (Dim | PartialInt)[]): Node | undefined {
  const target = sides.map((length, axis) => {
    if (typeof length === "number") return length;
    const stays = typeof length === "string" ? length === x.shape[axis] : isSideOf(length, x, axis);
    return stays ? 0 : -1;
  });
  return target.filter((length) => length === -1).length > 1 ? undefined : reshape(x, target);
}

/** A tensor repeated along its sides of 1; undefined where a length is computed from more than one unknown side. */
export function repeatedTo(x: Node, sides: readonly PartialInt[]): Node | undefined {
  const known = sides.map((length) => (typeof length === "number" ? length : 1));
  let result = broadcastTo(x, known);
  for (const [axis, length] of sides.entries()) {
    if (typeof length === "number" || isSideOf(length, result, axis)) continue;
    if (length === undefined) return undefined;
    const owner = length.inputs[0]!;
    // One element for each place along that axis; its values are never looked at.
    const ends = owner.shape.map((_, i) => (i === length.attrs.axis ? Number.MAX_SAFE_INTEGER : 1));
    const first = slice(
      owner,
      owner.shape.map(() => 0),
      ends,
    );
    const line = reshape(
      first,
      known.map((_, i) => (i === axis ? -1 : 1)),
    );
    const yes = constant(fromNumbers("bool", [], [1]));
    result = select(yes, result, cast(line, result.dtype));
  }
  return result;
}
