/** @file Conversion between tensors of any element type and plain numbers. */
import { FaceError } from "../base/errors.ts";
import { arrayOf, type DType, type NumericDType, type Shape, sizeOf, type Tensor } from "../base/tensor.ts";

/** An array whose elements are read and written by index. */
export interface Elements<T> {
  readonly length: number;
  [index: number]: T;
}

/** The element types whose elements are bigints, so that whole numbers stay exact beyond 2^53. */
export type BigIntDType = "int64" | "uint64";

export function isBigInt(dtype: DType): dtype is BigIntDType {
  return dtype === "int64" || dtype === "uint64";
}

/** @throws FaceError `MODEL_UNSUPPORTED` for strings, which only a reshape accepts. */
export function numericDType(dtype: DType): NumericDType {
  if (dtype !== "string") return dtype;
  throw new FaceError("MODEL_UNSUPPORTED", "a graph cannot compute with strings");
}

/** Zeros of any numeric type. */
export function allocate(dtype: DType, shape: Shape): Tensor<NumericDType> {
  const numeric = numericDType(dtype);
  return { dtype: numeric, shape, data: new (arrayOf(numeric))(sizeOf(shape)) };
}

/** The larger of two bigints, which `Math.max` does not take. */
export function larger(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

/** The smaller of two bigints. */
export function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

const FLOAT16_SUBNORMAL = 2 ** -24;

/** The number that the bits of an IEEE 754 half encode. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * FLOAT16_SUBNORMAL;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let float16Values: Float32Array | undefined;

/** The numbers of many halves, by a table of all 65,536. */
function float16Numbers(bits: Uint16Array): Float32Array {
  float16Values ??= Float32Array.from({ length: 1 << 16 }, (_, each) => float16Value(each));
  const numbers = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) numbers[i] = float16Values[bits[i]!]!;
  return numbers;
}

/** A number rounded to the nearest integer, halves to even. */
export function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const over = value - below;
  if (over !== 0.5) return over < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** The bits of the half nearest to a number, ties to even. */
function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundHalfToEven(size / FLOAT16_SUBNORMAL);
  const exponent = Math.floor(Math.log2(size));
  // A fraction rounded up to 1024 correctly carries into the exponent.
  return sign | (((exponent + 15) << 10) + roundHalfToEven((size / 2 ** exponent - 1) * 1024));
}

const word = new DataView(new ArrayBuffer(4));

function bfloat16Value(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

function bfloat16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  word.setFloat32(0, value);
  const bits = word.getUint32(0);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** A number rounded towards zero; NaN and infinities become 0. */
function wholeNumber(value: number): bigint {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
}

/** The elements as numbers, without a copy where possible; 64-bit integers are rounded beyond 2^53. */
export function numbersOf({ dtype, data }: Tensor): Elements<number> {
  if (dtype === "float16") return float16Numbers(data as Uint16Array);
  if (dtype === "bfloat16") return Float64Array.from(data as Uint16Array, bfloat16Value);
  if (isBigInt(dtype)) return Float64Array.from(data as BigInt64Array | BigUint64Array, Number);
  numericDType(dtype);
  return data as Elements<number>;
}

/**
 * A tensor from numbers: floats are rounded to nearest, integers are truncated and wrap around, any number but 0 is true.
 */
export function fromNumbers(dtype: DType, shape: Shape, numbers: ArrayLike<number>): Tensor<NumericDType> {
  const result = allocate(dtype, shape);
  const { data } = result;
  const put = (convert: (value: number) => number | bigint) => {
    const elements = data as Elements<number | bigint>;
    for (let i = 0; i < data.length; i++) elements[i] = convert(numbers[i]!);
  };
  if (dtype === "float16") put(float16Bits);
  else if (dtype === "bfloat16") put(bfloat16Bits);
  else if (dtype === "bool") put((value) => (value === 0 ? 0 : 1));
  else if (isBigInt(dtype)) put(wholeNumber);
  else (data as Float32Array).set(numbers);
  return result;
}

/** A tensor whose elements `write` sets as numbers, which are rounded to the type; bools are written as 0 and 1. */
export function tensorOf(
  dtype: DType,
  shape: Shape,
  write: (out: Elements<number>) => void,
): Tensor<NumericDType> {
  if (["float16", "bfloat16", "int64", "uint64"].includes(dtype)) {
    const exact = new Float64Array(sizeOf(shape));
    write(exact);
    return fromNumbers(dtype, shape, exact);
  }
  const result = allocate(dtype, shape);
  write(result.data as Elements<number>);
  return result;
}
