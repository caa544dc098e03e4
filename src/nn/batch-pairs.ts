/** @file Every image of a batch with every other: which pairs show one person, how much each counts, losses over all. */
import { float32 } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";

/** `[batch, batch]`: one where both images show the same person, the image with itself included. */
export function sameness(labels: Node): Node {
  return g.cast(g.equal(g.expandDims(labels, 1), g.expandDims(labels, 0)), "float32");
}

/** `[batch, batch]`: one where an image meets itself. */
export function identity(batch: number): Node {
  const positions = Array.from({ length: batch }, (_, i) => i);
  return sameness(g.constant(float32([batch], positions)));
}

/** All pairs of a batch, each `[batch, batch]`. */
export interface BatchPairs {
  readonly same: Node;
  /** How much each pair counts: those of one person half in all, those of two the other half, an image with itself nothing. */
  readonly weights: Node;
}

/** @param labels `[batch]`: who is on each image, as a number. */
export function batchPairs(labels: Node): BatchPairs {
  const same = sameness(labels);
  const alike = g.sub(same, identity(Number(labels.shape[0])));
  const half = (chosen: Node) => g.div(chosen, g.mul(g.max(g.reduceSum(chosen), 1), 2));
  return { same, weights: g.add(half(alike), half(g.sub(1, same))) };
}

/** Sum over all pairs, each counted by its weight. */
const weighted = (values: Node, { weights }: BatchPairs): Node =>
  g.reduceSum(g.mul(g.reshape(values, [-1]), g.reshape(weights, [-1])));

/** Binary cross-entropy over all pairs. @param logits `[batch², 1]` */
export function pairsCrossentropy(logits: Node, pairs: BatchPairs): Node {
  const z = g.reshape(logits, [-1]);
  const y = g.reshape(pairs.same, [-1]);
  const each = g.add(g.sub(g.relu(z), g.mul(z, y)), g.log(g.add(1, g.exp(g.neg(g.abs(z))))));
  return weighted(each, pairs);
}

/** Weighted share of pairs on the right side of probability 0.5. @param logits `[batch², 1]` */
export function pairsAccuracy(logits: Node, pairs: BatchPairs): Node {
  const predicted = g.cast(g.less(g.scalar(0), g.reshape(logits, [-1])), "float32");
  return weighted(g.cast(g.equal(predicted, g.reshape(pairs.same, [-1])), "float32"), pairs);
}

/** Squared distances `[batch, batch]` of embeddings `[batch, size]` scaled to length 1. */
export function squaredDistances(embeddings: Node): Node {
  const unit = g.l2Normalize(embeddings);
  return g.mul(g.sub(1, g.matmul(unit, unit, { transposeB: true })), 2);
}

/** Keeps the derivative of the square root finite where two embeddings coincide. */
const SMALLEST_SQUARED_DISTANCE = 1e-9;

/** Contrastive loss over all pairs; see `contrastiveLoss`. */
export function pairsContrastive(embeddings: Node, pairs: BatchPairs, margin: number): Node {
  const squared = g.max(squaredDistances(embeddings), SMALLEST_SQUARED_DISTANCE);
  const lacking = g.relu(g.sub(margin, g.sqrt(squared)));
  const each = g.add(g.mul(pairs.same, squared), g.mul(g.sub(1, pairs.same), g.square(lacking)));
  return weighted(each, pairs);
}
