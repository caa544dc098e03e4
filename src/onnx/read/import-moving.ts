/** @file ONNX's operators that take tensors apart, join them and pick elements out. */
import * as g from "../../graph/build.ts";
import type { Margins } from "../../graph/import-call.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import { isOp, type Node } from "../../graph/ops.ts";
import { isSideOf } from "../../graph/partial-ints.ts";
import {
  alongAxes,
  channelsLast,
  channelsSecond,
  entriesLast,
  isTurned,
  placeLast,
  transposed,
} from "./channels-last.ts";
import type { Importer, Importers, OnnxCall } from "./onnx-call.ts";

const TO_THE_END = Number.MAX_SAFE_INTEGER;
const bounded = (place: number) => Math.min(Math.max(place, -TO_THE_END), TO_THE_END);

const transpose: Importer = (call) => {
  const x = call.input(0);
  const reversed = x.shape.map((_, axis) => x.shape.length - 1 - axis);
  return transposed(x, call.ints("perm", reversed));
};

const concat: Importer = (call) => {
  const parts = call.every();
  const axis = call.placeOf(call.int("axis"), parts[0]!);
  if (!parts.some(isTurned) || parts.some(({ shape }) => shape.length !== 4)) return g.concat(parts, axis);
  return channelsSecond(g.concat(parts.map(channelsLast), placeLast(axis)));
};

/** The part of x along each axis, in the order of axes at hand. */
function sliced(x: Node, starts: readonly number[], ends: readonly number[], steps: readonly number[]): Node {
  if (!isTurned(x)) return g.slice(x, starts, ends, steps);
  return channelsSecond(g.slice(channelsLast(x), entriesLast(starts), entriesLast(ends), entriesLast(steps)));
}

/** The part of x from `start` to before `end` along one axis. */
function cut(x: Node, axis: number, start: number, end: number): Node {
  return sliced(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map((_, i) => (i === axis ? end : TO_THE_END)),
    x.shape.map(() => 1),
  );
}

/** Lengths of the parts: named, or as equal as they can be. */
function partLengths(call: OnnxCall, side: number): readonly number[] {
  const listed = call.listFrom(13, "split", 1);
  if (listed !== undefined) return listed;
  const count = call.int("num_outputs", call.node.output.length);
  if (!(count > 0 && count <= side)) throw call.invalid(`${count} parts of an axis of ${side}`);
  const each = Math.ceil(side / count);
  return Array.from({ length: count }, (_, i) => Math.min(each, side - i * each));
}

const split: Importer = (call) => {
  const x = call.input(0);
  const axis = call.placeOf(call.int("axis", 0), x);
  const side = x.shape[axis];
  if (typeof side !== "number") throw call.unsupported("parts of an axis of unknown length");
  const lengths = partLengths(call, side);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total !== side || lengths.some((length) => !(Number.isInteger(length) && length >= 0)))
    throw call.invalid(`parts of ${lengths.join(", ")} do not make up an axis of ${side}`);
  let start = 0;
  return lengths.map((length) => {
    start += length;
    return cut(x, axis, start - length, start);
  });
};

/** Starts, ends, axes and steps: attributes before operator set 10, inputs from there on. */
const slice: Importer = (call) => {
  const x = call.input(0);
  const isOld = call.opset < 10;
  const starts = isOld ? call.ints("starts") : call.constants(1);
  const ends = isOld ? call.ints("ends") : call.partialInts(2);
  const listed = call.listFrom(10, "axes", 3) ?? starts.map((_, i) => i);
  const steps = (isOld ? undefined : call.listFrom(10, "steps", 4)) ?? starts.map(() => 1);
  if ([ends, listed, steps].some(({ length }) => length !== starts.length))
    throw call.invalid("starts, ends, axes and steps are not equally many");
  const [first, last, by] = [0, TO_THE_END, 1].map((value) => x.shape.map(() => value)) as [
    number[],
    number[],
    number[],
  ];
  for (const [i, axis] of listed.entries()) {
    const place = call.placeOf(axis, x);
    const [end, step] = [ends[i], steps[i]!];
    const isWhole = step > 0 && isSideOf(end, x, place);
    if (!isWhole && typeof end !== "number") throw call.unsupported("an end that only a run will tell");
    first[place] = bounded(starts[i]!);
    last[place] = isWhole ? TO_THE_END : bounded(end as number);
    by[place] = step;
  }
  return sliced(x, first, last, by);
};

/** Margins of each axis: all that come before, all that come after. */
function marginsOf(call: OnnxCall, x: Node): Margins {
  const pads = call.listFrom(11, "pads", 1);
  const axes = call.placesOf(call.inputs[3] === undefined ? x.shape.map((_, i) => i) : call.constants(3), x);
  if (pads === undefined || pads.length !== 2 * axes.length || !pads.every(Number.isSafeInteger))
    throw call.invalid(`pads [${pads?.join(", ")}] do not fit ${axes.length} axes`);
  const spread = (offset: number) =>
    x.shape.map((_, axis) => (axes.includes(axis) ? pads[axes.indexOf(axis) + offset]! : 0));
  return { before: spread(0), after: spread(axes.length) };
}

/** Copies of the outermost element of an axis. */
function edged(call: OnnxCall, x: Node, { before, after }: Margins): Node {
  return before.reduce((padded, first, axis) => {
    const last = after[axis]!;
    if (first === 0 && last === 0) return padded;
    const side = padded.shape[axis];
    if (typeof side !== "number" || side < 1) throw call.unsupported("the edge of an axis of unknown length");
    const places = Array.from({ length: first + side + last }, (_, i) =>
      Math.min(Math.max(i - first, 0), side - 1),
    );
    return g.gather(padded, g.constant(fromNumbers("int64", [places.length], places)), axis);
  }, x);
}

/** Negative margins cut off what others put on. */
function cropped(x: Node, { before, after }: Margins): Node {
  if (![...before, ...after].some((margin) => margin < 0)) return x;
  return sliced(
    x,
    before.map((margin) => Math.max(-margin, 0)),
    after.map((margin) => (margin < 0 ? margin : TO_THE_END)),
    before.map(() => 1),
  );
}

const pad: Importer = (call) => {
  const x = call.input(0);
  const given = marginsOf(call, x);
  call.checkExpansion(
    x.shape.map((side, axis) =>
      Math.max((typeof side === "number" ? side : 1) + given.before[axis]! + given.after[axis]!, 0),
    ),
  );
  const kept = cropped(x, given);
  const before = given.before.map((margin) => Math.max(margin, 0));
  const after = given.after.map((margin) => Math.max(margin, 0));
  const mode = call.text("mode", "constant");
  if (mode === "reflect") return call.mirrored(kept, { before, after }, 1);
  if (mode === "edge") return edged(call, kept, { before, after });
  if (mode !== "constant") throw call.unsupported(`mode ${mode}`);
  const fill = call.opset < 11 ? call.float("value", 0) : call.inputs[2] === undefined ? 0 : call.constant(2);
  return isTurned(kept)
    ? channelsSecond(g.pad(channelsLast(kept), entriesLast(before), entriesLast(after), fill))
    : g.pad(kept, before, after, fill);
};

/** Indices that count from the end become ones that count from the front. */
function positive(call: OnnxCall, indices: Node, side: number | string): Node {
  if (isOp(indices, "constant")) {
    const known = call.constants(1);
    if (known.every((place) => place >= 0)) return indices;
    if (typeof side !== "number") throw call.unsupported("indices from the end of an axis of unknown length");
    const places = known.map((place) => (place < 0 ? place + side : place));
    return g.constant(fromNumbers(indices.dtype, indices.attrs.value.shape, places));
  }
  if (typeof side !== "number") return indices;
  return g.select(g.less(indices, 0), g.add(indices, side), indices);
}

const gather: Importer = (call) => {
  const x = call.input(0);
  const axis = call.placeOf(call.int("axis", 0), x);
  const indices = positive(call, call.input(1), x.shape[axis]!);
  if (indices.shape.length !== 1) return g.gather(x, indices, axis);
  return alongAxes(x, (y, place) => g.gather(y, indices, place(axis)));
};

export const movingImporters: Importers = {
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
};
