/** @file What an exported model's weights are stored as. */

/** A file with `float16` takes half the room; the weights become float32 when it is loaded, and everything computes in that. */
export const WEIGHT_TYPES = ["float32", "float16"] as const;

export type WeightType = (typeof WEIGHT_TYPES)[number];
