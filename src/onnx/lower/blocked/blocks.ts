/** @file What lowerings of convolutions share, to blocked operators and to others. */
import type { Node, Pads, Pair } from "../../../graph/ops.ts";
import type { Lowering } from "../lowering.ts";

/** Channels come in blocks of 8 or 16, whichever suits the processor; multiples of this fill both. */
export const BLOCK = 16;

export const imageOf = (x: Node): Pair => [Number(x.shape[1]), Number(x.shape[2])];

/** `[top, left, bottom, right]`, ONNX's order. */
export const padList = ([[top, bottom], [left, right]]: Pads): number[] => [top, left, bottom, right];

/** A kernel with both spatial axes reversed, the first of which is `axis`. */
export function flipped(
  node: Node,
  kernel: string,
  axis: number,
  [height, width]: Pair,
  lowering: Lowering,
): string {
  if (height === 1 && width === 1) return kernel;
  const { model } = lowering;
  const ends = model.ints([-height - 1, -width - 1]);
  const axes = model.ints([axis, axis + 1]);
  return lowering.emit(node, "Slice", [kernel, model.ints([-1, -1]), ends, axes, model.ints([-1, -1])]);
}
