/** @file Losses of pairs, and their accuracy: over a list of pairs, or over each image of a batch with each other. */
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";

/** `max(z, 0) − z·y + log(1 + e^−|z|)`: the binary cross-entropy of logits, stable for large ones. */
const crossentropies = (z: Node, same: Node): Node =>
  g.add(g.sub(g.relu(z), g.mul(z, same)), g.log(g.add(1, g.exp(g.neg(g.abs(z))))));

/** One where a logit is on the right side of 0, that is of probability 0.5. */
const rightDecisions = (z: Node, same: Node): Node =>
  g.cast(g.equal(g.cast(g.less(g.scalar(0), z), "float32"), same), "float32");

/** Keeps the derivative of the square root finite where two embeddings coincide. */
const SMALLEST_SQUARED_DISTANCE = 1e-9;

/** Hadsell, Chopra and LeCun (2006): the squared distance of equal pairs, the squared shortfall to the margin of others. */
function contrastiveTerms(squared: Node, same: Node, margin: number): Node {
  const shortfall = g.relu(g.sub(margin, g.sqrt(g.max(squared, SMALLEST_SQUARED_DISTANCE))));
  return g.add(g.mul(same, squared), g.mul(g.sub(1, same), g.square(shortfall)));
}

/** Mean binary cross-entropy of logits `[batch, 1]` against targets `[batch]` (1 = same person). */
export const binaryCrossentropy = (logits: Node, same: Node): Node =>
  g.reduceMean(crossentropies(g.reshape(logits, [-1]), same));

/** Fraction of the logits `[batch, 1]` that decide as the targets `[batch]` do. */
export const binaryAccuracy = (logits: Node, same: Node): Node =>
  g.reduceMean(rightDecisions(g.reshape(logits, [-1]), same));

/**
 * Contrastive loss (Hadsell, Chopra and LeCun, 2006) on embeddings `[batch, size]` scaled to length 1.
 * @param margin distance that embeddings of different people should have, between 0 and 2.
 */
export function contrastiveLoss(a: Node, b: Node, same: Node, margin: number): Node {
  const difference = g.sub(g.l2Normalize(a), g.l2Normalize(b));
  return g.reduceMean(contrastiveTerms(g.reduceSum(g.square(difference), { axes: [1] }), same, margin));
}

/** `[batch, batch]`: one where both images show the same person, the image with itself included. */
export function sameness(labels: Node): Node {
  return g.cast(g.equal(g.expandDims(labels, 1), g.expandDims(labels, 0)), "float32");
}

/** `[batch, batch]`: one where an image meets itself. */
export function identity(batch: number): Node {
  return sameness(g.range("float32", batch));
}

/** All pairs of a batch, each `[batch, batch]`. */
export interface BatchPairs {
  readonly same: Node;
  /** Weight of each pair: those of one person sum to 1/2, those of two people too; an image with itself has 0. */
  readonly weights: Node;
}

/** One half, spread over the chosen pairs. */
const half = (chosen: Node) => g.div(chosen, g.mul(g.max(g.reduceSum(chosen), 1), 2));

/** @param labels `[batch]`: the identity on each image, as a number. */
export function batchPairs(labels: Node): BatchPairs {
  const same = sameness(labels);
  const positives = g.sub(same, identity(Number(labels.shape[0])));
  return { same, weights: g.add(half(positives), half(g.sub(1, same))) };
}

/** Sum over all pairs, each multiplied by its weight. */
const weighted = (values: Node, { weights }: BatchPairs): Node =>
  g.reduceSum(g.mul(g.reshape(values, [-1]), g.reshape(weights, [-1])));

/** Binary cross-entropy over all pairs. @param logits `[batch², 1]` */
export const pairsCrossentropy = (logits: Node, pairs: BatchPairs): Node =>
  weighted(crossentropies(g.reshape(logits, [-1]), g.reshape(pairs.same, [-1])), pairs);

/** Weighted fraction of right decisions over all pairs. @param logits `[batch², 1]` */
export const pairsAccuracy = (logits: Node, pairs: BatchPairs): Node =>
  weighted(rightDecisions(g.reshape(logits, [-1]), g.reshape(pairs.same, [-1])), pairs);

/** Squared distances `[batch, batch]` of embeddings `[batch, size]` scaled to length 1. */
export function squaredDistances(embeddings: Node): Node {
  const unit = g.l2Normalize(embeddings);
  return g.mul(g.sub(1, g.matmul(unit, unit, { transposeB: true })), 2);
}

/** Contrastive loss over all pairs; see `contrastiveLoss`. */
export function pairsContrastive(embeddings: Node, pairs: BatchPairs, margin: number): Node {
  const squared = g.max(squaredDistances(embeddings), SMALLEST_SQUARED_DISTANCE);
  return weighted(contrastiveTerms(squared, pairs.same, margin), pairs);
}
