/** @file Writes the warm-up file: requests that a server sends to a new model before clients do. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { sizeOf } from "../../base/tensor.ts";
import type { TensorProtoSchema } from "../../proto/tensorflow/tensor_pb.ts";
import { PredictionLogSchema } from "../../proto/tensorflow_serving/prediction_service_pb.ts";
import { dataTypeOf } from "./tensor-proto.ts";
import { writeRecords } from "./tfrecord.ts";

/** Where TensorFlow Serving looks for it within a version's folder. */
export const WARMUP_FILE = "assets.extra/tf_serving_warmup_requests";

/** Records that a server takes of one file, as in TensorFlow Serving. */
export const MOST_WARMUP_RECORDS = 1000;

/** One input of a request: the same number everywhere, or files as strings. */
export type WarmupInput =
  | { readonly shape: readonly number[]; readonly fill: number }
  | { readonly files: readonly Uint8Array[] };

/** A request to one signature. */
export interface WarmupRequest {
  readonly signature: string;
  readonly inputs: Readonly<Record<string, WarmupInput>>;
}

const sides = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size: BigInt(size) })) });

function tensorProto(input: WarmupInput): MessageInitShape<typeof TensorProtoSchema> {
  if ("files" in input) {
    const { files } = input;
    return { dtype: dataTypeOf("string"), tensorShape: sides([files.length]), stringVal: [...files] };
  }
  // A list that is shorter than the tensor repeats its last value.
  const floatVal = sizeOf(input.shape) === 0 ? [] : [input.fill];
  return { dtype: dataTypeOf("float32"), tensorShape: sides(input.shape), floatVal };
}

/** The content of a warm-up file: a TFRecord file of prediction logs. */
export function warmupFile(modelName: string, requests: readonly WarmupRequest[]): Uint8Array {
  const records = requests.map(({ signature, inputs }) => {
    const request = {
      modelSpec: { name: modelName, signatureName: signature },
      inputs: Object.fromEntries(Object.entries(inputs).map(([alias, input]) => [alias, tensorProto(input)])),
    };
    const log = create(PredictionLogSchema, { logType: { case: "predictLog", value: { request } } });
    return toBinary(PredictionLogSchema, log);
  });
  return writeRecords(records);
}
