/** @file Imports TensorFlow's operators that read, change and fill shapes. */
import * as g from "../../graph/build.ts";
import type { Dim, Node } from "../../graph/ops.ts";
import type { PartialInt } from "../../graph/partial-ints.ts";
import * as partial from "../../graph/partial-shapes.ts";
import { isAffordable } from "../../graph/partial-shapes.ts";
import { tensorFromProto } from "../format/tensor-proto.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

/** Refuses a shape that is too large for a tensor made from few elements. */
export function checkExpansion(call: OpCall, sides: readonly number[]): void {
  if (isAffordable(sides)) return;
  throw call.unsupported(`a tensor of shape [${sides.join(", ")}] made of few elements`);
}

/** A reshape to sides of which several may be unknown if all but one keep their axis. */
export function reshapeTo(call: OpCall, x: Node, sides: readonly (Dim | PartialInt)[]): Node {
  const reshaped = partial.reshapeTo(x, sides);
  if (reshaped === undefined)
    throw call.unsupported("a reshape to several sides that are unknown before a run");
  return reshaped;
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

const listed = (call: OpCall, x: Node) => g.cast(partial.shapeList(x), call.type("out_type", "int32"));

/** Repeats a tensor along its sides of 1. */
function broadcast(call: OpCall, x: Node, sides: readonly PartialInt[]): Node {
  checkExpansion(
    call,
    sides.map((side) => (typeof side === "number" ? side : 1)),
  );
  const repeated = partial.repeatedTo(x, sides);
  if (repeated === undefined)
    throw call.unsupported("a shape that is computed from more than one unknown side");
  return repeated;
}

const filledLike =
  (value: number): Importer =>
  (call) => {
    const x = call.input(0);
    return broadcast(call, g.scalar(value, x.dtype), partial.sidesOf(x));
  };

/** Sides of 1 are broadcast; longer ones are concatenated. */
const tile: Importer = (call) => {
  const x = call.input(0);
  const multiples = call.partialInts(1);
  if (multiples.length !== x.shape.length)
    throw call.invalid(`${multiples.length} multiples for rank ${x.shape.length}`);
  const spread = multiples.map((times, axis): PartialInt => {
    return x.shape[axis] === 1 ? times : partial.sidesOf(x)[axis];
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
  return g.range(call.input(0).dtype, length, start, delta);
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
  Size: (call) => g.cast(g.reduceProd(partial.shapeList(call.input(0))), call.type("out_type", "int32")),
  Rank: (call) => g.scalar(call.input(0).shape.length, "int32"),
  Fill: (call) => broadcast(call, call.input(1), call.partialInts(0)),
  BroadcastTo: (call) => broadcast(call, call.input(0), call.partialInts(1)),
  ZerosLike: filledLike(0),
  OnesLike: filledLike(1),
  Tile: tile,
  Range: range,
};
