/** @file The answers of PredictionService as bytes, without an object for each value. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { TensorMap } from "../../base/tensor.ts";
import { type ModelSpec, ModelSpecSchema } from "../../proto/tensorflow_serving/model_pb.ts";
import {
  ClassificationResponseSchema,
  MultiInferenceResponseSchema,
  RegressionResponseSchema,
} from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { type Classifications, classesOf } from "../classifications.ts";
import type { Regressions } from "../regress.ts";
import type { Answered } from "../repository/catalog.ts";
import { tensorMessage } from "./tensor-message.ts";
import { blockSize, WireType, WireWriter } from "./wire.ts";

/** Model, version and signature that answered. */
export function answeredSpec({ name, version, signatureName }: Answered): ModelSpec {
  return create(ModelSpecSchema, {
    name,
    signatureName,
    versionChoice: { case: "version", value: { value: version } },
  });
}

/** A PredictResponse. @param asContent packed bytes instead of lists. */
export function predictResponse(outputs: TensorMap, answered: Answered, asContent: boolean): Uint8Array {
  const spec = toBinary(ModelSpecSchema, answeredSpec(answered));
  const entries = [...outputs].map(([name, value]) => {
    const key = Buffer.from(name);
    const tensor = tensorMessage(value, asContent);
    return { key, tensor, size: blockSize(1, key.length) + blockSize(2, tensor.length) };
  });
  const size = entries.reduce((sum, entry) => sum + blockSize(1, entry.size), blockSize(2, spec.length));
  const writer = new WireWriter(size);
  for (const entry of entries) {
    writer.tag(1, WireType.bytes);
    writer.varint(entry.size);
    writer.block(1, entry.key);
    writer.block(2, entry.tensor);
  }
  writer.block(2, spec);
  return writer.bytes;
}

const classificationResult = (answer: Classifications) => ({
  classifications: Array.from({ length: answer.batch }, (_, row) => ({ classes: classesOf(answer, row) })),
});

const regressionResult = ({ values }: Regressions) => ({
  regressions: Array.from(values, (value) => ({ value })),
});

/** A ClassificationResponse. */
export function classifyResponse(answer: Answered & Classifications): Uint8Array {
  const init = { modelSpec: answeredSpec(answer), result: classificationResult(answer) };
  return toBinary(ClassificationResponseSchema, create(ClassificationResponseSchema, init));
}

/** A RegressionResponse. */
export function regressResponse(answer: Answered & Regressions): Uint8Array {
  const init = { modelSpec: answeredSpec(answer), result: regressionResult(answer) };
  return toBinary(RegressionResponseSchema, create(RegressionResponseSchema, init));
}

/** A MultiInferenceResponse. */
export function multiInferenceResponse(
  answers: readonly (Answered & (Classifications | Regressions))[],
): Uint8Array {
  const response = create(MultiInferenceResponseSchema, {
    results: answers.map((answer) => ({
      modelSpec: answeredSpec(answer),
      result:
        answer.method === "classify"
          ? { case: "classificationResult" as const, value: classificationResult(answer) }
          : { case: "regressionResult" as const, value: regressionResult(answer) },
    })),
  });
  return toBinary(MultiInferenceResponseSchema, response);
}
