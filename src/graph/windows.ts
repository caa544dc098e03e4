/** @file The geometry of sliding windows: margins and output sizes of convolutions and pools. */
import { FaceError } from "../base/errors.ts";
import { type Dim, type Padding, type Pads, type Pair, UNKNOWN_DIM } from "./ops.ts";

/** Explicit margins for one axis; TensorFlow's SAME puts the odd one at the end. */
export function samePads(size: number, kernel: number, stride: number, dilation = 1): Pair {
  const out = Math.ceil(size / stride);
  const total = Math.max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/** No margins at all. */
export const NO_PADS: Pads = [
  [0, 0],
  [0, 0],
];

/** Explicit margins where the image's size is known. */
export function resolvePads(
  padding: Padding,
  size: Pair,
  kernel: Pair,
  strides: Pair,
  dilations: Pair = [1, 1],
): Pads {
  if (padding === "valid") return NO_PADS;
  if (padding !== "same") return padding;
  return [
    samePads(size[0], kernel[0], strides[0], dilations[0]),
    samePads(size[1], kernel[1], strides[1], dilations[1]),
  ];
}

/** How many elements of each window lie inside the image: by the window's row, and by its column. */
export function elementsInside(
  image: Pair,
  out: Pair,
  { size, strides }: Pick<Window, "size" | "strides">,
  pads: Pads,
): [number[], number[]] {
  const along = (axis: 0 | 1) =>
    Array.from({ length: out[axis] }, (_, i) => {
      const start = i * strides[axis] - pads[axis][0];
      return Math.min(start + size[axis], image[axis]) - Math.max(start, 0);
    });
  return [along(0), along(1)];
}

/** The window of a convolution or pool. */
export interface Window {
  readonly size: Pair;
  readonly strides: Pair;
  readonly padding: Padding;
  readonly dilations?: Pair;
}

function outputSide(op: string, side: Dim, axis: 0 | 1, window: Window): Dim {
  if (typeof side !== "number") return UNKNOWN_DIM;
  const { size, strides, padding, dilations = [1, 1] } = window;
  if (padding === "same") return Math.ceil(side / strides[axis]);
  const margins = padding === "valid" ? 0 : padding[axis][0] + padding[axis][1];
  const reach = (size[axis] - 1) * dilations[axis] + 1;
  if (side + margins < reach) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `${op}: a window that spans ${reach} does not fit a side of ${side + margins}, margins included`,
    );
  }
  return Math.floor((side + margins - reach) / strides[axis]) + 1;
}

/**
 * Height and width of the output of a sliding window.
 * @throws FaceError `SHAPE_MISMATCH` when the window is larger than the image with its margins.
 */
export function outputSize(op: string, size: readonly [Dim, Dim], window: Window): [Dim, Dim] {
  return [outputSide(op, size[0], 0, window), outputSide(op, size[1], 1, window)];
}
