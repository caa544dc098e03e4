/** @file Evaluates element-by-element ops, reductions and matrix products in double precision, 64-bit integers exactly. */
import { FaceError } from "../base/errors.ts";
import { isFloat, type Shape, sizeOf, type Tensor } from "../base/tensor.ts";
import { broadcasted, commonShape, transposed } from "./evaluate-moving.ts";
import type { BigIntDType, Elements } from "./numbers.ts";
import { allocate, fromNumbers, isBigInt, larger, numbersOf, smaller, tensorOf } from "./numbers.ts";
import type { OpAttrs, ReduceAttrs } from "./ops.ts";
import { broadcastShapes } from "./shape-rules.ts";

type Rule = (inputs: readonly Tensor[]) => Tensor;
type Exact = (a: bigint, b: bigint) => bigint;

function bigintsOf(value: Tensor): Elements<bigint> {
  return (value as Tensor<BigIntDType>).data;
}

/** Whether a value of this shape is repeated as a whole where it is broadcast. */
function isRepeated(own: Shape, shape: Shape): boolean {
  const sides = own.slice(own.findIndex((side) => side !== 1));
  return sizeOf(own) === 1 || sides.every((side, i) => side === shape[shape.length - sides.length + i]);
}

/**
 * A rule from a function of one to three elements; the operands broadcast. `exact` is for 64-bit integers, if the op has
 * them: a function of its own, or "same" where the operators in `f` take bigints too.
 */
export function elementwise(
  op: string,
  f: (a: number, b: number, c: number) => number,
  exact?: Exact | "same",
): Rule {
  const whole = exact === "same" ? (f as unknown as Exact) : exact;
  return (inputs) => {
    const shape = commonShape(...inputs);
    const [{ dtype }] = inputs as [Tensor];
    if (!isBigInt(dtype)) {
      const [a, b = a, c = a] = inputs.map((value) =>
        numbersOf(isRepeated(value.shape, shape) ? value : broadcasted(value, shape)),
      ) as [Elements<number>, Elements<number>?, Elements<number>?];
      return tensorOf(dtype, shape, (out) => {
        let [i, j, k] = [0, 0, 0];
        for (let at = 0; at < out.length; at++) {
          out[at] = f(a[i]!, b[j]!, c[k]!);
          if (++i === a.length) i = 0;
          if (++j === b.length) j = 0;
          if (++k === c.length) k = 0;
        }
      });
    }
    const [x, y = x] = inputs.map((value) => broadcasted(value, shape)) as [Tensor, Tensor?];
    if (whole === undefined) {
      throw new FaceError("MODEL_UNSUPPORTED", `${op} of ${dtype} numbers is not available`);
    }
    const result = allocate(dtype, shape);
    const [a, b, out] = [bigintsOf(x), bigintsOf(y), bigintsOf(result)];
    for (let i = 0; i < out.length; i++) out[i] = whole(a[i]!, b[i]!);
    return result;
  };
}

/** A rule from a predicate of two elements of one type; the result is bool. */
export function comparison(holds: (a: number | bigint, b: number | bigint) => boolean): Rule {
  return (inputs) => {
    const shape = commonShape(...inputs);
    const [a, b] = inputs.map((value) => {
      const whole = broadcasted(value, shape);
      return isBigInt(value.dtype) ? bigintsOf(whole) : numbersOf(whole);
    }) as [Elements<number | bigint>, Elements<number | bigint>];
    return tensorOf("bool", shape, (out) => {
      for (let i = 0; i < out.length; i++) out[i] = holds(a[i]!, b[i]!) ? 1 : 0;
    });
  };
}

/** Quotient; of integers rounded towards zero. */
const quotient = elementwise("div", (a, b) => a / b, "same");

export function evaluateDiv(inputs: readonly Tensor[]): Tensor {
  const divisor = inputs[1]!;
  if (!isFloat(divisor.dtype) && includesZero(divisor)) {
    throw new FaceError("MODEL_INVALID", "div: an integer is divided by zero");
  }
  return quotient(inputs);
}

function includesZero(value: Tensor): boolean {
  const numbers = numbersOf(value);
  for (let i = 0; i < numbers.length; i++) if (numbers[i] === 0) return true;
  return false;
}

/** An integer to an integer power; the result of a negative power is rounded towards zero. */
function wholePower(base: bigint, exponent: bigint): bigint {
  if (exponent >= 0n) return base ** exponent;
  if (base === 1n || base === -1n) return base ** -exponent;
  return 0n;
}

export const evaluatePow = elementwise("pow", (a, b) => a ** b, wholePower);

const LAST_32_BITS = 32;

/** Converts between types; 64-bit integers are truncated to the low bits of a narrower type. */
export function evaluateCast([x]: readonly Tensor[], { to }: OpAttrs["cast"]): Tensor {
  if (!isBigInt(x!.dtype) || isFloat(to) || to === "bool") return fromNumbers(to, x!.shape, numbersOf(x!));
  const result = allocate(to, x!.shape);
  const values = bigintsOf(x!);
  const out = result.data as Elements<number | bigint>;
  for (let i = 0; i < out.length; i++) {
    out[i] = isBigInt(to) ? values[i]! : Number(BigInt.asIntN(LAST_32_BITS, values[i]!));
  }
  return result;
}

/** Logarithm of 1 + e^x without overflow. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** 1 / (1 + e^-x) without overflow. */
export function sigmoid(x: number): number {
  const small = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + small) : small / (1 + small);
}

/** Beyond this the error function is ±1 in double precision. */
const ERF_SATURATES = 6;

/**
 * The error function, by its series of positive terms (Abramowitz and Stegun, 7.1.6):
 * `2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!`.
 */
export function erf(x: number): number {
  if (Math.abs(x) > ERF_SATURATES) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > Math.abs(sum) * Number.EPSILON; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

// Over whole axes: the axes are moved to the end, then each row becomes one element.

interface Rows {
  /** The elements, row by row. */
  readonly tensor: Tensor;
  readonly count: number;
  readonly length: number;
  /** The order of axes that `tensor` has. */
  readonly perm: readonly number[];
}

/** A tensor laid out so that all elements along the given axes make up one row. */
export function rowsOf(x: Tensor, axes: readonly number[]): Rows {
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

/** A rule from two folds of a row: in double precision, and exact for 64-bit integers. */
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

/** A matrix or a batch of them, transposed if `transpose` is set. */
function oriented(x: Tensor, transpose: boolean): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return transpose ? transposed(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]) : x;
}

export function evaluateMatmul(inputs: readonly Tensor[], attrs: OpAttrs["matmul"]): Tensor {
  const a = oriented(inputs[0]!, attrs.transposeA);
  const b = oriented(inputs[1]!, attrs.transposeB);
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)) as number[];
  const [rows, inner] = a.shape.slice(-2) as [number, number];
  const columns = b.shape.at(-1)!;
  const left = numbersOf(broadcasted(a, [...batch, rows, inner]));
  const right = numbersOf(broadcasted(b, [...batch, inner, columns]));
  return tensorOf(a.dtype, [...batch, rows, columns], (out) => {
    for (let at = 0; at < out.length; at++) {
      const [row, column] = [Math.floor(at / columns), at % columns];
      const matrix = Math.floor(row / rows);
      let sum = 0;
      for (let k = 0; k < inner; k++) {
        sum += left[row * inner + k]! * right[(matrix * inner + k) * columns + column]!;
      }
      out[at] = sum;
    }
  });
}
