/** @file One tensor over the rows of several, copied into one array only when it is read. */
import { arrayOf, type NumericDType } from "./dtype.ts";
import type { Shape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/**
 * One tensor over the rows of several. Code that copies the elements anyway, to another thread, reads `parts`; all other
 * code reads `data`, which is materialized at the first read.
 */
export class ConcatenatedView implements Tensor {
  readonly dtype: NumericDType;
  readonly shape: Shape;
  readonly parts: readonly Tensor[];
  #data: Float32Array | undefined;

  /** @param parts of one element type, filling the shape one after the other. */
  constructor(dtype: NumericDType, shape: Shape, parts: readonly Tensor[]) {
    this.dtype = dtype;
    this.shape = shape;
    this.parts = parts;
  }

  get data(): Float32Array {
    this.#data ??= this.#materialize();
    return this.#data;
  }

  #materialize(): Float32Array {
    const size = this.parts.reduce((sum, { data }) => sum + data.length, 0);
    const whole = new (arrayOf(this.dtype))(size) as Float32Array;
    let at = 0;
    for (const { data } of this.parts) {
      whole.set(data as Float32Array, at);
      at += data.length;
    }
    return whole;
  }
}

/** A tensor of plain fields that can be sent to a thread; a concatenated view is copied into one array. */
export const materialize = ({ dtype, shape, data }: Tensor): Tensor => ({ dtype, shape, data }) as Tensor;
