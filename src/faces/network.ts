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

/** Writes a picture's colours as planes of floats from 0 to 255. */
export function writePlanes({ data, width, height }: Pixels, order: ColourOrder, out: Float32Array): void {
  const size = width * height;
  const [first, last] = order === "rgb" ? [0, 2] : [2, 0];
  for (let to = 0, from = 0; to < size; to++, from += 3) {
    out[to] = data[from + first]!;
    out[to + size] = data[from + 1]!;
    out[to + 2 * size] = data[from + last]!;
  }
}
