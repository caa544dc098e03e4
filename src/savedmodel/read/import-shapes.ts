/** @file Imports TensorFlow's operators that read, change and fill shapes. */
import { int64, sizeOf } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import type { Dim, Node } from "../../graph/ops.ts";
import { tensorFromProto } from "../format/tensor-proto.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";
import { isSideOf, type PartialInt } from "./partial-ints.ts";

/** The most elements of a tensor made from few, so that a small file cannot exhaust memory. */
const LARGEST_EXPANSION = 1 << 26;

/** Refuses a shape that is too large for a tensor made from few elements. */
export function checkExpansion(call: OpCall, sides: readonly number[]): void {
  if (sizeOf(sides) <= LARGEST_EXPANSION && sides.every((side) => side >= 0)) return;
  throw call.unsupported(`a tensor of shape [${sides.join(", ")}] made of few elements`);
}

/** A reshape to sides of which several may be unknown if all but one keep their axis. */
export function reshapeTo(call: OpCall, x: Node, sides: readonly (Dim | PartialInt)[]): Node {
  const target = sides.map((side, axis) => {
    if (typeof side === "number") return side;
    const stays = typeof side === "string" ? side === x.shape[axis] : isSideOf(side, x, axis);
    return stays ? 0 : -1;
  });
  if (target.filter((side) => side === -1).length > 1) {
    throw call.unsupported("a reshape to several sides that are unknown before a run");
  }
  return g.reshape(x, target);
}

const reshape: Importer = (call) => {
  const sides = call.partialInts(1);
  // 0 keeps a side in our reshape, but is an empty side in TensorFlow.
  if (sides.includes(0)) throw call.unsupported("a reshape to an empty tensor");
  return reshapeTo(call, call.input(0), sides);
};

const squeeze: Importer = (call) => {
  const x = call.input(0);
  const listed = call.ints("squeeze_dims", []).map((axis) => call.placeOf(axis, x));
  const gone = listed.length > 0 ? listed : x.shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
  const kept = x.shape.filter((_, axis) => !gone.includes(axis));
  return reshapeTo(call, x, kept);
};

const expandDims: Importer = (call) => {
  const x = call.input(0);
  const axis = call.axis(1, x, 1);
  return reshapeTo(call, x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
};

/** The sides of a tensor as a list; unknown ones are computed at run time. */
function shapeList(x: Node): Node {
  if (x.shape.every((side) => typeof side === "number")) return g.constant(int64([x.shape.length], x.shape));
  const sides = x.shape.map((side, axis) =>
    typeof side === "number" ? g.constant(int64([1], [side])) : g.reshape(g.side(x, axis), [1]),
  );
  return g.concat(sides, 0);
}

const listed = (call: OpCall, x: Node) => g.cast(shapeList(x), call.type("out_type", "int32"));

/** A length that is known at run time only, as a node. */
function lengthNode(call: OpCall, length: PartialInt): Node<"side"> {
  if (typeof length === "object") return length;
  throw call.unsupported("a shape that is computed from more than one unknown side");
}

/** Repeats a tensor along its sides of 1. */
function broadcast(call: OpCall, x: Node, sides: readonly PartialInt[]): Node {
  const known = sides.map((side) => (typeof side === "number" ? side : 1));
  checkExpansion(call, known);
  let result = g.broadcastTo(x, known);
  for (const [axis, side] of sides.entries()) {
    if (typeof side === "number" || isSideOf(side, result, axis)) continue;
    const { inputs, attrs } = lengthNode(call, side);
    const owner = inputs[0]!;
    // A vector as long as that axis; its values are not used.
    const ends = owner.shape.map((_, i) => (i === attrs.axis ? Number.MAX_SAFE_INTEGER : 1));
    const line = g.reshape(
      g.slice(
        owner,
        owner.shape.map(() => 0),
        ends,
      ),
      [...known.map((_, i) => (i === axis ? -1 : 1))],
    );
    const yes = g.constant(fromNumbers("bool", [], [1]));
    result = g.select(yes, result, g.cast(line, result.dtype));
  }
  return result;
}

const filledLike =
  (value: number): Importer =>
  (call) => {
    const x = call.input(0);
    const sides = x.shape.map(
      (side, axis): PartialInt => (typeof side === "number" ? side : (g.side(x, axis) as Node<"side">)),
    );
    return broadcast(call, g.scalar(value, x.dtype), sides);
  };

/** Sides of 1 are broadcast; longer ones are concatenated. */
const tile: Importer = (call) => {
  const x = call.input(0);
  const multiples = call.partialInts(1);
  if (multiples.length !== x.shape.length)
    throw call.invalid(`${multiples.length} multiples for rank ${x.shape.length}`);
  const spread = multiples.map((times, axis): PartialInt => {
    const side = x.shape[axis];
    return side === 1 ? times : typeof side === "number" ? side : (g.side(x, axis) as Node<"side">);
  });
  return multiples.reduce(
    (tiled: Node, times, axis) => {
      if (x.shape[axis] === 1 || times === 1) return tiled;
      if (typeof times !== "number" || times < 1 || times > MOST_COPIES)
        throw call.unsupported(`${times ?? "unknown"} copies of a tensor`);
      return g.concat(new Array<Node>(times).fill(tiled), axis);
    },
    broadcast(call, x, spread),
  );
};

const MOST_COPIES = 256;

const range: Importer = (call) => {
  const [start, limit, delta] = [call.constant(0), call.constant(1), call.constant(2)];
  const length = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isFinite(length))
    throw call.invalid(`a range from ${start} to ${limit} by ${delta} never ends`);
  checkExpansion(call, [length]);
  const numbers = Array.from({ length }, (_, i) => start + i * delta);
  return g.constant(fromNumbers(call.input(0).dtype, [length], numbers));
};

const constant: Importer = (call) => {
  const value = call.def.attr.value?.value;
  if (value?.case !== "tensor") throw call.invalid("a constant without a value");
  const { tensorContent, tensorShape } = value.value;
  const sides = (tensorShape?.dim ?? []).map(({ size }) => Number(size));
  if (tensorContent.length === 0) checkExpansion(call, sides);
  return g.labelled(g.constant(tensorFromProto(value.value)), call.def.name);
};

const unfed: Importer = (call) => {
  throw call.invalid("the signature needs this value, but does not name it as an input");
};

export const shapeImporters: Importers = {
  Const: constant,
  Placeholder: unfed,
  Reshape: reshape,
  Squeeze: squeeze,
  ExpandDims: expandDims,
  Shape: (call) => listed(call, call.input(0)),
  ShapeN: (call) => call.inputs.map((x) => listed(call, x)),
  Size: (call) => g.cast(g.reduceProd(shapeList(call.input(0))), call.type("out_type", "int32")),
  Rank: (call) => g.scalar(call.input(0).shape.length, "int32"),
  Fill: (call) => broadcast(call, call.input(1), call.partialInts(0)),
  BroadcastTo: (call) => broadcast(call, call.input(0), call.partialInts(1)),
  ZerosLike: filledLike(0),
  OnesLike: filledLike(1),
  Tile: tile,
  Range: range,
};
