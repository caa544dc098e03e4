/** @file Converts tensors from and to TensorProto, and element types from and to TensorFlow's. */
import { create } from "@bufbuild/protobuf";
import { FaceError, messageOf } from "../../base/errors.ts";
import type { DType, DTypeData, NumericDType, Shape, Tensor } from "../../base/tensor.ts";
import { arrayOf, bytesOf, bytesPerElement, fromBytes, shapeText } from "../../base/tensor.ts";
import { DataType, type TensorProto, TensorProtoSchema } from "../../proto/tensorflow/tensor_pb.ts";

/** TensorFlow's number for each element type, and the list that holds its values outside of `tensor_content`. */
const TYPES = {
  float32: [DataType.DT_FLOAT, "floatVal"],
  float64: [DataType.DT_DOUBLE, "doubleVal"],
  float16: [DataType.DT_HALF, "halfVal"],
  bfloat16: [DataType.DT_BFLOAT16, "halfVal"],
  int8: [DataType.DT_INT8, "intVal"],
  int16: [DataType.DT_INT16, "intVal"],
  int32: [DataType.DT_INT32, "intVal"],
  int64: [DataType.DT_INT64, "int64Val"],
  uint8: [DataType.DT_UINT8, "intVal"],
  uint16: [DataType.DT_UINT16, "intVal"],
  uint32: [DataType.DT_UINT32, "uint32Val"],
  uint64: [DataType.DT_UINT64, "uint64Val"],
  bool: [DataType.DT_BOOL, "boolVal"],
  string: [DataType.DT_STRING, "stringVal"],
} as const satisfies { readonly [D in DType]: readonly [DataType, keyof TensorProto] };

const DTYPES = new Map<DataType, DType>(
  Object.entries(TYPES).map(([dtype, [dataType]]) => [dataType, dtype as DType]),
);

/** TensorFlow adds this to an element type for references to variables. */
const REFERENCE_OFFSET = 100;

/** TensorFlow's number for an element type. */
export function dataTypeOf(dtype: DType): DataType {
  return TYPES[dtype][0];
}

/** The element type for TensorFlow's number, references included; `undefined` for types that we lack. */
export function dtypeOf(dataType: DataType): DType | undefined {
  return DTYPES.get(dataType > REFERENCE_OFFSET ? dataType - REFERENCE_OFFSET : dataType);
}

const SHORT_NAMES: Partial<Record<DataType, string>> = {
  [DataType.DT_INVALID]: "INVALID",
  [DataType.DT_FLOAT]: "float",
  [DataType.DT_DOUBLE]: "double",
};

/** An element type as TensorFlow writes it in messages: `float`, `int32`, `string`, `half`. */
export function dataTypeText(dataType: DataType): string {
  const name: string | undefined = DataType[dataType];
  return (
    SHORT_NAMES[dataType] ?? name?.replace(/^DT_/, "").toLowerCase() ?? `unknown dtype enum (${dataType})`
  );
}

/** Limits for tensors that come from outside. */
export interface TensorLimits {
  /** Largest memory one tensor may take: a shape can claim far more than the message holds. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 2 ** 32;

function invalid(message: string): FaceError {
  return new FaceError("SHAPE_MISMATCH", message);
}

function shapeOf(proto: TensorProto, width: number, limits: TensorLimits): Shape {
  if (proto.tensorShape?.unknownRank) throw invalid("a tensor needs a shape, got one of unknown rank");
  const shape = (proto.tensorShape?.dim ?? []).map((dim) => Number(dim.size));
  const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
  if (shape.some((side) => side < 0)) throw invalid(`a tensor needs known sides, got ${shapeText(shape)}`);
  const misfit = emptyMisfit(shape);
  if (misfit !== undefined) throw invalid(misfit);
  if (!shape.includes(0) && filledSize(shape) * width > maxBytes) {
    throw invalid(`a tensor of shape ${shapeText(shape)} is larger than the limit of ${maxBytes} bytes`);
  }
  return shape;
}

/**
 * The most elements of a tensor without elements, were its empty sides one long: a sum over an empty side has that many, so that a
 * few bytes would otherwise ask for any memory.
 */
const MOST_EMPTY = 33_554_432;

const filledSize = (shape: Shape) => shape.reduce((product, side) => product * (side || 1), 1);

/** Why a shape without elements is refused; undefined where it is not. */
export const emptyMisfit = (shape: Shape): string | undefined =>
  shape.includes(0) && filledSize(shape) > MOST_EMPTY
    ? `a tensor of shape ${shapeText(shape)} has no elements, but its other sides make more than ${MOST_EMPTY}`
    : undefined;

/** Fills `size` elements from a list; a shorter list repeats its last value, the rest of a longer one is ignored. */
function spread<D extends NumericDType>(
  dtype: D,
  size: number,
  values: readonly (number | bigint | boolean)[],
): DTypeData[D] {
  const data = new (arrayOf(dtype))(size);
  const given = Math.min(size, values.length);
  const target = data as unknown as { [index: number]: number | bigint };
  for (let i = 0; i < given; i++) {
    const value = values[i]!;
    target[i] = typeof value === "boolean" ? Number(value) : value;
  }
  if (given > 0 && given < size) (data as Uint8Array).fill(target[given - 1] as number, given);
  return data;
}

/** Strings in `tensor_content`: the length of each as a varint, then all their bytes. */
export function stringsFromContent(content: Uint8Array, size: number): Uint8Array[] {
  const lengths: number[] = [];
  let at = 0;
  while (lengths.length < size) {
    let length = 0;
    let scale = 1;
    let byte: number;
    do {
      if (at >= content.length) throw invalid("a string tensor's content ends too early");
      byte = content[at++]!;
      length += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    lengths.push(length);
  }
  const strings = lengths.map((length) => {
    at += length;
    return content.subarray(at - length, at);
  });
  if (at !== content.length)
    throw invalid(`a string tensor's content takes ${at} bytes, got ${content.length}`);
  return strings;
}

function stringsFrom(proto: TensorProto, size: number): Uint8Array[] {
  if (proto.tensorContent.length > 0) return stringsFromContent(proto.tensorContent, size);
  const values = proto.stringVal;
  const last = values.at(-1) ?? new Uint8Array(0);
  return Array.from({ length: size }, (_, index) => values[index] ?? last);
}

/** Makes tensors from packed bytes. */
export interface TensorMaker {
  /** @throws FaceError `SHAPE_MISMATCH` when the bytes do not fill the shape. */
  fromBytes<D extends NumericDType>(dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D>;
}

/**
 * Type, shape and number of elements.
 * @throws FaceError `SHAPE_MISMATCH` for an unsupported element type, a bad shape or one beyond the limits.
 */
export function tensorHead(
  proto: TensorProto,
  limits: TensorLimits = {},
): { readonly dtype: DType; readonly shape: Shape; readonly size: number } {
  const dtype = DTYPES.get(proto.dtype);
  if (dtype === undefined) throw invalid(`cannot read tensors of type ${dataTypeText(proto.dtype)}`);
  const stringHeaderBytes = 16;
  const shape = shapeOf(proto, dtype === "string" ? stringHeaderBytes : bytesPerElement(dtype), limits);
  return { dtype, shape, size: shape.includes(0) ? 0 : filledSize(shape) };
}

/**
 * Reads a tensor in any of TensorFlow's encodings: packed bytes, or a list of values that is repeated or cut to fit.
 * @param maker makes tensors from bytes; by default aligned `tensor_content` is used in place.
 * @throws FaceError `SHAPE_MISMATCH` for an unsupported element type, a bad shape or a wrong length.
 */
export function tensorFromProto(
  proto: TensorProto,
  limits: TensorLimits = {},
  maker: TensorMaker = { fromBytes },
): Tensor {
  const { dtype, shape, size } = tensorHead(proto, limits);
  if (dtype === "string") return { dtype, shape, data: stringsFrom(proto, size) };
  if (proto.tensorContent.length > 0) return maker.fromBytes(dtype, shape, proto.tensorContent);
  return { dtype, shape, data: spread(dtype, size, proto[TYPES[dtype][1]]) };
}

/**
 * Reads a tensor out of a model's file.
 * @param place its name, for errors
 * @throws FaceError `MODEL_INVALID`.
 */
export function storedTensor(proto: TensorProto, place: string, limits: TensorLimits = {}): Tensor {
  try {
    return tensorFromProto(proto, limits);
  } catch (error) {
    throw new FaceError("MODEL_INVALID", `${place}: ${messageOf(error)}`, { cause: error });
  }
}

/** How to write a tensor. */
export interface TensorWriting {
  /** Packed bytes instead of a list of values; strings are always a list. */
  readonly asContent?: boolean;
}

function valuesOf(value: Tensor<NumericDType>): unknown[] {
  if (value.dtype === "bool") return Array.from(value.data as Uint8Array, Boolean);
  return Array.from<number | bigint>(value.data as Float32Array);
}

/** Writes a tensor with every value written out, or as packed bytes. */
export function tensorToProto(value: Tensor, { asContent = false }: TensorWriting = {}): TensorProto {
  const proto = create(TensorProtoSchema, {
    dtype: dataTypeOf(value.dtype),
    tensorShape: { dim: value.shape.map((side) => ({ size: BigInt(side) })) },
  });
  if (value.dtype === "string") {
    proto.stringVal = [...(value.data as readonly Uint8Array[])];
  } else if (asContent) {
    proto.tensorContent = bytesOf(value as Tensor<NumericDType>);
  } else {
    const lists = proto as unknown as Record<string, unknown[]>;
    lists[TYPES[value.dtype][1]] = valuesOf(value as Tensor<NumericDType>);
  }
  return proto;
}
