/** @file Signatures: the named ways to call a model, with typed, shaped inputs and outputs. */
import type { DType, Tensor } from "../base/tensor.ts";

/** One named input or output of a signature. */
export interface SignatureTensor {
  /** Its name in the graph, `node:index`. */
  readonly tensorName: string;
  readonly dtype: DType;
  /** Sides, -1 where unknown; `undefined` when even the rank is unknown. */
  readonly shape: readonly number[] | undefined;
}

/** A way to call a model, such as `serving_default`. */
export interface Signature {
  readonly inputs: ReadonlyMap<string, SignatureTensor>;
  readonly outputs: ReadonlyMap<string, SignatureTensor>;
  /** `tensorflow/serving/predict`, `…/classify` or `…/regress`; any text in old models. */
  readonly methodName: string;
  /** Default values of optional inputs. */
  readonly defaults: ReadonlyMap<string, Tensor>;
}

export const PREDICT_METHOD = "tensorflow/serving/predict";
