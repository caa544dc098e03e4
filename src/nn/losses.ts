/** @file What training makes small: losses over a batch of pairs, and the accuracy beside them. */
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

/** Share of pairs on the right side of probability 0.5, that is of logit 0. */
export function binaryAccuracy(logits: Node, same: Node): Node {
  const z = g.reshape(logits, [-1]);
  const predicted = g.cast(g.less(g.scalar(0), z), "float32");
  return g.reduceMean(g.cast(g.equal(predicted, same), "float32"));
}
