/** @file PCA of many long rows by subspace iteration. */
import { FaceError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { float32, floats } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import { dot, symmetricEigen } from "../nn/symmetric-eigen.ts";
import { lower } from "../onnx/lower/lower.ts";
import { Session } from "../onnx/runtime/session.ts";

export interface PrincipalAxes {
  /** `[size]`: of all rows. */
  readonly mean: Float32Array;
  /** Unit vectors `[size]` by descending variance; fewer than requested if the rows have a lower rank. */
  readonly axes: readonly Float64Array[];
  /** Along each axis. */
  readonly variances: Float64Array;
}

/** Oversampling, which speeds up the convergence of the last axes. */
const SPARE = 32;
const ROUNDS = 12;
/** Fraction of the largest variance below which axes are dropped. */
const NEGLIGIBLE = 1e-6;

async function covariance(rows: Float32Array, size: number) {
  const count = rows.length / size;
  const input = g.input("rows", [count, size]);
  const mean = g.reduceMean(input, { axes: [0] });
  const centred = g.sub(input, mean);
  const product = g.div(g.matmul(centred, centred, { transposeA: true }), count);
  await using session = await Session.open(lower({ outputs: { mean, product } }));
  const results = await session.run(new Map([["rows", float32([count, size], rows)]]));
  return { mean: floats(results.get("mean")!).slice(), product: floats(results.get("product")!).slice() };
}

/** Modified Gram–Schmidt; drops dependent vectors. */
function orthonormal(vectors: readonly Float64Array[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    const own = vector.slice();
    const before = Math.sqrt(dot(own, own));
    // The second pass removes rounding errors (Giraud et al., 2005).
    for (let pass = 0; pass < 2; pass++) {
      for (const earlier of basis) {
        const along = dot(own, earlier);
        for (let i = 0; i < own.length; i++) own[i]! -= along * earlier[i]!;
      }
    }
    const length = Math.sqrt(dot(own, own));
    if (length > before * 1e-6 && length > 0) basis.push(own.map((value) => value / length));
  }
  return basis;
}

/** Multiplies vectors by a symmetric matrix `[size, size]`, as many at a time as `width`. */
async function multiplier(matrix: Float32Array, size: number, width: number) {
  const [vectors, product] = [g.input("vectors", [width, size]), g.input("matrix", [size, size])];
  const session = await Session.open(lower({ outputs: { moved: g.matmul(vectors, product) } }));
  const fixed = float32([size, size], matrix);
  return {
    async apply(rows: readonly Float64Array[]): Promise<Float64Array[]> {
      const packed = new Float32Array(width * size);
      rows.forEach((row, i) => {
        packed.set(row, i * size);
      });
      const results = await session.run(
        new Map([
          ["vectors", float32([width, size], packed)],
          ["matrix", fixed],
        ]),
      );
      const moved = floats(results.get("moved")!);
      return rows.map((_, i) => Float64Array.from(moved.subarray(i * size, (i + 1) * size)));
    },
    [Symbol.asyncDispose]: () => session.close(),
  };
}

/**
 * The principal axes of rows `[count, size]`, by orthogonal iteration with a final Rayleigh–Ritz step (Golub and Van Loan,
 * 2013, §8.2.4), which needs no decomposition of a matrix of the rows' size.
 * @param length number of axes.
 * @throws FaceError `DATASET_INVALID` for fewer than two rows.
 */
export async function principalAxes(
  rows: Float32Array,
  { size, length, random }: { size: number; length: number; random: Random },
): Promise<PrincipalAxes> {
  if (rows.length < 2 * size) {
    throw new FaceError("DATASET_INVALID", "principal axes need at least two images", {
      hint: "use a dataset with more readable images",
    });
  }
  const { mean, product } = await covariance(rows, size);
  // The rows span no more than their number.
  const width = Math.min(size, length + SPARE, rows.length / size);
  await using times = await multiplier(product, size, width);
  let basis = orthonormal(
    Array.from({ length: width }, () => Float64Array.from({ length: size }, () => random.normal())),
  );
  for (let round = 0; round < ROUNDS; round++) basis = orthonormal(await times.apply(basis));
  const moved = await times.apply(basis);
  const { values, vectors } = symmetricEigen(basis.map((a) => Float64Array.from(moved, (b) => dot(a, b))));
  const kept = [...values.keys()].filter((i) => i < length && values[i]! > NEGLIGIBLE * values[0]!);
  const axes = kept.map((i) => {
    const axis = new Float64Array(size);
    basis.forEach((vector, k) => {
      for (let j = 0; j < size; j++) axis[j]! += vectors[i]![k]! * vector[j]!;
    });
    return axis;
  });
  return { mean, axes, variances: Float64Array.from(kept, (i) => values[i]!) };
}
