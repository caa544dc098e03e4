/** @file Element types of tensors and the arrays that hold them. */

/** What each element type is kept in. `bool` is 0 or 1; 16-bit floats are their raw bits; a string is its bytes. */
export interface DTypeData {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
  string: readonly Uint8Array[];
}

export type DType = keyof DTypeData;
/** Element types that live in a typed array, which is all but `string`. */
export type NumericDType = Exclude<DType, "string">;

type ArrayConstructor<D extends NumericDType> = {
  new (length: number): DTypeData[D];
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): DTypeData[D];
  readonly BYTES_PER_ELEMENT: number;
};

const ARRAYS: { readonly [D in NumericDType]: ArrayConstructor<D> } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** The typed array class of an element type. */
export function arrayOf<D extends NumericDType>(dtype: D): ArrayConstructor<D> {
  return ARRAYS[dtype];
}

/** Bytes of one element. */
export function bytesPerElement(dtype: NumericDType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Whether differentiation makes sense for this type. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16" || dtype === "bfloat16";
}
