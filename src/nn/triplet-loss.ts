/** @file Triplet losses: each image of a batch against a positive and a negative found within the batch. */
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import { identity, sameness, squaredDistances } from "./pair-losses.ts";

/** How the negative of each anchor is chosen. */
export type Mining = "hard" | "semihard";

/** Beyond any squared distance of vectors of length 1, which is at most 4. */
const FAR = 8;

/** Batch-hard (Hermans, Beyer and Leibe, 2017, eq. 5): the farthest positive and the nearest negative of each image. */
function hardest(distances: Node, same: Node, margin: number): Node {
  const positive = g.reduceMax(g.mul(distances, same), { axes: [1] });
  const negative = g.reduceMin(g.add(distances, g.mul(same, FAR)), { axes: [1] });
  return g.relu(g.add(g.sub(positive, negative), margin));
}

/**
 * Semi-hard (Schroff, Kalenichenko and Philbin, 2015, §3.2): each positive pair against the nearest negative that is
 * farther away than the positive; without one, against the farthest negative.
 */
function semihard(distances: Node, same: Node, margin: number): Node {
  const other = g.sub(1, same);
  // Axes: anchor, positive, negative.
  const pair = g.expandDims(distances, 2);
  const negativeAt = g.expandDims(distances, 1);
  const farther = g.mul(g.cast(g.less(pair, negativeAt), "float32"), g.expandDims(other, 1));
  const nearest = g.reduceMin(g.add(negativeAt, g.mul(g.sub(1, farther), FAR)), { axes: [2] });
  const farthest = g.expandDims(g.reduceMax(g.mul(distances, other), { axes: [1] }), 1);
  const negative = g.select(g.less(nearest, g.scalar(FAR / 2)), nearest, g.add(farthest, g.mul(nearest, 0)));
  return g.relu(g.add(g.sub(distances, negative), margin));
}

/**
 * Triplet loss over a batch, on embeddings scaled to length 1; the mean over all anchors (hard) or positive pairs
 * (semihard).
 * @param embeddings `[batch, size]`
 * @param labels `[batch]`: the identity on each image, as a number.
 * @param margin by which the squared distance to a negative should exceed the one to a positive.
 */
export function tripletLoss(embeddings: Node, labels: Node, mining: Mining, margin: number): Node {
  const distances = squaredDistances(embeddings);
  const same = sameness(labels);
  const positives = g.sub(same, identity(Number(labels.shape[0])));
  if (mining === "hard") {
    const hasPositive = g.reduceMax(positives, { axes: [1] });
    return g.div(
      g.reduceSum(g.mul(hardest(distances, same, margin), hasPositive)),
      g.max(g.reduceSum(hasPositive), 1),
    );
  }
  const loss = g.reduceSum(g.mul(semihard(distances, same, margin), positives));
  return g.div(loss, g.max(g.reduceSum(positives), 1));
}
