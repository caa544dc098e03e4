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

/** One half, spread over the chosen pairs. */
const half = (chosen: Node) => g.div(chosen, g.mul(g.max(g.reduceSum(chosen), 1), 2));

/** @param labels `[batch]`: who is on each image, as a number. */
export function batchPairs(labels: Node): BatchPairs {
  const same = sameness(labels);
  const alike = g.sub(same, identity(Number(labels.shape[0])));
  return { same, weights: g.add(half(alike), half(g.sub(1, same))) };
}

/** Which pairs of two people count: all of them, or those that are hardest to tell apart. */
export const MININGS = ["all", "semihard", "hard"] as const;
export type PairMining = (typeof MININGS)[number];

/** Below any logit. */
const LOWEST = -1e30;

const asNumbers = (condition: Node) => g.cast(condition, "float32");

/** Values where a mask is one, and `rest` where it is zero. */
const only = (mask: Node, values: Node, rest: number) =>
  g.add(g.mul(values, mask), g.mul(g.sub(1, mask), rest));

/** For each image the one of another person that it looks most alike; `[batch, batch]`, one for such a pair. */
function hardest(likeness: Node, other: Node): Node {
  const of = only(other, likeness, LOWEST);
  const most = g.expandDims(g.reduceMax(of, { axes: [1] }), 1);
  return g.mul(other, asNumbers(g.equal(likeness, most)));
}

/**
 * For each pair of one person the most alike of those other people who look less alike than the pair; where there is
 * nobody, the least alike (as Schroff, Kalenichenko and Philbin, 2015, §3.2, choose by distance). How often each pair of
 * two people was chosen, `[batch, batch]`.
 */
function semihardest(likeness: Node, other: Node, alike: Node): Node {
  // Axes: image, its likeness, its opposite.
  const pair = g.expandDims(likeness, 2);
  const opposite = g.expandDims(likeness, 1);
  const isOther = g.expandDims(other, 1);
  const below = g.mul(asNumbers(g.less(opposite, pair)), isOther);
  const nearest = g.reduceMax(only(below, opposite, LOWEST), {
    axes: [2],
  });
  const farthest = g.reduceMin(only(other, likeness, -LOWEST), {
    axes: [1],
  });
  const found = asNumbers(g.less(g.scalar(LOWEST / 2), nearest));
  const wanted = g.add(g.mul(found, nearest), g.mul(g.sub(1, found), g.expandDims(farthest, 1)));
  const chosen = g.mul(asNumbers(g.equal(opposite, g.expandDims(wanted, 2))), isOther);
  return g.reduceSum(g.mul(chosen, g.expandDims(alike, 2)), { axes: [1] });
}

/**
 * The same pairs with the weight of those of two people on the hardest alone.
 * @param logits `[batch², 1]`: how much alike each image and each other are; no derivative goes through the choice.
 */
export function minedPairs(pairs: BatchPairs, logits: Node, mining: PairMining): BatchPairs {
  if (mining === "all") return pairs;
  const { same } = pairs;
  const batch = Number(same.shape[0]);
  const likeness = g.reshape(logits, [batch, batch]);
  const other = g.sub(1, same);
  const alike = g.sub(same, identity(batch));
  const chosen = mining === "hard" ? hardest(likeness, other) : semihardest(likeness, other, alike);
  return { same, weights: g.add(half(alike), half(chosen)) };
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
