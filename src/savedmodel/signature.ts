/** @file What a model offers to its callers: named signatures with typed, shaped inputs and outputs. */
import type { DType } from "../base/dtype.ts";
import type { Tensor } from "../base/tensor.ts";

export { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";

/** One named input or output of a signature. */
export interface SignatureTensor {
  /** The graph's own name for it, `node:index`. */
  readonly tensorName: string;
  readonly dtype: DType;
  /** Sides, -1 where unknown; `undefined` when even the rank is unknown. */
  readonly shape: readonly number[] | undefined;
}

/** A way to call a model, such as `serving_default`. */
export interface Signature {
  readonly inputs: ReadonlyMap<string, SignatureTensor>;
  readonly outputs: ReadonlyMap<string, SignatureTensor>;
  /** `tensorflow/serving/predict`, `…/classify` or `…/regress`; free text in old models. */
  readonly methodName: string;
  /** Values for inputs that a request may leave out. */
  readonly defaults: ReadonlyMap<string, Tensor>;
}

export const PREDICT_METHOD = "tensorflow/serving/predict";
