/** @file Einstein sums of two tensors, as one matrix product between transpositions. */
import * as g from "../../graph/build.ts";
import type { Dim, Node } from "../../graph/ops.ts";
import { reshapeTo } from "./import-shapes.ts";
import type { Importer, OpCall } from "./op-call.ts";

/** The letters of an equation such as `bij,bjk->bik`, by their part in the product. */
interface Letters {
  readonly left: string;
  readonly right: string;
  readonly result: string;
}

function lettersOf(call: OpCall): Letters {
  const equation = call.text("equation").replaceAll(" ", "");
  const match = /^([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]*)$/.exec(equation);
  const [, left = "", right = "", result = ""] = match ?? [];
  const isPlain = [left, right, result].every((word) => new Set(word).size === word.length);
  const isKnown = [...result].every((letter) => left.includes(letter) || right.includes(letter));
  if (match === null || !isPlain || !isKnown) throw call.unsupported(`the equation ${equation}`);
  return { left, right, result };
}

/** Axes in the order of letters, those that the result and the other tensor lack summed away. */
function arranged(x: Node, letters: string, wanted: readonly string[]): Node {
  const extra = [...letters].flatMap((letter, axis) => (wanted.includes(letter) ? [] : [axis]));
  const summed = extra.length > 0 ? g.reduceSum(x, { axes: extra }) : x;
  const rest = [...letters].filter((letter) => wanted.includes(letter));
  return g.transpose(
    summed,
    wanted.map((letter) => rest.indexOf(letter)),
  );
}

/** Sides that several axes have as one. */
function merged(sides: readonly Dim[]): Dim {
  if (sides.length === 1) return sides[0]!;
  return sides.every((side) => typeof side === "number") ? sides.reduce((a, b) => a * b, 1) : "?";
}

export const einsum: Importer = (call) => {
  const { left, right, result } = lettersOf(call);
  const [a, b] = [call.input(0), call.input(1)];
  if (a.shape.length !== left.length || b.shape.length !== right.length) {
    throw call.invalid(
      `the equation ${call.text("equation")} is not for tensors of rank ${a.shape.length} and ${b.shape.length}`,
    );
  }
  const both = [...result].filter((letter) => left.includes(letter) && right.includes(letter));
  const rows = [...result].filter((letter) => left.includes(letter) && !both.includes(letter));
  const columns = [...result].filter((letter) => right.includes(letter) && !both.includes(letter));
  const inner = [...left].filter((letter) => right.includes(letter) && !result.includes(letter));
  const sideOf = (letter: string): Dim => {
    const sides = [a.shape[left.indexOf(letter)], b.shape[right.indexOf(letter)]];
    return sides.find((side) => typeof side === "number") ?? sides.find((side) => side !== undefined)!;
  };
  const sides = (letters: readonly string[]) => letters.map(sideOf);
  const x = arranged(a, left, [...both, ...rows, ...inner]);
  const y = arranged(b, right, [...both, ...inner, ...columns]);
  const product = g.matmul(
    reshapeTo(call, x, [...sides(both), merged(sides(rows)), merged(sides(inner))]),
    reshapeTo(call, y, [...sides(both), merged(sides(inner)), merged(sides(columns))]),
  );
  const letters = [...both, ...rows, ...columns];
  const apart = reshapeTo(call, product, sides(letters));
  return g.transpose(
    apart,
    [...result].map((letter) => letters.indexOf(letter)),
  );
};
