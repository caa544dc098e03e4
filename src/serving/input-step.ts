/** @file What may stand between a request's inputs and the graph: work that the engine cannot do itself. */
import type { TensorMap } from "../base/tensor.ts";
import type { Signature } from "../savedmodel/signature.ts";

/** A step in front of a signature. */
export interface InputStep {
  /** The signature behind the step: what it makes are the inputs. */
  readonly signature: Signature;
  /** @throws StatusError `INVALID_ARGUMENT` or FaceError for inputs that it can make nothing of. */
  parse(inputs: TensorMap): TensorMap | Promise<TensorMap>;
}
