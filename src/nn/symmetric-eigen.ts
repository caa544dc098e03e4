/** @file Eigenvalues and eigenvectors of symmetric matrices: Householder's reflections, then QL steps with implicit shifts. */
import { FaceError } from "../base/errors.ts";

export interface Eigen {
  /** From greatest to smallest. */
  readonly values: Float64Array;
  /** Row `i` is the unit vector that belongs to the `i`-th value. */
  readonly vectors: readonly Float64Array[];
}

/** Square matrices as rows. */
export type Matrix = readonly Float64Array[];

/** The sum of the products of two vectors' elements. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** A matrix with three diagonals that is similar to the one it came from. */
interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** Between neighbours; one longer than needed. */
  readonly beside: Float64Array;
  /** Rows: the orthogonal matrix that leads there. */
  readonly rows: Float64Array[];
}

/** A mirror that turns a vector onto its first axis: `x − factor · v · (vᵀx)`. */
interface Reflection {
  readonly v: Float64Array;
  readonly factor: number;
}

/** Two or three steps for each value are usual. */
const MOST_STEPS = 60;

/** The reflection that clears column `k` below its second element; `v` is zero up to and including `k`. */
function reflectionFor(rows: Matrix, k: number): Reflection | undefined {
  const v = new Float64Array(rows.length);
  let tail = 0;
  for (let i = k + 1; i < rows.length; i++) {
    v[i] = rows[i]![k]!;
    if (i > k + 1) tail += v[i]! ** 2;
  }
  if (tail === 0) return undefined;
  const length = Math.sqrt(v[k + 1]! ** 2 + tail);
  v[k + 1]! += v[k + 1]! < 0 ? -length : length;
  return { v, factor: 2 / (v[k + 1]! ** 2 + tail) };
}

/** Applies a reflection to a symmetric matrix from both sides, in place, where it changes anything. */
function reflectBoth(rows: Matrix, { v, factor }: Reflection, k: number): void {
  const size = rows.length;
  const p = new Float64Array(size);
  for (let i = k; i < size; i++) {
    const row = rows[i]!;
    let sum = 0;
    for (let j = k + 1; j < size; j++) sum += row[j]! * v[j]!;
    p[i] = factor * sum;
  }
  let along = 0;
  for (let i = k + 1; i < size; i++) along += p[i]! * v[i]!;
  for (let i = k; i < size; i++) p[i]! -= 0.5 * factor * along * v[i]!;
  for (let i = k; i < size; i++) {
    const row = rows[i]!;
    const [vi, pi] = [v[i]!, p[i]!];
    for (let j = k; j < size; j++) row[j]! -= vi * p[j]! + pi * v[j]!;
  }
}

/** Applies a reflection from the left, in place. */
function reflectLeft(rows: Matrix, { v, factor }: Reflection, from: number): void {
  const size = rows.length;
  const sums = new Float64Array(size);
  for (let i = from; i < size; i++) {
    const [row, vi] = [rows[i]!, v[i]!];
    for (let j = 0; j < size; j++) sums[j]! += vi * row[j]!;
  }
  for (let i = from; i < size; i++) {
    const [row, scaled] = [rows[i]!, factor * v[i]!];
    for (let j = 0; j < size; j++) row[j]! -= scaled * sums[j]!;
  }
}

/** Householder's reduction (Golub and Van Loan, 2013, algorithm 8.3.1). */
function tridiagonal(matrix: Matrix): Tridiagonal {
  const size = matrix.length;
  const rows = matrix.map((row) => row.slice());
  const reflections: (Reflection | undefined)[] = [];
  for (let k = 0; k < size - 2; k++) {
    const reflection = reflectionFor(rows, k);
    if (reflection !== undefined) reflectBoth(rows, reflection, k);
    reflections.push(reflection);
  }
  const columns = rows.map((_, i) => Float64Array.from(rows, (__, j) => (i === j ? 1 : 0)));
  for (let k = size - 3; k >= 0; k--) {
    const reflection = reflections[k];
    if (reflection !== undefined) reflectLeft(columns, reflection, k + 1);
  }
  return {
    diagonal: Float64Array.from(rows, (row, i) => row[i]!),
    beside: Float64Array.from(rows, (row, i) => row[i + 1] ?? 0),
    rows: columns.map((_, i) => Float64Array.from(columns, (row) => row[i]!)),
  };
}

/** Turns two rows in their plane. */
function rotate(a: Float64Array, b: Float64Array, cos: number, sin: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    a[i] = cos * x - sin * y;
    b[i] = sin * x + cos * y;
  }
}

/** One QL step on the rows from `first` to `last`, with the shift of Wilkinson (Dubrulle, Martin and Wilkinson, 1968). */
function step({ diagonal: d, beside: e, rows }: Tridiagonal, first: number, last: number): void {
  const ratio = (d[first + 1]! - d[first]!) / (2 * e[first]!);
  const root = Math.hypot(ratio, 1);
  let g = d[last]! - d[first]! + e[first]! / (ratio + (ratio < 0 ? -root : root));
  let [sin, cos, shift] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const [f, b] = [sin * e[i]!, cos * e[i]!];
    const length = Math.hypot(f, g);
    e[i + 1] = length;
    if (length === 0) {
      d[i + 1]! -= shift;
      e[last] = 0;
      return;
    }
    [sin, cos] = [f / length, g / length];
    g = d[i + 1]! - shift;
    const r = (d[i]! - g) * sin + 2 * cos * b;
    shift = sin * r;
    d[i + 1] = g + shift;
    g = cos * r - b;
    rotate(rows[i]!, rows[i + 1]!, cos, sin);
  }
  d[first]! -= shift;
  e[first] = g;
  e[last] = 0;
}

/** The first row from `first` on whose neighbour below it has nothing to do with it any more. */
function end({ diagonal, beside }: Tridiagonal, first: number, negligible: number): number {
  let at = first;
  while (at < diagonal.length - 1 && !(Math.abs(beside[at]!) <= negligible)) at++;
  return at;
}

/** Decomposes a symmetric matrix, which is left as it was. @throws FaceError `INTERNAL` for numbers that are not finite. */
export function symmetricEigen(matrix: Matrix): Eigen {
  const form = tridiagonal(matrix);
  // What rounding leaves of a matrix of this size; beside it values of a matrix of low rank would never be zero.
  const negligible =
    Number.EPSILON *
    form.diagonal.reduce((most, d, i) => Math.max(most, Math.abs(d) + Math.abs(form.beside[i]!)), 0);
  for (let first = 0; first < matrix.length; first++) {
    let steps = 0;
    for (let last = end(form, first, negligible); last !== first; last = end(form, first, negligible)) {
      if (++steps > MOST_STEPS) throw new FaceError("INTERNAL", "internal: a matrix has no eigenvalues");
      step(form, first, last);
    }
  }
  const { diagonal, rows } = form;
  const order = [...diagonal.keys()].sort((a, b) => diagonal[b]! - diagonal[a]!);
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: order.map((i) => rows[i]!) };
}
