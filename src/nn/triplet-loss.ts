/** @file Triplet losses: every image of a batch against its likeness and its opposite, found within the batch. */
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import { identity, sameness, squaredDistances } from "./batch-pairs.ts";

/** Which opposite each image is pulled away from. */
export type Mining = "hard" | "semihard";

/** Beyond any squared distance of vectors of length 1, which is at most 4. */
const FAR = 8;

/**
 * Batch-hard (Hermans, Beyer and Leibe, 2017, eq. 5): each image against the farthest of its person and the nearest of
 * the others.
 */
function hardest(distances: Node, same: Node, margin: number): Node {
  const positive = g.reduceMax(g.mul(distances, same), { axes: [1] });
  const negative = g.reduceMin(g.add(distances, g.mul(same, FAR)), { axes: [1] });
  return g.relu(g.add(g.sub(positive, negative), margin));
}

/**
 * Semi-hard (Schroff, Kalenichenko and Philbin, 2015, §3.2): each pair of one person against the nearest of those others
 * that are farther away than the pair is apart; where there are none, against the farthest.
 */
function semihard(distances: Node, same: Node, margin: number): Node {
  const other = g.sub(1, same);
  // Axes: image, its likeness, its opposite.
  const pair = g.expandDims(distances, 2);
  const opposite = g.expandDims(distances, 1);
  const farther = g.mul(g.cast(g.less(pair, opposite), "float32"), g.expandDims(other, 1));
  const nearest = g.reduceMin(g.add(opposite, g.mul(g.sub(1, farther), FAR)), { axes: [2] });
  const farthest = g.expandDims(g.reduceMax(g.mul(distances, other), { axes: [1] }), 1);
  const negative = g.select(g.less(nearest, g.scalar(FAR / 2)), nearest, g.add(farthest, g.mul(nearest, 0)));
  return g.relu(g.add(g.sub(distances, negative), margin));
}

/**
 * Triplet loss over all images of a batch, on embeddings scaled to length 1; averaged over the images, or the pairs of
 * one person, that there are.
 * @param embeddings `[batch, size]`
 * @param labels `[batch]`: who is on the image, as a number.
 * @param margin by which the squared distance to others shall exceed the one within a person.
 */
export function tripletLoss(embeddings: Node, labels: Node, mining: Mining, margin: number): Node {
  const distances = squaredDistances(embeddings);
  const same = sameness(labels);
  const alike = g.sub(same, identity(Number(labels.shape[0])));
  if (mining === "hard") {
    const hasLikeness = g.reduceMax(alike, { axes: [1] });
    return g.div(
      g.reduceSum(g.mul(hardest(distances, same, margin), hasLikeness)),
      g.max(g.reduceSum(hasLikeness), 1),
    );
  }
  const loss = g.reduceSum(g.mul(semihard(distances, same, margin), alike));
  return g.div(loss, g.max(g.reduceSum(alike), 1));
}
