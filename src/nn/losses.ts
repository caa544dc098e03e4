/** @file What training makes small: losses over a batch of pairs, and the accuracy beside them. */
import { float32 } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";

/**
 * Binary cross-entropy of `[batch, 1]` logits against `[batch]` targets (1 = same person), averaged over the batch.
 * In the form `max(z, 0) − z·y + log(1 + e^−|z|)`, which is exact however large the logits are.
 */
export function binaryCrossentropy(logits: Node, same: Node): Node {
  const z = g.reshape(logits, [-1]);
  const perPair = g.add(g.sub(g.relu(z), g.mul(z, same)), g.log(g.add(1, g.exp(g.neg(g.abs(z))))));
  return g.reduceMean(perPair);
}

/** Squared Euclidean distance of embeddings `[batch, size]`, each scaled to length 1: `[batch]`, from 0 to 4. */
export function squaredDistance(a: Node, b: Node): Node {
  return g.reduceSum(g.square(g.sub(g.l2Normalize(a), g.l2Normalize(b))), { axes: [1] });
}

/** Keeps the derivative of the square root finite where two embeddings coincide. */
const SMALLEST_SQUARED_DISTANCE = 1e-9;

/**
 * Contrastive loss (Hadsell, Chopra and LeCun, 2006) on embeddings scaled to length 1: the squared distance of equal
 * pairs, and the square of what the others lack to the margin.
 * @param margin distance that different people shall have, between 0 and 2.
 */
export function contrastiveLoss(a: Node, b: Node, same: Node, margin: number): Node {
  const squared = squaredDistance(a, b);
  const distance = g.sqrt(g.max(squared, SMALLEST_SQUARED_DISTANCE));
  const lacking = g.relu(g.sub(margin, distance));
  return g.reduceMean(g.add(g.mul(same, squared), g.mul(g.sub(1, same), g.square(lacking))));
}

/** `[batch] → [batch, classes]`: one where the class is the label's. */
export function oneHot(labels: Node, classes: number): Node {
  const numbers = g.constant(
    float32(
      [1, classes],
      Array.from({ length: classes }, (_, i) => i),
    ),
  );
  return g.cast(g.equal(g.expandDims(labels, 1), numbers), "float32");
}

/** Cross-entropy of `[batch, classes]` logits against target shares of the same shape, averaged over the batch. */
export function categoricalCrossentropy(logits: Node, targets: Node): Node {
  // Taking the greatest logit off keeps the exponentials in range and changes nothing.
  const shifted = g.sub(logits, g.reduceMax(logits, { axes: [1], keepDims: true }));
  const logSum = g.log(g.reduceSum(g.exp(shifted), { axes: [1] }));
  return g.reduceMean(g.sub(logSum, g.reduceSum(g.mul(shifted, targets), { axes: [1] })));
}

export interface MarginOptions {
  /** What the right class has to be ahead by: a cosine (CosFace) or an angle in radians (ArcFace). */
  readonly margin: number;
  /** Length that embeddings are scaled to before the softmax. */
  readonly scale: number;
  /** Share of the target that is spread over all classes (Szegedy et al., 2016, §7). */
  readonly smoothing?: number;
}

/** Cosines `[batch, classes]` between embeddings `[batch, size]` and the classes' directions `[size, classes]`. */
function classCosines(embeddings: Node, directions: Node): Node {
  return g.matmul(g.l2Normalize(embeddings), g.l2Normalize(directions, 0));
}

function marginLoss(
  cosines: Node,
  withMargin: Node,
  own: Node,
  { scale, smoothing = 0 }: MarginOptions,
): Node {
  const classes = Number(own.shape[1]);
  const logits = g.mul(g.add(cosines, g.mul(own, g.sub(withMargin, cosines))), scale);
  const targets = smoothing === 0 ? own : g.add(g.mul(own, 1 - smoothing), smoothing / classes);
  return categoricalCrossentropy(logits, targets);
}

/** CosFace (Wang et al., 2018, eq. 4): softmax over people, the right one's cosine lowered by a margin. */
export function cosFaceLoss(embeddings: Node, directions: Node, labels: Node, options: MarginOptions): Node {
  const cosines = classCosines(embeddings, directions);
  const own = oneHot(labels, Number(directions.shape[1]));
  return marginLoss(cosines, g.sub(cosines, options.margin), own, options);
}

/** Keeps the derivative of the sine finite where an embedding lies on its class's direction. */
const SMALLEST_SQUARED_SINE = 1e-6;

/**
 * ArcFace (Deng et al., 2019, eq. 3): the angle to the right person's direction grown by a margin. Beyond π − margin,
 * where that would lower the loss again, the cosine falls on linearly.
 */
export function arcFaceLoss(embeddings: Node, directions: Node, labels: Node, options: MarginOptions): Node {
  const { margin } = options;
  const cosines = classCosines(embeddings, directions);
  const sines = g.sqrt(g.max(g.sub(1, g.square(cosines)), SMALLEST_SQUARED_SINE));
  const grown = g.sub(g.mul(cosines, Math.cos(margin)), g.mul(sines, Math.sin(margin)));
  const fallen = g.sub(cosines, Math.sin(margin) * margin);
  const withMargin = g.select(g.less(Math.cos(Math.PI - margin), cosines), grown, fallen);
  const own = oneHot(labels, Number(directions.shape[1]));
  return marginLoss(cosines, withMargin, own, options);
}

/** Share of pairs on the right side of probability 0.5, that is of logit 0. */
export function binaryAccuracy(logits: Node, same: Node): Node {
  const z = g.reshape(logits, [-1]);
  const predicted = g.cast(g.less(g.scalar(0), z), "float32");
  return g.reduceMean(g.cast(g.equal(predicted, same), "float32"));
}
