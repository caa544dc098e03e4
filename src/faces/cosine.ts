/** @file How alike two embeddings of a pack are. */
import { FaceError } from "../base/errors.ts";

/**
 * Cosine of the angle between two embeddings of length 1, −1 to 1: larger means more alike.
 * @throws FaceError `SHAPE_MISMATCH` for embeddings of different sizes.
 */
export function cosineSimilarity(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `embeddings of ${a.length} and ${b.length} numbers cannot be compared`,
    );
  }
  const sum = a.reduce((total, value, i) => total + value * b[i]!, 0);
  return Math.max(-1, Math.min(1, sum));
}
