/** @file The numbers that ONNX gives to element types. */
import type { DType } from "../base/tensor.ts";

/** `TensorProto.DataType` of the ONNX format. */
export const ONNX_TYPE: { readonly [D in DType]: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const BY_NUMBER = new Map(Object.entries(ONNX_TYPE).map(([dtype, number]) => [number, dtype as DType]));

/** The element type with an ONNX number; undefined for types that we do not have. */
export function dtypeOfOnnx(number: number): DType | undefined {
  return BY_NUMBER.get(number);
}
