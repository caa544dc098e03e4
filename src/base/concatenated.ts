/** @file Tensors laid behind one another, row after row, that are copied together only when somebody looks. */
import { arrayOf, type NumericDType } from "./dtype.ts";
import type { Shape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/**
 * One tensor from the rows of several. Whoever copies the elements anyway, to another thread, takes them from the parts;
 * everybody else finds them in `data`.
 */
export class StackedTensor implements Tensor {
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
    this.#data ??= this.#together();
    return this.#data;
  }

  #together(): Float32Array {
    const size = this.parts.reduce((sum, { data }) => sum + data.length, 0);
    const together = new (arrayOf(this.dtype))(size) as Float32Array;
    let at = 0;
    for (const { data } of this.parts) {
      together.set(data as Float32Array, at);
      at += data.length;
    }
    return together;
  }
}

/** A tensor of plain fields, as it can be sent to a thread: what is stacked is brought together. */
export const together = ({ dtype, shape, data }: Tensor): Tensor => ({ dtype, shape, data }) as Tensor;
