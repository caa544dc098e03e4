/** @file The value that travels between all rooms: an element type, a shape and the elements, row-major. */
import { arrayOf, bytesPerElement, type DType, type DTypeData, type NumericDType } from "./dtype.ts";
import { FaceError } from "./errors.ts";
import { type Shape, shapeText, sizeOf } from "./shape.ts";

/** An element type, a shape and the elements in row-major order. Treated as immutable once it is handed on. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: DTypeData[D];
}

/** Named tensors: a model's weights, a request's inputs, a run's outputs. */
export type TensorMap = ReadonlyMap<string, Tensor>;

/**
 * Makes a tensor and checks that the elements fill the shape.
 * @throws FaceError `SHAPE_MISMATCH` when they do not.
 */
export function tensor<D extends DType>(dtype: D, shape: Shape, data: DTypeData[D]): Tensor<D> {
  if (data.length !== sizeOf(shape)) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `a ${dtype} tensor of shape ${shapeText(shape)} holds ${sizeOf(shape)} elements, got ${data.length}`,
    );
  }
  return { dtype, shape, data };
}

/** A float32 tensor from plain numbers. */
export function float32(shape: Shape, values: ArrayLike<number>): Tensor<"float32"> {
  return tensor("float32", shape, values instanceof Float32Array ? values : Float32Array.from(values));
}

/** An int64 tensor from plain numbers. */
export function int64(shape: Shape, values: ArrayLike<number>): Tensor<"int64"> {
  return tensor("int64", shape, BigInt64Array.from(Array.from(values, (value) => BigInt(value))));
}

/** A tensor of zeros. */
export function zeros<D extends NumericDType>(dtype: D, shape: Shape): Tensor<D> {
  const Elements = arrayOf(dtype);
  return { dtype, shape, data: new Elements(sizeOf(shape)) };
}

/** Whether a tensor has this element type; narrows it. */
export function hasDType<D extends DType>(value: Tensor, dtype: D): value is Tensor<D> {
  return value.dtype === dtype;
}

/**
 * The elements of a float32 tensor.
 * @throws FaceError `INTERNAL` for any other type: a tensor of the wrong kind got past the edge where it is checked.
 */
export function floats(value: Tensor): Float32Array {
  if (hasDType(value, "float32")) return value.data;
  throw new FaceError("INTERNAL", `internal: expected a float32 tensor, got ${value.dtype}`);
}

/** The elements as little-endian bytes, without copying. */
export function bytesOf(value: Tensor<NumericDType>): Uint8Array {
  return new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
}

/** Elements read from little-endian bytes; copies only when the bytes are not aligned for the type. */
export function fromBytes<D extends NumericDType>(dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D> {
  const width = bytesPerElement(dtype);
  const size = sizeOf(shape);
  if (bytes.byteLength !== size * width) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `a ${dtype} tensor of shape ${shapeText(shape)} takes ${size * width} bytes, got ${bytes.byteLength}`,
    );
  }
  // Not `slice`, which does not copy when the bytes are a Buffer.
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  const Elements = arrayOf(dtype);
  return { dtype, shape, data: new Elements(aligned.buffer, aligned.byteOffset, size) };
}
