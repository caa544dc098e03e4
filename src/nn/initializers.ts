/** @file Initial values of weights, with Keras' names and formulas. */
import type { Random } from "../base/random.ts";
import { sizeOf, type Tensor, tensor } from "../base/tensor.ts";

/** Number of inputs per output, and of outputs per input. */
export interface Fans {
  readonly in: number;
  readonly out: number;
}

/** Draws the initial value of a weight. */
export type Initializer = (shape: readonly number[], random: Random, fans: Fans) => Tensor<"float32">;

function filled(shape: readonly number[], draw: () => number): Tensor<"float32"> {
  return tensor("float32", shape, Float32Array.from({ length: sizeOf(shape) }, draw));
}

export const constantOf =
  (value: number): Initializer =>
  (shape) =>
    filled(shape, () => value);

export const zeros: Initializer = constantOf(0);
export const ones: Initializer = constantOf(1);

/** Uniform within ±√(6 / (in + out)) (Glorot and Bengio, 2010). */
export const glorotUniform: Initializer = (shape, random, fans) => {
  const limit = Math.sqrt(6 / (fans.in + fans.out));
  return filled(shape, () => random.between(-limit, limit));
};

/** Standard deviation of a standard normal distribution truncated at ±2. */
const TRUNCATED_DEVIATION = 0.8796256610342398;

/** A normal draw within two standard deviations. */
function truncatedNormal(random: Random): number {
  for (;;) {
    const value = random.normal();
    if (Math.abs(value) <= 2) return value;
  }
}

/** Truncated normal of standard deviation √(2 / in) (He et al., 2015). */
export const heNormal: Initializer = (shape, random, fans) => {
  const deviation = Math.sqrt(2 / fans.in) / TRUNCATED_DEVIATION;
  return filled(shape, () => deviation * truncatedNormal(random));
};

/** Normal with the given standard deviation. */
export const normal =
  (deviation: number): Initializer =>
  (shape, random) =>
    filled(shape, () => deviation * random.normal());

/** Fans of a dense kernel `[in, out]` or a convolution's `[height, width, in / groups, out]`. */
export function fansOf(shape: readonly number[]): Fans {
  const field = sizeOf(shape.slice(0, -2));
  return { in: field * shape.at(-2)!, out: field * shape.at(-1)! };
}

/**
 * "Looks linear" (Balduzzi et al., 2017, "The Shattered Gradients Problem"): half of the outputs start as the negative of
 * the other half, so that the next layer can undo the ReLU and the whole stack starts as a linear map. Deep ReLU stacks
 * without normalisation otherwise start with nearly the same output for all inputs.
 * @param mirrored whether the layer's input consists of two such halves.
 * @param channels inputs per position, for a dense layer on a flattened image.
 */
export const looksLinear =
  (mirrored: boolean, channels?: number): Initializer =>
  (shape, random) => {
    const [inputs, outputs] = [channels ?? shape.at(-2)!, shape.at(-1)!];
    const field = sizeOf(shape) / (inputs * outputs);
    const [ins, outs] = [mirrored ? Math.floor(inputs / 2) : inputs, Math.floor(outputs / 2)];
    const deviation = Math.sqrt(1 / (field * ins));
    const kernel = filled(shape, () => 0);
    for (let place = 0; place < field; place++) {
      for (let i = 0; i < ins; i++) {
        for (let o = 0; o < outs; o++) {
          const value = deviation * random.normal();
          const put = (row: number, column: number, sign: number) => {
            kernel.data[(place * inputs + row) * outputs + column] = sign * value;
          };
          put(i, o, 1);
          put(i, o + outs, -1);
          if (mirrored) {
            put(i + ins, o, -1);
            put(i + ins, o + outs, 1);
          }
        }
      }
    }
    return kernel;
  };
