/** @file Imports TensorFlow's operators that split, join, slice, pad and gather. */
import * as g from "../../graph/build.ts";
import type { Margins } from "../../graph/import-call.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import type { Dim, Node } from "../../graph/ops.ts";
import { isSideOf } from "../../graph/partial-ints.ts";
import { type Importer, type Importers, NOWHERE, type OpCall } from "./op-call.ts";

const TO_THE_END = Number.MAX_SAFE_INTEGER;

const concat = (call: OpCall, parts: readonly Node[], axis: number) => {
  const [first] = parts;
  if (first === undefined) throw call.invalid("nothing to join");
  return g.concat(parts, call.placeOf(axis, first));
};

const pack: Importer = (call) => {
  const [first] = call.inputs;
  if (first === undefined) throw call.invalid("nothing to join");
  const axis = call.placeOf(call.int("axis", 0), first, 1);
  const parts = call.inputs.map((part) => call.expandedAt(part, axis));
  return g.concat(parts, axis);
};

/** Parts of the given lengths along an axis; one of them may be -1 for the rest. */
function split(call: OpCall, x: Node, axis: number, lengths: readonly number[]): Node[] {
  const total = x.shape[axis];
  const known = lengths.reduce((sum, length) => sum + Math.max(length, 0), 0);
  if (lengths.includes(-1) && typeof total !== "number") throw call.unsupported("a part of unknown length");
  const sizes = lengths.map((length) => (length === -1 ? Number(total) - known : length));
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return g.cut(x, axis, start - size, start);
  });
}

function evenSplit(call: OpCall): Node[] {
  const x = call.input(1);
  const axis = call.axis(0, x);
  const [parts, side] = [call.int("num_split"), x.shape[axis]];
  if (typeof side !== "number" || !(parts > 0) || side % parts !== 0) {
    throw call.unsupported(`${parts} equal parts of an axis of ${side}`);
  }
  return split(call, x, axis, new Array<number>(parts).fill(side / parts));
}

const unpack: Importer = (call) => {
  const x = call.input(0);
  const axis = call.placeOf(call.int("axis", 0), x);
  const side = x.shape[axis];
  if (typeof side !== "number" || side !== call.int("num"))
    throw call.unsupported("an axis of unknown length");
  call.checkExpansion([side]);
  return Array.from({ length: side }, (_, i) =>
    call.reshapeTo(
      g.cut(x, axis, i, i + 1),
      x.shape.filter((_, other) => other !== axis),
    ),
  );
};

const slice: Importer = (call) => {
  const x = call.input(0);
  const begins = call.constants(1);
  const ends = call.partialInts(2).map((size, axis) => {
    const begin = begins[axis] ?? 0;
    if (size === -1 || (begin === 0 && isSideOf(size, x, axis))) return TO_THE_END;
    if (typeof size !== "number") throw call.unsupported("a size that is unknown before a run");
    return begin + size;
  });
  return g.slice(x, begins, ends);
};

/** What StridedSlice does to one axis of its input. */
interface Cut {
  readonly start: number;
  readonly end: number;
  readonly step: number;
  readonly fate: "kept" | "dropped";
}

const WHOLE: Cut = { start: 0, end: TO_THE_END, step: 1, fate: "kept" };

/** Reads entry i of a StridedSlice, which applies to `axis` of x. */
function cutOf(call: OpCall, i: number, axis: number, isSet: (mask: string) => boolean): Cut {
  const x = call.input(0);
  const [begin, end] = [call.partialInts(1)[i], call.partialInts(2)[i]];
  const step = call.constants(3)[i] ?? 1;
  const start = isSet("begin_mask") ? (step > 0 ? 0 : -1) : begin;
  if (typeof start !== "number") throw call.unsupported("a start that is unknown before a run");
  if (isSet("shrink_axis_mask")) {
    return { start, end: start === -1 ? TO_THE_END : start + 1, step: 1, fate: "dropped" };
  }
  const isWhole = isSet("end_mask") || (step > 0 && isSideOf(end, x, axis));
  const far = step > 0 ? TO_THE_END : -TO_THE_END;
  if (!isWhole && typeof end !== "number") throw call.unsupported("an end that is unknown before a run");
  return { start, end: isWhole ? far : (end as number), step, fate: "kept" };
}

const stridedSlice: Importer = (call) => {
  const x = call.input(0);
  const count = call.partialInts(1).length;
  const bit = (name: string, i: number) => (call.int(name, 0) & (1 << i)) !== 0;
  const entries = Array.from({ length: count }, (_, i) => i);
  const named = entries.filter((i) => !bit("new_axis_mask", i) && !bit("ellipsis_mask", i)).length;
  const cuts: Cut[] = [];
  // Axes of the result: an axis of x, or "new".
  const result: (number | "new")[] = [];
  const take = (one: Cut) => {
    if (one.fate === "kept") result.push(cuts.length);
    cuts.push(one);
  };
  for (const i of entries) {
    if (bit("ellipsis_mask", i)) for (let rest = x.shape.length - named; rest > 0; rest--) take(WHOLE);
    else if (bit("new_axis_mask", i)) result.push("new");
    else take(cutOf(call, i, cuts.length, (mask) => bit(mask, i)));
  }
  while (cuts.length < x.shape.length) take(WHOLE);
  if (cuts.length > x.shape.length) throw call.invalid(`it cuts ${cuts.length} axes of ${x.shape.length}`);
  const part = g.slice(
    x,
    cuts.map(({ start }) => start),
    cuts.map(({ end }) => end),
    cuts.map(({ step }) => step),
  );
  const isPlain = result.length === cuts.length && !result.includes("new");
  return isPlain
    ? part
    : call.reshapeTo(
        part,
        result.map((axis): Dim => (axis === "new" ? 1 : part.shape[axis]!)),
      );
};

/** Margins of all axes, in pairs. */
export function marginsOf(call: OpCall, i: number): Margins {
  const margins = call.constants(i);
  const every = (offset: number) => margins.filter((_, place) => place % 2 === offset);
  return { before: every(0), after: every(1) };
}

const pad: Importer = (call) => {
  const { before, after } = marginsOf(call, 1);
  call.checkExpansion([...before, ...after]);
  return g.pad(call.input(0), before, after, call.inputs.length > 2 ? call.constant(2) : 0);
};

const mirrorPad: Importer = (call) =>
  call.mirrored(call.input(0), marginsOf(call, 1), call.text("mode") === "REFLECT" ? 1 : 0);

const gatherV2: Importer = (call) => {
  if (call.int("batch_dims", 0) !== 0) throw call.unsupported("gathering within batches");
  const x = call.input(0);
  return g.gather(x, indicesFromStart(call.input(1)), call.axis(2, x));
};

const firstAxis: Importer = (call) => g.gather(call.input(0), indicesFromStart(call.input(1)), 0);

/** Indices of a request as TensorFlow reads them: it refuses negative ones, which ONNX counts from the end. */
function indicesFromStart(given: Node): Node {
  const indices = wholeIndices(given);
  if (indices.op === "constant") return indices;
  const isBefore = g.less(indices, g.scalar(0, indices.dtype));
  return g.select(isBefore, g.scalar(NOWHERE, indices.dtype), indices);
}

/** Indices in a type that gather accepts. */
const wholeIndices = (indices: Node) =>
  indices.dtype === "int32" || indices.dtype === "int64" ? indices : g.cast(indices, "int64");

/** Indices of several axes become indices of those axes flattened into one. */
const gatherNd: Importer = (call) => {
  const [x, indices] = [call.input(0), wholeIndices(call.input(1))];
  const depth = indices.shape.at(-1);
  if (typeof depth !== "number" || depth < 1 || depth > x.shape.length)
    throw call.unsupported("indices of unknown depth");
  const inner = x.shape.slice(1, depth);
  const rest = x.shape.slice(depth);
  if (![...inner, ...rest].every((side) => typeof side === "number"))
    throw call.unsupported("sides that are unknown before a run");
  const strides = Array.from({ length: depth }, (_, i) =>
    (inner.slice(i) as number[]).reduce((product, side) => product * side, 1),
  );
  const steps = g.constant(fromNumbers(indices.dtype, [depth], strides));
  const lastAxis = { axes: [indices.shape.length - 1] };
  const places = g.reduceSum(g.mul(indices, steps), lastAxis);
  // Within the flattened axes an index beyond its own axis would be another row's.
  const sides = g.constant(fromNumbers(indices.dtype, [depth], [NOWHERE, ...(inner as number[])]));
  const isOutside = g.or(g.less(indices, g.scalar(0, indices.dtype)), g.lessEqual(sides, indices));
  const outside = g.reduceMax(g.cast(isOutside, "int32"), lastAxis);
  const isWrong = g.less(g.scalar(0, "int32"), outside);
  const checked = g.select(isWrong, g.scalar(NOWHERE, indices.dtype), places);
  return g.gather(g.reshape(x, [-1, ...(rest as number[])]), checked, 0);
};

const oneHot: Importer = (call) => {
  const indices = call.input(0);
  const depth = call.constant(1);
  call.checkExpansion([depth]);
  const axis = call.placeOf(call.int("axis", -1), indices, 1);
  const after = indices.shape.length - axis;
  const places = g.reshape(g.range(indices.dtype, depth), [depth, ...new Array<number>(after).fill(1)]);
  const apart = call.expandedAt(indices, axis);
  return g.select(g.equal(apart, places), call.input(2), call.input(3));
};

export const movingImporters: Importers = {
  Transpose: (call) => g.transpose(call.input(0), call.constants(1)),
  ConcatV2: (call) => concat(call, call.inputs.slice(0, -1), call.constant(call.inputs.length - 1)),
  Concat: (call) => concat(call, call.inputs.slice(1), call.constant(0)),
  Pack: pack,
  Unpack: unpack,
  Split: evenSplit,
  SplitV: (call) => split(call, call.input(0), call.axis(2, call.input(0)), call.constants(1)),
  Slice: slice,
  StridedSlice: stridedSlice,
  Pad: pad,
  PadV2: pad,
  MirrorPad: mirrorPad,
  Gather: firstAxis,
  ResourceGather: firstAxis,
  GatherV2: gatherV2,
  GatherNd: gatherNd,
  OneHot: oneHot,
  ReverseV2: (call) => {
    const x = call.input(0);
    return call
      .constants(1)
      .reduce((turned: Node, axis) => g.cut(turned, call.placeOf(axis, x), -1, -TO_THE_END, -1), x);
  },
};
