/** @file Eigenvalues and eigenvectors of symmetric matrices, by Jacobi's rotations. */

export interface Eigen {
  /** From greatest to smallest. */
  readonly values: Float64Array;
  /** Row `i` is the unit vector that belongs to the `i`-th value. */
  readonly vectors: readonly Float64Array[];
}

/** Square matrices as rows. */
export type Matrix = readonly Float64Array[];

/** A round of rotations reaches every element off the diagonal once; six to ten rounds are usual. */
const MOST_ROUNDS = 50;
/** Share of the whole matrix below which what is off the diagonal counts as nothing. */
const NEGLIGIBLE = 1e-22;

const squaredSum = (rows: Matrix, off: boolean): number =>
  rows.reduce((sum, row, i) => sum + row.reduce((part, x, j) => part + (off && i === j ? 0 : x * x), 0), 0);

/** Turns two rows in their plane. */
function rotateRows(a: Float64Array, b: Float64Array, cos: number, sin: number): void {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    a[i] = cos * x - sin * y;
    b[i] = sin * x + cos * y;
  }
}

/** The same turn applied to two columns. */
function rotateColumns(rows: Matrix, p: number, q: number, cos: number, sin: number): void {
  for (const row of rows) {
    const [x, y] = [row[p]!, row[q]!];
    row[p] = cos * x - sin * y;
    row[q] = sin * x + cos * y;
  }
}

/** Makes the elements at `[p, q]` and `[q, p]` zero. */
function rotate(rows: Matrix, vectors: Matrix, p: number, q: number): void {
  const element = rows[p]![q]!;
  if (element === 0) return;
  const ratio = (rows[q]![q]! - rows[p]![p]!) / (2 * element);
  const tan = (ratio >= 0 ? 1 : -1) / (Math.abs(ratio) + Math.sqrt(ratio * ratio + 1));
  const cos = 1 / Math.sqrt(tan * tan + 1);
  rotateRows(rows[p]!, rows[q]!, cos, tan * cos);
  rotateColumns(rows, p, q, cos, tan * cos);
  rotateRows(vectors[p]!, vectors[q]!, cos, tan * cos);
}

/** Decomposes a symmetric matrix, which is left as it was (Golub and Van Loan, 2013, §8.5). */
export function symmetricEigen(matrix: Matrix): Eigen {
  const size = matrix.length;
  const rows = matrix.map((row) => row.slice());
  const vectors = matrix.map((_, i) => Float64Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)));
  const enough = squaredSum(rows, false) * NEGLIGIBLE;
  for (let round = 0; round < MOST_ROUNDS && squaredSum(rows, true) > enough; round++) {
    for (let p = 0; p < size - 1; p++) {
      for (let q = p + 1; q < size; q++) rotate(rows, vectors, p, q);
    }
  }
  const order = vectors.map((_, i) => i).sort((a, b) => rows[b]![b]! - rows[a]![a]!);
  return { values: Float64Array.from(order, (i) => rows[i]![i]!), vectors: order.map((i) => vectors[i]!) };
}
