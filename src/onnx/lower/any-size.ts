/** @file A lowered network of images takes images of any size. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ModelProtoSchema,
  TensorShapeProto_DimensionSchema,
  type ValueInfoProto,
} from "../../proto/onnx/onnx_pb.ts";

/** Height and width among the axes of an image, which the runtime has after the channels. */
const SIDES = [2, 3] as const;

function freeSides({ name, type }: ValueInfoProto): void {
  const tensor = type?.value.case === "tensorType" ? type.value.value : undefined;
  for (const axis of SIDES) {
    const free = { case: "dimParam", value: `${name}/${axis === 2 ? "height" : "width"}` } as const;
    if (tensor?.shape?.dim[axis] !== undefined) {
      tensor.shape.dim[axis] = create(TensorShapeProto_DimensionSchema, { value: free });
    }
  }
}

/**
 * Frees the height and width of a model's images, and forgets the shapes of its outputs.
 * @param bytes a model of which no operator but the ends says a size: its reshapings leave one side open, and it resizes
 *   by factors. It was lowered for one size, and a size that its pools and strides divide gives the same bits as if it had
 *   been lowered for that one.
 */
export function forAnySize(bytes: Uint8Array): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  for (const input of model.graph!.input) freeSides(input);
  for (const { type } of model.graph!.output) {
    if (type?.value.case === "tensorType") delete type.value.value.shape;
  }
  return toBinary(ModelProtoSchema, model);
}
