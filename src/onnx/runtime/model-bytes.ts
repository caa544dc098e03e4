/** @file The bytes of an ONNX model, written once: large tensors go straight to their place, with no copies of copies. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  bytesOf,
  bytesPerElement,
  type NumericDType,
  type Shape,
  sizeOf,
  type Tensor,
} from "../../base/tensor.ts";
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  TensorProtoSchema,
} from "../../proto/onnx/onnx_pb.ts";
import { ONNX_TYPE } from "../dtypes.ts";

/** A tensor of the model, whose elements are asked for only when they are written. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: NumericDType;
  readonly shape: Shape;
  readonly elements: () => Tensor<NumericDType>;
}

/** Tags of the fields that are written here: the field's number, and "bytes follow, after their length". */
const tag = (field: number) => field * 8 + 2;
const MODEL_GRAPH = tag(7);
const GRAPH_INITIALIZER = tag(5);
const TENSOR_RAW_DATA = tag(9);

/** A whole number, seven bits a byte, lowest first. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

/** A field's tag and length. */
const head = (fieldTag: number, length: number) => Uint8Array.from([fieldTag, ...varint(length)]);

/** What stands before a tensor's elements, and how many bytes these take. */
function tensorFrame({ name, dtype, shape }: StoredTensor): { before: Uint8Array; size: number } {
  const proto = create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: ONNX_TYPE[dtype] });
  const size = sizeOf(shape) * bytesPerElement(dtype);
  const fields = Buffer.concat([toBinary(TensorProtoSchema, proto), head(TENSOR_RAW_DATA, size)]);
  return { before: Buffer.concat([head(GRAPH_INITIALIZER, fields.length + size), fields]), size };
}

/**
 * Writes a model.
 * @param model all of it but the graph
 * @param graph all of it but the tensors
 */
export function modelBytes(
  model: ModelProto,
  graph: GraphProto,
  tensors: readonly StoredTensor[],
): Uint8Array {
  const [modelFields, graphFields] = [toBinary(ModelProtoSchema, model), toBinary(GraphProtoSchema, graph)];
  const frames = tensors.map(tensorFrame);
  const graphSize = frames.reduce((sum, { before, size }) => sum + before.length + size, graphFields.length);
  const graphHead = head(MODEL_GRAPH, graphSize);
  const { buffer, byteOffset, length } = Buffer.allocUnsafeSlow(
    modelFields.length + graphHead.length + graphSize,
  );
  const bytes = new Uint8Array(buffer, byteOffset, length);
  let at = 0;
  const put = (piece: Uint8Array) => {
    bytes.set(piece, at);
    at += piece.length;
  };
  for (const piece of [modelFields, graphHead, graphFields]) put(piece);
  for (const [i, tensor] of tensors.entries()) {
    put(frames[i]!.before);
    put(bytesOf(tensor.elements()));
  }
  return bytes;
}
