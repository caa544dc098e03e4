/** @file What all lowerings to blocked operators share. */
import type { Node, Pads, Pair } from "../graph/ops.ts";

/** Channels come in blocks of 8 or 16, whichever suits the processor; multiples of this fill both. */
export const BLOCK = 16;

export const imageOf = (x: Node): Pair => [Number(x.shape[1]), Number(x.shape[2])];

/** `[top, left, bottom, right]`, ONNX's order. */
export const padList = ([[top, bottom], [left, right]]: Pads): number[] => [top, left, bottom, right];
