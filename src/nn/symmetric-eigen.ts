/** @file The only door to ml-matrix: eigenvalues and eigenvectors of symmetric matrices. */
import { Matrix as Dense, EigenvalueDecomposition } from "ml-matrix";
import { FaceError } from "../base/errors.ts";

export interface Eigen {
  /** From greatest to smallest. */
  readonly values: Float64Array;
  /** Row `i` is the unit vector that belongs to the `i`-th value. */
  readonly vectors: readonly Float64Array[];
}

/** Square matrices as rows. */
export type Matrix = readonly Float64Array[];

/** The dot product. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Decomposes a symmetric matrix, which it leaves as it is. @throws FaceError `INTERNAL` for numbers that are not finite. */
export function symmetricEigen(matrix: Matrix): Eigen {
  if (!matrix.every((row) => row.every(Number.isFinite))) {
    throw new FaceError(
      "INTERNAL",
      "internal: a matrix has no eigenvalues, since its numbers are not finite",
    );
  }
  const size = matrix.length;
  const dense = Dense.from1DArray(
    size,
    size,
    matrix.flatMap((row) => [...row]),
  );
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(dense, {
    assumeSymmetric: true,
  });
  const order = [...realEigenvalues.keys()].sort((a, b) => realEigenvalues[b]! - realEigenvalues[a]!);
  return {
    values: Float64Array.from(order, (i) => realEigenvalues[i]!),
    vectors: order.map((i) => Float64Array.from(eigenvectorMatrix.getColumn(i))),
  };
}
