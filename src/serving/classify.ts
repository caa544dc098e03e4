/** @file Classify: examples in, labels with scores out. */
import type { Tensor, TensorMap } from "../base/tensor.ts";
import { DataType } from "../proto/tensorflow/tensor_pb.ts";
import { dataTypeOf } from "../savedmodel/format/tensor-proto.ts";
import type { Signature } from "../savedmodel/signature.ts";
import type { Classifications } from "./classifications.ts";
import { checkExampleInput, type ExampleVerb, exampleFunction, typeName, unfit } from "./examples.ts";
import { classifyResponse } from "./grpc/response-messages.ts";
import { invalidArgument } from "./status.ts";

const CLASSES = "classes";
const SCORES = "scores";

/** Signatures with the outputs `classes`, `scores` or both, `[batch, number of classes]`. */
export const classification: ExampleVerb<Classifications> = {
  outputsOf: (signature) => {
    checkSignature(signature);
    return [CLASSES, SCORES].filter((name) => signature.outputs.has(name));
  },
  answer: classificationsOf,
  kind: "classify",
  response: classifyResponse,
};

export const classify = exampleFunction(classification);

function checkSignature(signature: Signature): void {
  const { inputs, outputs } = signature;
  if (inputs.size !== 1) throw invalidArgument("Expected one input Tensor.");
  if (outputs.size !== 1 && outputs.size !== 2) {
    throw invalidArgument(`Expected one or two output Tensors, found ${outputs.size}`);
  }
  checkExampleInput(signature, "classification");
  if (outputs.has(CLASSES) || outputs.has(SCORES)) return;
  throw unfit(
    `Expected classification signature outputs to contain at least one of "${CLASSES}" or "${SCORES}". ` +
      "Signature was: ",
    signature,
  );
}

function checkScored(value: Tensor | undefined, name: string, wanted: Tensor["dtype"], batch: number): void {
  if (value === undefined) return;
  const { dtype, shape } = value;
  if (shape.length !== 2) {
    throw invalidArgument(`Expected Tensor shape: [batch_size num_classes] but got [${shape.join(",")}]`);
  }
  if (dtype !== wanted) {
    const type = DataType[dataTypeOf(wanted)];
    throw invalidArgument(`Expected ${name} Tensor of ${type}. Got: ${typeName(value)}`);
  }
  if (shape[0] !== batch) {
    throw invalidArgument(`Expected ${name} output batch size of ${batch}. Got: ${shape[0]}`);
  }
}

function classificationsOf(outputs: TensorMap, batch: number): Classifications {
  const [classes, scores] = [outputs.get(CLASSES), outputs.get(SCORES)];
  checkScored(classes, CLASSES, "string", batch);
  checkScored(scores, SCORES, "float32", batch);
  const count = (scores ?? classes)!.shape[1]!;
  if (classes !== undefined && classes.shape[1] !== count) {
    throw invalidArgument(
      `Tensors class and score should match in dim_size(1). Got ${classes.shape[1]} vs. ${count}`,
    );
  }
  const labels = classes?.data as readonly Uint8Array[] | undefined;
  const values = scores?.data as Float32Array | undefined;
  return { method: "classify", batch, count, labels, scores: values };
}
