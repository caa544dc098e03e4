/** @file Regress: examples in, one number for each out. */
import { hasDType, type TensorMap } from "../base/tensor.ts";
import { checkExampleInput, type ExampleVerb, exampleFunction, typeName, unfit } from "./examples.ts";
import { regressResponse } from "./grpc/response-messages.ts";
import { invalidArgument } from "./status.ts";

const OUTPUTS = "outputs";

/** One number for each example. */
export interface Regressions {
  readonly method: "regress";
  readonly values: Float32Array;
}

/** Signatures with the one output `outputs`, `[batch]` or `[batch, 1]`. */
export const regression: ExampleVerb<Regressions> = {
  outputsOf: (signature) => {
    if (signature.inputs.size !== 1) throw invalidArgument("Expected one input Tensor.");
    if (signature.outputs.size !== 1) throw invalidArgument("Expected one output Tensor.");
    checkExampleInput(signature, "regression");
    if (signature.outputs.has(OUTPUTS)) return [OUTPUTS];
    throw unfit("No regression outputs found in SignatureDef: ", signature);
  },
  answer: (outputs, batch) => ({ method: "regress", values: numbers(outputs, batch) }),
  kind: "regress",
  response: regressResponse,
};

export const regress = exampleFunction(regression);

function numbers(outputs: TensorMap, batch: number): Float32Array {
  const value = outputs.get(OUTPUTS)!;
  const { shape } = value;
  if (shape.length !== 1 && !(shape.length === 2 && shape[1] === 1)) {
    throw invalidArgument(
      "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " +
        `[${shape.join(",")}]`,
    );
  }
  if (shape[0] !== batch) {
    throw invalidArgument(`Input batch size did not match output batch size: ${batch} vs. ${shape[0]}`);
  }
  if (!hasDType(value, "float32")) {
    throw invalidArgument(`Expected output Tensor of DT_FLOAT.  Got: ${typeName(value)}`);
  }
  return value.data;
}
