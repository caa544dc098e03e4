/** @file The loss of a student that learns a teacher's embeddings: their directions, and the similarities within a batch. */
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";

/**
 * Weight of the similarities: their squared errors are about a tenth of the errors of the cosines when training ends.
 */
const SIMILARITY_WEIGHT = 10;

/** `[batch, batch]`: the cosine of each with each. */
const similarities = (unit: Node): Node => g.matmul(unit, unit, { transposeB: true });

/**
 * One minus the mean cosine of student and teacher, plus the mean squared error of the cosines between images of the batch
 * ("relational" distillation; Park et al., 2019, with cosines in place of distances).
 * @param student `[batch, size]`
 * @param teacher `[batch, size]`, of length 1.
 */
export function distillationLoss(student: Node, teacher: Node): Node {
  const unit = g.l2Normalize(student);
  const cosines = g.reduceSum(g.mul(unit, teacher), { axes: [1] });
  const errors = g.square(g.sub(similarities(unit), similarities(teacher)));
  return g.add(g.sub(1, g.reduceMean(cosines)), g.mul(g.reduceMean(errors), SIMILARITY_WEIGHT));
}
