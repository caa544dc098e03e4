/** @file What may stand between a request's inputs and the graph: work that the engine cannot do itself. */
import type { TensorMap } from "../../base/tensor.ts";
import type { Signature } from "../../savedmodel/signature.ts";
import type { RequestMemory } from "../request-memory.ts";

/** A step in front of a signature. */
export interface InputStep {
  /** The signature behind the step: what it makes are the inputs. */
  readonly signature: Signature;
  /**
   * @param memory for what it makes.
   * @throws StatusError `INVALID_ARGUMENT` or FaceError for inputs that it can make nothing of.
   */
  parse(inputs: TensorMap, memory?: RequestMemory): TensorMap | Promise<TensorMap>;
}
