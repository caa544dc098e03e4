/** @file An image sampled anew along one axis: each new row is a mixture of rows that are known beforehand. */
import { add, constant, gather, mul } from "./build.ts";
import { fromNumbers } from "./numbers.ts";
import type { Node } from "./ops.ts";

/** One of the places that a new row is made of, and its share, for each new row. */
export interface Tap {
  readonly places: readonly number[];
  /** Undefined for "all of it". */
  readonly shares: readonly number[] | undefined;
}

/** A `[batch, height, width, channels]` image with the rows of one axis replaced by mixtures of them. */
export function sampled(image: Node, axis: 1 | 2, taps: readonly Tap[]): Node {
  const parts = taps.map(({ places, shares }) => {
    const rows = gather(image, constant(fromNumbers("int64", [places.length], places)), axis);
    if (shares === undefined) return rows;
    const shape = axis === 1 ? [places.length, 1, 1] : [places.length, 1];
    return mul(rows, constant(fromNumbers(image.dtype, shape, shares)));
  });
  return parts.reduce((sum, part) => add(sum, part));
}
