/** @file Softmax losses over people with a margin: CosFace, ArcFace, AdaFace. */
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";

/** One-hot encoding: `[batch] → [batch, classes]`. */
export function oneHot(labels: Node, classes: number): Node {
  const numbers = g.expandDims(g.range("float32", classes), 0);
  return g.cast(g.equal(g.expandDims(labels, 1), numbers), "float32");
}

/** Mean cross-entropy of logits `[batch, classes]` against target probabilities of the same shape. */
export function categoricalCrossentropy(logits: Node, targets: Node): Node {
  // Subtracting the maximum prevents overflow and does not change the result.
  const shifted = g.sub(logits, g.reduceMax(logits, { axes: [1], keepDims: true }));
  const logSum = g.log(g.reduceSum(g.exp(shifted), { axes: [1] }));
  return g.reduceMean(g.sub(logSum, g.reduceSum(g.mul(shifted, targets), { axes: [1] })));
}

export interface MarginOptions {
  /** Margin of the right class: a cosine (CosFace) or an angle in radians (ArcFace). */
  readonly margin: number;
  /** Scale of the logits. */
  readonly scale: number;
  /** Label smoothing (Szegedy et al., 2016, §7). */
  readonly smoothing?: number;
}

/** Cosines `[batch, classes]` between embeddings `[batch, size]` and the classes' directions `[size, classes]`. */
function classCosines(embeddings: Node, directions: Node): Node {
  return g.matmul(g.l2Normalize(embeddings), g.l2Normalize(directions, 0));
}

/** The loss where the cosine of the right person is replaced by the one with the margin. */
function marginLoss(
  cosines: Node,
  withMargin: Node,
  labels: Node,
  { scale, smoothing = 0 }: MarginOptions,
): Node {
  const classes = Number(cosines.shape[1]);
  const own = oneHot(labels, classes);
  const logits = g.mul(g.add(cosines, g.mul(own, g.sub(withMargin, cosines))), scale);
  const targets = smoothing === 0 ? own : g.add(g.mul(own, 1 - smoothing), smoothing / classes);
  return categoricalCrossentropy(logits, targets);
}

/** CosFace (Wang et al., 2018, eq. 4): subtracts the margin from the cosine of the right person. */
export function cosFaceLoss(embeddings: Node, directions: Node, labels: Node, options: MarginOptions): Node {
  const cosines = classCosines(embeddings, directions);
  return marginLoss(cosines, g.sub(cosines, options.margin), labels, options);
}

/** Keeps the derivative of the sine finite where an embedding has the direction of its class. */
const SMALLEST_SQUARED_SINE = 1e-6;

/**
 * ArcFace (Deng et al., 2019, eq. 3): adds the margin to the angle of the right person. Beyond π − margin, where that
 * would raise the cosine again, the cosine is lowered linearly.
 */
export function arcFaceLoss(embeddings: Node, directions: Node, labels: Node, options: MarginOptions): Node {
  const { margin } = options;
  const cosines = classCosines(embeddings, directions);
  const sines = g.sqrt(g.max(g.sub(1, g.square(cosines)), SMALLEST_SQUARED_SINE));
  const grown = g.sub(g.mul(cosines, Math.cos(margin)), g.mul(sines, Math.sin(margin)));
  const fallen = g.sub(cosines, Math.sin(margin) * margin);
  const withMargin = g.select(g.less(Math.cos(Math.PI - margin), cosines), grown, fallen);
  return marginLoss(cosines, withMargin, labels, options);
}

/** AdaFace's h: scales the normalised norm to the range of margins. */
const NORM_SPREAD = 0.333;
const NORM_RANGE = [0.001, 100] as const;

/** Running mean and standard deviation of the embeddings' norms. */
export interface NormStatistics {
  readonly mean: Node;
  readonly deviation: Node;
}

/** Norms of embeddings `[batch, size]` as `[batch, 1]`, as constants for the gradient. */
export function embeddingNorms(embeddings: Node): Node {
  const norms = g.sqrt(g.reduceSum(g.square(embeddings), { axes: [1], keepDims: true }));
  const clipped = g.min(g.max(norms, NORM_RANGE[0]), NORM_RANGE[1]);
  return withoutDerivative(clipped);
}

const ROUNDING = 4096;

/** Stops the gradient by rounding, to 1/4096. */
const withoutDerivative = (x: Node): Node => g.div(g.round(g.mul(x, ROUNDING)), ROUNDING);

/**
 * AdaFace (Kim, Jain and Liu, 2022, eq. 8): the margin depends on the norm of the embedding, a proxy of image quality.
 * Large norms get an additive margin on the cosine, small norms an angular margin that spares images of poor quality.
 */
export function adaFaceLoss(
  embeddings: Node,
  directions: Node,
  labels: Node,
  options: MarginOptions & NormStatistics,
): Node {
  const { margin, mean, deviation } = options;
  const cosines = classCosines(embeddings, directions);
  const distance = g.div(g.sub(embeddingNorms(embeddings), mean), g.add(deviation, NORM_RANGE[0]));
  const quality = g.min(g.max(g.mul(distance, NORM_SPREAD), -1), 1);
  const turn = g.mul(quality, -margin);
  const sines = g.sqrt(g.max(g.sub(1, g.square(cosines)), SMALLEST_SQUARED_SINE));
  const turned = g.sub(g.mul(cosines, g.cos(turn)), g.mul(sines, g.sin(turn)));
  const withMargin = g.sub(turned, g.add(g.mul(quality, margin), margin));
  return marginLoss(cosines, withMargin, labels, options);
}
