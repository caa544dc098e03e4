/** @file Small pictures through a network: planes in, named tensors out. */

import type { TensorMap } from "../base/tensor.ts";
import type { Pixels } from "../image/settings.ts";
import { BufferPool } from "./buffers.ts";

/** Whatever runs a network: a session, or a pool of sessions in worker threads. */
export interface NetworkRunner {
  run(inputs: TensorMap): Promise<TensorMap>;
  close(): Promise<void>;
}

/** Starts a session of an ONNX model. */
export type OpenNetwork = (model: Uint8Array) => Promise<NetworkRunner>;

/**
 * Starts a session of the network in a pack's file.
 * @param kind what is made of the file; one name for each way to lower it.
 * @param lower makes an ONNX model of it, where none was kept.
 */
export type OpenPackNetwork = (
  kind: string,
  file: Uint8Array,
  lower: () => Promise<Uint8Array>,
) => Promise<NetworkRunner>;

/** Order of the colours that a network was trained with. */
export type ColourOrder = "rgb" | "bgr";

/** Memory of small pictures and of the inputs of networks. */
export const buffers = new BufferPool();

/** Where planes lie: `planes[offset]` is the first of the first plane, and each has `size` numbers in rows of `stride`. */
interface Planes {
  readonly planes: Float32Array;
  readonly offset: number;
  readonly stride: number;
  readonly size: number;
}

/**
 * Writes a picture's colours as planes of floats from 0 to 255.
 * @param mirrored left and right exchanged.
 */
export function writePlanes(
  { data, width, height }: Pixels,
  order: ColourOrder,
  mirrored: boolean,
  { planes, offset, stride, size }: Planes,
): void {
  const [first, last] = order === "rgb" ? [0, 2] : [2, 0];
  const step = mirrored ? -3 : 3;
  for (let row = 0; row < height; row++) {
    let from = (row * width + (mirrored ? width - 1 : 0)) * 3;
    const end = offset + row * stride + width;
    for (let to = end - width; to < end; to++, from += step) {
      planes[to] = data[from + first]!;
      planes[to + size] = data[from + 1]!;
      planes[to + 2 * size] = data[from + last]!;
    }
  }
}
