/** @file What the embedding of a pack computes in. */

/**
 * What an embedding computes in. `int8` is for speed: 8-bit integers, one close-up of each face, no mirror image. Its embeddings are not to
 * be compared with those in floats, and have thresholds of their own.
 */
export type Precision = "float32" | "int8";

export const PRECISIONS = ["float32", "int8"] as const satisfies readonly Precision[];
