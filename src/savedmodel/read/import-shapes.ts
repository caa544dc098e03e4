/** @file Imports TensorFlow's operators that read, change and fill shapes. */
import * as g from "../../graph/build.ts";
import type { Node } from "../../graph/ops.ts";
import * as partial from "../../graph/partial-shapes.ts";
import { tensorFromProto } from "../format/tensor-proto.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

const reshape: Importer = (call) => {
  const sides = call.partialInts(1);
  // 0 keeps a side in our reshape, but is an empty side in TensorFlow.
  if (sides.includes(0)) throw call.unsupported("a reshape to an empty tensor");
  return call.reshapeTo(call.input(0), sides);
};

const squeeze: Importer = (call) => {
  const x = call.input(0);
  const listed = call.ints("squeeze_dims", []).map((axis) => call.placeOf(axis, x));
  const gone = listed.length > 0 ? listed : x.shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
  const kept = x.shape.filter((_, axis) => !gone.includes(axis));
  return call.reshapeTo(x, kept);
};

const expandDims: Importer = (call) => {
  const x = call.input(0);
  const axis = call.axis(1, x, 1);
  return call.expandedAt(x, axis);
};

const listed = (call: OpCall, x: Node) => g.cast(partial.shapeList(x), call.type("out_type", "int32"));

const filledLike =
  (value: number): Importer =>
  (call) => {
    const x = call.input(0);
    return call.repeatedTo(g.scalar(value, x.dtype), partial.sidesOf(x));
  };

const constant: Importer = (call) => {
  const value = call.def.attr.value?.value;
  if (value?.case !== "tensor") throw call.invalid("a constant without a value");
  const { tensorContent, tensorShape } = value.value;
  const sides = (tensorShape?.dim ?? []).map(({ size }) => Number(size));
  if (tensorContent.length === 0) call.checkExpansion(sides);
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
  Fill: (call) => call.repeatedTo(call.input(1), call.partialInts(0)),
  BroadcastTo: (call) => call.repeatedTo(call.input(0), call.partialInts(1)),
  ZerosLike: filledLike(0),
  OnesLike: filledLike(1),
  Tile: (call) => call.tiled(),
  Range: (call) => call.range(),
};
