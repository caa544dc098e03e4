/** @file Small pictures through a network: planes in, named tensors out. */
import type { TensorMap } from "../base/tensor.ts";
import type { Pixels } from "../image/settings.ts";

/** Whatever runs a network: a session, or a pool of sessions in worker threads. */
export interface NetworkRunner {
  run(inputs: TensorMap): Promise<TensorMap>;
  close(): Promise<void>;
}

/** Starts a session of an ONNX model. */
export type OpenNetwork = (model: Uint8Array) => Promise<NetworkRunner>;

/** Order of the colours that a network was trained with. */
export type ColourOrder = "rgb" | "bgr";

/**
 * Writes a picture's colours as planes of floats from 0 to 255 into `out`, from `offset` on.
 * @param mirrored left and right exchanged.
 */
export function writePlanes(
  { data, width, height }: Pixels,
  order: ColourOrder,
  mirrored: boolean,
  out: Float32Array,
  offset: number,
): void {
  const size = width * height;
  const [first, last] = order === "rgb" ? [0, 2] : [2, 0];
  const step = mirrored ? -3 : 3;
  for (let row = 0, to = offset; row < height; row++) {
    let from = (row * width + (mirrored ? width - 1 : 0)) * 3;
    for (let column = 0; column < width; column++, to++, from += step) {
      out[to] = data[from + first]!;
      out[to + size] = data[from + 1]!;
      out[to + 2 * size] = data[from + last]!;
    }
  }
}
