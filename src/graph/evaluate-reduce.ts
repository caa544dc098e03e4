/** @file Evaluation of the ops that go over whole axes: the axes are brought to the end, then each row is folded. */
import { type Shape, sizeOf, type Tensor } from "../base/tensor.ts";
import { transposed } from "./evaluate-moving.ts";
import {
  allocate,
  type BigIntDType,
  type Elements,
  isBigInt,
  larger,
  numbersOf,
  smaller,
  tensorOf,
} from "./numbers.ts";
import type { OpAttrs, ReduceAttrs } from "./ops.ts";

interface Rows {
  /** The elements, those of one row side by side. */
  readonly tensor: Tensor;
  readonly count: number;
  readonly length: number;
  /** The order of axes that `tensor` has. */
  readonly perm: readonly number[];
}

/** A tensor laid out so that all elements along the given axes make up one row. */
function rowsOf(x: Tensor, axes: readonly number[]): Rows {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const perm = [...kept, ...axes];
  const inPlace = perm.every((axis, i) => axis === i);
  const length = sizeOf(axes.map((axis) => x.shape[axis]!));
  const count = sizeOf(kept.map((axis) => x.shape[axis]!));
  return { tensor: inPlace ? x : transposed(x, perm), count, length, perm };
}

function reducedShape(shape: Shape, { axes, keepDims }: ReduceAttrs): number[] {
  return shape.flatMap((side, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [side]));
}

/** How a row becomes one element. */
interface Fold<T> {
  readonly start: T;
  step(total: T, value: T): T;
  finish?(total: T, count: number): T;
}

function foldRows<T>(values: Elements<T>, rows: Rows, fold: Fold<T>, out: Elements<T>): void {
  for (let row = 0, at = 0; row < rows.count; row++) {
    let total = fold.start;
    for (let i = 0; i < rows.length; i++) total = fold.step(total, values[at++]!);
    out[row] = fold.finish === undefined ? total : fold.finish(total, rows.length);
  }
}

/** A rule from the fold of a row, in double precision and, for 64-bit integers, exactly. */
export function reduction(
  fold: Fold<number>,
  exact: Fold<bigint>,
): (inputs: readonly Tensor[], attrs: ReduceAttrs) => Tensor {
  return ([x], attrs) => {
    const rows = rowsOf(x!, attrs.axes);
    const shape = reducedShape(x!.shape, attrs);
    if (!isBigInt(x!.dtype)) {
      return tensorOf(x!.dtype, shape, (out) => foldRows(numbersOf(rows.tensor), rows, fold, out));
    }
    const result = allocate(x!.dtype, shape);
    foldRows((rows.tensor as Tensor<BigIntDType>).data, rows, exact, (result as Tensor<BigIntDType>).data);
    return result;
  };
}

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

export const evaluateSum = reduction(
  { start: 0, step: (a, b) => a + b },
  { start: 0n, step: (a, b) => a + b },
);

export const evaluateMean = reduction(
  { start: 0, step: (a, b) => a + b, finish: (sum, count) => sum / count },
  { start: 0n, step: (a, b) => a + b, finish: (sum, count) => sum / BigInt(count) },
);

export const evaluateProd = reduction(
  { start: 1, step: (a, b) => a * b },
  { start: 1n, step: (a, b) => a * b },
);

export const evaluateMax = reduction(
  { start: Number.NEGATIVE_INFINITY, step: Math.max },
  { start: INT64_MIN, step: larger },
);

export const evaluateMin = reduction(
  { start: Number.POSITIVE_INFINITY, step: Math.min },
  { start: UINT64_MAX, step: smaller },
);

export function evaluateArgMax([x]: readonly Tensor[], { axis }: OpAttrs["argMax"]): Tensor {
  const rows = rowsOf(x!, [axis]);
  const values = numbersOf(rows.tensor);
  return tensorOf("int64", reducedShape(x!.shape, { axes: [axis], keepDims: false }), (out) => {
    for (let row = 0; row < rows.count; row++) {
      let best = 0;
      const first = row * rows.length;
      for (let i = 1; i < rows.length; i++) if (values[first + i]! > values[first + best]!) best = i;
      out[row] = best;
    }
  });
}

export function evaluateSoftmax([x]: readonly Tensor[], { axis }: OpAttrs["softmax"]): Tensor {
  const rows = rowsOf(x!, [axis]);
  const values = numbersOf(rows.tensor);
  const shape = rows.perm.map((i) => x!.shape[i]!);
  const result = tensorOf(x!.dtype, shape, (out) => {
    for (let first = 0; first < out.length; first += rows.length) {
      let [greatest, sum] = [Number.NEGATIVE_INFINITY, 0];
      for (let i = 0; i < rows.length; i++) greatest = Math.max(greatest, values[first + i]!);
      for (let i = 0; i < rows.length; i++) sum += Math.exp(values[first + i]! - greatest);
      for (let i = 0; i < rows.length; i++) out[first + i] = Math.exp(values[first + i]! - greatest) / sum;
    }
  });
  return transposed(
    result,
    rows.perm.map((_, axis) => rows.perm.indexOf(axis)),
  );
}

/** Mean square distance from the given mean, per channel of the last axis. */
export function evaluateChannelVariance([x, mean]: readonly Tensor[]): Tensor {
  const [values, means] = [numbersOf(x!), numbersOf(mean!)];
  const channels = means.length;
  return tensorOf(x!.dtype, mean!.shape, (out) => {
    const sums = new Float64Array(channels);
    for (let i = 0; i < values.length; i++) sums[i % channels]! += (values[i]! - means[i % channels]!) ** 2;
    for (let c = 0; c < channels; c++) out[c] = sums[c]! / (values.length / channels);
  });
}
