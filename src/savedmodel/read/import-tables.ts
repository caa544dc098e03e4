/** @file Imports TensorFlow's operators on lookup tables, and those that sort numbers into bins. */
import { isFloat, type Tensor } from "../../base/tensor.ts";
import * as g from "../../graph/build.ts";
import { fromNumbers } from "../../graph/numbers.ts";
import { isOp, type Node } from "../../graph/ops.ts";
import { sidesOf } from "../../graph/partial-shapes.ts";
import type { Importer, Importers, OpCall } from "./op-call.ts";

/** A table's int32 as int64, which the engine looks up; all else as it is. */
const widened = (value: Tensor): Tensor =>
  value.dtype === "int32"
    ? { dtype: "int64", shape: value.shape, data: BigInt64Array.from(value.data as Int32Array, BigInt) }
    : value;

const wide = (x: Node) => (x.dtype === "int32" ? g.cast(x, "int64") : x);

function fallbackOf(call: OpCall): Tensor {
  const fallback = call.input(2);
  if (!isOp(fallback, "constant")) throw call.unsupported("a default value that is not constant");
  return fallback.attrs.value;
}

const find: Importer = (call) => {
  const [x, { keys, values }, fallback] = [call.input(1), call.table(), fallbackOf(call)];
  if (x.dtype !== keys.dtype) throw call.invalid(`its keys are ${keys.dtype}, it looks up ${x.dtype}`);
  if (fallback.dtype !== values.dtype || fallback.shape.length > 0)
    throw call.invalid(`the default value must be a scalar of ${values.dtype}`);
  if (keys.data.length === 0) return call.repeatedTo(call.input(2), sidesOf(x));
  const isNumeric = keys.dtype === "int64" || keys.dtype === "int32" || keys.dtype === "string";
  if (!isNumeric) throw call.unsupported(`a table of ${keys.dtype} keys`);
  const found = g.lookup(wide(x), {
    keys: widened(keys),
    values: widened(values),
    fallback: widened(fallback),
  });
  return g.cast(found, values.dtype);
};

/** The number of boundaries that are not greater; all of them for what is no number. */
const bucketize: Importer = (call) => {
  const x = call.input(0);
  const list = call.floats("boundaries");
  call.checkExpansion([list.length]);
  const number = isFloat(x.dtype) ? x : g.cast(x, "float32");
  const boundaries = g.constant(fromNumbers(number.dtype, [list.length], list));
  const isBelow = g.less(call.expandedAt(number, x.shape.length), boundaries);
  const below = g.reduceSum(g.cast(isBelow, "int32"), { axes: [x.shape.length] });
  return g.sub(g.scalar(list.length, "int32"), below);
};

/** Counts each number below a size in a list, or in each row of a matrix. */
const denseBincount: Importer = (call) => {
  const [x, size, weights] = [call.input(0), call.constant(1), call.input(2)];
  call.checkExpansion([size]);
  if (!Number.isInteger(size) || size < 0) throw call.invalid(`${size} is no number of bins`);
  const places = call.fromStart(x);
  const hits = g.equal(call.expandedAt(places, x.shape.length), g.range(x.dtype, size));
  const lastAxis = { axes: [x.shape.length - 1] };
  const counted = g.cast(hits, weights.dtype);
  if (call.bool("binary_output", false)) return g.reduceMax(counted, lastAxis);
  const isWeighted = weights.shape.some((side) => side !== 0);
  return g.reduceSum(
    isWeighted ? g.mul(counted, call.expandedAt(weights, x.shape.length)) : counted,
    lastAxis,
  );
};

export const tableImporters: Importers = {
  Bucketize: bucketize,
  DenseBincount: denseBincount,
  LookupTableFindV2: find,
  LookupTableSizeV2: (call) => g.scalar(call.table().keys.data.length, "int64"),
};
