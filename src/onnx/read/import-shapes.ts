/** @file ONNX's operators that make and change shapes, and fill them with one value. */
import * as g from "../../graph/build.ts";
import { fromNumbers, numbersOf } from "../../graph/numbers.ts";
import type { Dim } from "../../graph/ops.ts";
import type { PartialInt } from "../../graph/partial-ints.ts";
import { shapeList, sidesOf } from "../../graph/partial-shapes.ts";
import type { Importer, Importers } from "./onnx-call.ts";

const constant: Importer = (call) => {
  const name = call.node.output[0] ?? "";
  const filled = (dtype: "float32" | "int64", shape: readonly number[], values: readonly number[]) =>
    g.constant(fromNumbers(dtype, shape, values));
  if (call.has("value")) return g.labelled(g.constant(call.tensor("value")), name);
  if (call.has("value_float")) return filled("float32", [], [call.float("value_float")]);
  if (call.has("value_int")) return filled("int64", [], [call.int("value_int")]);
  if (call.has("value_floats")) {
    const values = call.floats("value_floats");
    return filled("float32", [values.length], values);
  }
  if (call.has("value_ints")) {
    const values = call.ints("value_ints");
    return filled("int64", [values.length], values);
  }
  throw call.unsupported("a constant of texts or of sparse values");
};

/** A side 0 keeps the input's; a fixed first 1 is the batch where any number of images is read. */
const reshape: Importer = (call) => {
  const x = call.input(0);
  const sides = call.partialInts(1).map((side, axis): Dim | PartialInt => {
    if (side === 0) {
      if (call.flag("allowzero", false)) throw call.unsupported("a reshape to an empty tensor");
      return x.shape[axis];
    }
    return axis === 0 && side === 1 && call.isFreedBatch(x.shape[0]) ? x.shape[0] : side;
  });
  if (sides.includes(0)) throw call.unsupported("a reshape to an empty tensor");
  return call.reshapeTo(x, sides);
};

/** All axes before a place become one, and all from there on another. */
const flatten: Importer = (call) => {
  const x = call.input(0);
  const rank = x.shape.length;
  const axis = call.int("axis", 1);
  const at = axis === rank ? rank : call.placeOf(axis, x);
  const product = (sides: readonly Dim[]): Dim | undefined => {
    if (sides.length === 1) return sides[0];
    return sides.every((side) => typeof side === "number")
      ? sides.reduce<number>((size, side) => size * Number(side), 1)
      : undefined;
  };
  return call.reshapeTo(x, [product(x.shape.slice(0, at)), product(x.shape.slice(at))]);
};

const squeeze: Importer = (call) => {
  const x = call.input(0);
  const listed = call.listFrom(13, "axes", 1);
  const gone =
    listed === undefined
      ? x.shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []))
      : call.placesOf(listed, x);
  const wrong = gone.find((axis) => typeof x.shape[axis] === "number" && x.shape[axis] !== 1);
  if (wrong !== undefined) throw call.invalid(`axis ${wrong} has ${x.shape[wrong]} elements`);
  return call.reshapeTo(
    x,
    x.shape.filter((_, axis) => !gone.includes(axis)),
  );
};

const unsqueeze: Importer = (call) => {
  const x = call.input(0);
  const axes = call.listFrom(13, "axes", 1);
  if (axes === undefined) throw call.invalid("the axes are missing");
  const fresh = call.placesOf(axes, x, axes.length);
  if (fresh.length !== axes.length) throw call.invalid("an axis is named twice");
  const old = [...x.shape];
  const rank = x.shape.length + axes.length;
  return call.reshapeTo(
    x,
    Array.from({ length: rank }, (_, axis): Dim => (fresh.includes(axis) ? 1 : old.shift()!)),
  );
};

const shape: Importer = (call) => {
  const x = call.input(0);
  const rank = x.shape.length;
  const within = (place: number) => Math.min(Math.max(place < 0 ? place + rank : place, 0), rank);
  const [start, end] = [within(call.int("start", 0)), within(call.int("end", rank))];
  return start === 0 && end === rank ? shapeList(x) : g.slice(shapeList(x), [start], [Math.max(start, end)]);
};

const constantOfShape: Importer = (call) => {
  const value = call.has("value") ? call.tensor("value") : fromNumbers("float32", [1], [0]);
  if (value.dtype === "string" || value.data.length !== 1) throw call.invalid("the value must be one number");
  const one = g.constant(fromNumbers(value.dtype, [], Array.from(numbersOf(value))));
  return call.repeatedTo(one, call.partialInts(0));
};

/** Repeats sides of 1; a wanted side of 1 leaves any other as it is. */
const expand: Importer = (call) => {
  const x = call.input(0);
  const wanted = call.partialInts(1);
  const missing = Math.max(wanted.length - x.shape.length, 0);
  const own: PartialInt[] = [...new Array<number>(missing).fill(1), ...sidesOf(x)];
  const given = [...new Array<number>(Math.max(x.shape.length - wanted.length, 0)).fill(1), ...wanted];
  return call.repeatedTo(
    x,
    own.map((side, axis) => (given[axis] === 1 ? side : given[axis])),
  );
};

export const shapeImporters: Importers = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Shape: shape,
  Size: (call) => g.reduceProd(shapeList(call.input(0))),
  Expand: expand,
  Tile: (call) => call.tiled(),
  Range: (call) => call.range(),
};
