/** @file PLDA in closed form: a linear projection that weighs down variation within people and keeps what differs between them. */
import { dot, type Matrix, symmetricEigen } from "./symmetric-eigen.ts";

export interface Projection {
  /** `[from, to]`: `embedding · kernel + bias`, to be scaled to length 1. */
  readonly kernel: Float32Array;
  /** `[to]` */
  readonly bias: Float32Array;
}

export interface LabelledEmbeddings {
  /** `[images, size]` */
  readonly values: Float32Array;
  readonly size: number;
  /** `[images]`: the identity on each image. */
  readonly labels: readonly number[];
}

/** What is added to the diagonals of the two covariances, as fractions of their mean variances. */
export interface Shrinkage {
  readonly within: number;
  /** With much of both, the projection tends to the embeddings as they are, moved to their mean: that suits few people. */
  readonly between: number;
}

const SHRINKAGE: Shrinkage = { within: 0.3, between: 0 };

/** What a projection is fitted to. */
export interface Statistics {
  /** Mean of the people's means. */
  readonly mean: Float64Array;
  /** Covariance of images around their person's mean, and of these means around their own. */
  readonly within: Matrix;
  readonly between: Matrix;
}

const square = (size: number): Float64Array[] => Array.from({ length: size }, () => new Float64Array(size));

/** Adds `factor · row · rowᵀ`. */
function addOuter(sum: Matrix, row: Float64Array, factor: number): void {
  for (let i = 0; i < row.length; i++) {
    const [into, scaled] = [sum[i]!, row[i]! * factor];
    for (let j = 0; j < row.length; j++) into[j]! += scaled * row[j]!;
  }
}

function byPerson({ values, size, labels }: LabelledEmbeddings): Float64Array[][] {
  const people = new Map<number, Float64Array[]>();
  labels.forEach((label, i) => {
    const row = Float64Array.from(values.subarray(i * size, (i + 1) * size));
    people.set(label, [...(people.get(label) ?? []), row]);
  });
  return [...people.values()].filter((rows) => rows.length >= 2);
}

const meanOf = (rows: readonly Float64Array[]): Float64Array =>
  rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);

const minus = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => value - b[i]!);

/** The statistics of embeddings, of people with two or more. */
export function pldaStatistics(embeddings: LabelledEmbeddings): Statistics {
  const { size } = embeddings;
  const people = byPerson(embeddings);
  const means = people.map(meanOf);
  const freedom = people.reduce((sum, rows) => sum + rows.length - 1, 0);
  const within = square(size);
  people.forEach((rows, person) => {
    for (const row of rows) addOuter(within, minus(row, means[person]!), 1 / freedom);
  });
  const mean = people.length === 0 ? new Float64Array(size) : meanOf(means);
  const between = square(size);
  for (const own of means) addOuter(between, minus(own, mean), 1 / Math.max(1, people.length - 1));
  return { mean, within, between };
}

/** `rows · matrix · rowsᵀ` of a symmetric matrix. */
function congruent(matrix: Matrix, rows: Matrix): Float64Array[] {
  const half = rows.map((row) => Float64Array.from(matrix, (column) => dot(row, column)));
  return half.map((left) => Float64Array.from(rows, (right) => dot(left, right)));
}

/** The sum of vectors, each times its factor. */
function combined(vectors: Matrix, factors: ArrayLike<number>): Float64Array {
  const sum = new Float64Array(vectors[0]!.length);
  for (const [k, vector] of vectors.entries()) {
    const factor = factors[k]!;
    for (let i = 0; i < sum.length; i++) sum[i]! += factor * vector[i]!;
  }
  return sum;
}

/** The covariance with a fraction of its mean variance added to its diagonal. */
function shrunk(covariance: Matrix, fraction: number): Float64Array[] {
  const added = (fraction * covariance.reduce((sum, row, i) => sum + row[i]!, 0)) / covariance.length;
  return covariance.map((row, i) => row.map((value, j) => (i === j ? value + added : value)));
}

/** Directions along which images of one person have unit variance. */
function whitened(within: Matrix): Float64Array[] {
  const { values, vectors } = symmetricEigen(within);
  return vectors.map((vector, i) => {
    const deviation = Math.sqrt(Math.max(values[i]!, Number.MIN_VALUE));
    return vector.map((x) => x / deviation);
  });
}

/**
 * Fits the projection to embeddings of length 1. It whitens the within-person covariance; along the axes on which people
 * then differ with variance β it scales by √(β / (1 + β)). The cosine of the result is, up to terms in the lengths, the
 * likelihood ratio of the two-covariance model (Ioffe, 2006, "Probabilistic Linear Discriminant Analysis"; Chen et al.,
 * 2012, "Bayesian Face Revisited").
 * @param embeddings with at least two people of at least two images each.
 * @param length size of the projection, at most that of the embeddings.
 */
export function fitPlda(embeddings: LabelledEmbeddings, length: number): Projection {
  return pldaProjection(pldaStatistics(embeddings), length);
}

/** The projection by statistics that are known. */
export function pldaProjection(
  { mean, within, between }: Statistics,
  length: number,
  shrinkage: Shrinkage = SHRINKAGE,
): Projection {
  const white = whitened(shrunk(within, shrinkage.within));
  const { values, vectors } = symmetricEigen(congruent(shrunk(between, shrinkage.between), white));
  const axes = vectors.slice(0, length).map((vector, axis) => {
    const beta = Math.max(values[axis]!, 0);
    const weight = Math.sqrt(beta / (1 + beta));
    return combined(
      white,
      vector.map((x) => weight * x),
    );
  });
  return projectionOnto(axes, mean);
}

/** The projection onto axes that maps the mean to zero, with zeros up to `length` numbers. */
export function projectionOnto(
  axes: readonly Float64Array[],
  mean: ArrayLike<number>,
  length = axes.length,
): Projection {
  const kernel = new Float32Array(mean.length * length);
  const bias = new Float32Array(length);
  axes.forEach((axis, to) => {
    let along = 0;
    axis.forEach((value, from) => {
      kernel[from * length + to] = value;
      along += value * mean[from]!;
    });
    bias[to] = -along;
  });
  return { kernel, bias };
}

/** Projects embeddings `[images, from]` and scales them to length 1: `[images, to]`. */
export function project({ kernel, bias }: Projection, values: Float32Array, size: number): Float32Array {
  const length = bias.length;
  const images = values.length / size;
  const mapped = new Float32Array(images * length);
  for (let image = 0; image < images; image++) {
    const row = Float64Array.from(bias);
    for (let from = 0; from < size; from++) {
      const value = values[image * size + from]!;
      for (let to = 0; to < length; to++) row[to]! += value * kernel[from * length + to]!;
    }
    const norm = Math.sqrt(dot(row, row)) || 1;
    mapped.set(
      row.map((value) => value / norm),
      image * length,
    );
  }
  return mapped;
}
