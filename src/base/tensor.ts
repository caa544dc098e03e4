/** @file Tensors: element types, arrays and shapes, the values that all rooms exchange. The room `base/` is what every
 * room may use: tensors, errors, files, downloads, archives, random numbers, the log, worker threads and limits. It knows
 * no other room.
 */
import { FaceError } from "./errors.ts";

/** What each element type is kept in. `bool` is 0 or 1; 16-bit floats are their raw bits; a string is its bytes. */
const ARRAYS = {
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
} as const;

/** Element types that live in a typed array, which is all but `string`. */
export type NumericDType = keyof typeof ARRAYS;
export type DType = NumericDType | "string";
/** The elements of a tensor of each type. */
export type DTypeData = { [D in NumericDType]: (typeof ARRAYS)[D]["prototype"] } & {
  string: readonly Uint8Array[];
};

interface ArrayConstructor<D extends NumericDType> {
  new (length: number): DTypeData[D];
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): DTypeData[D];
  readonly BYTES_PER_ELEMENT: number;
}

/** The typed array class of an element type. */
export function arrayOf<D extends NumericDType>(dtype: D): ArrayConstructor<D> {
  return ARRAYS[dtype] as unknown as ArrayConstructor<D>;
}

/** Bytes of one element. */
export function bytesPerElement(dtype: NumericDType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Whether a type is a float, so that it can be differentiated. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16" || dtype === "bfloat16";
}

/** Sides of a tensor, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const side of shape) size *= side;
  return size;
}

/** Elements to skip for one step along each axis, row-major. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((side, axis) => side === b[axis]);
}

/** `[2, 112, 112, 3]` as people write it. */
export function shapeText(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/** An element type, a shape and the elements in row-major order. Nobody changes a tensor that others have. */
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
  const wrong = shape.find((side) => !(Number.isSafeInteger(side) && side >= 0));
  if (wrong !== undefined) {
    throw new FaceError("SHAPE_MISMATCH", `a side of a tensor: got ${wrong}, expected a whole number from 0`);
  }
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
 * @throws FaceError `INTERNAL` for any other type.
 */
export function floats(value: Tensor): Float32Array {
  if (hasDType(value, "float32")) return value.data;
  throw new FaceError("INTERNAL", `internal: expected a float32 tensor, got ${value.dtype}`);
}

/** The elements as little-endian bytes, without copying. */
export function bytesOf(value: Tensor<NumericDType>): Uint8Array {
  return new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
}

/**
 * The number of elements of a shape, which these bytes fill.
 * @throws FaceError `SHAPE_MISMATCH` when they do not.
 */
export function filledSize(dtype: NumericDType, shape: Shape, { byteLength }: Uint8Array): number {
  const size = sizeOf(shape);
  const wanted = size * bytesPerElement(dtype);
  if (byteLength === wanted) return size;
  throw new FaceError(
    "SHAPE_MISMATCH",
    `a ${dtype} tensor of shape ${shapeText(shape)} takes ${wanted} bytes, got ${byteLength}`,
  );
}

/** Elements read from little-endian bytes; copies only when the bytes are not aligned for the type. */
export function fromBytes<D extends NumericDType>(dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D> {
  const size = filledSize(dtype, shape, bytes);
  // Not `slice`, which does not copy when the bytes are a Buffer.
  const aligned = bytes.byteOffset % bytesPerElement(dtype) === 0 ? bytes : new Uint8Array(bytes);
  const Elements = arrayOf(dtype);
  return { dtype, shape, data: new Elements(aligned.buffer, aligned.byteOffset, size) };
}

/**
 * One tensor over the rows of several. Code that copies the elements anyway, to another thread, reads `parts`; all other
 * code reads `data`, which is materialized at the first read.
 */
export class ConcatenatedView implements Tensor {
  readonly dtype: NumericDType;
  readonly shape: Shape;
  readonly parts: readonly Tensor[];
  #data: Float32Array | undefined;

  /** @param parts of one element type, filling the shape one after the other. */
  constructor(dtype: NumericDType, shape: Shape, parts: readonly Tensor[]) {
    this.dtype = dtype;
    this.shape = shape;
    this.parts = parts;
  }

  get data(): Float32Array {
    this.#data ??= this.#materialize();
    return this.#data;
  }

  #materialize(): Float32Array {
    const size = this.parts.reduce((sum, { data }) => sum + data.length, 0);
    const whole = new (arrayOf(this.dtype))(size) as Float32Array;
    let at = 0;
    for (const { data } of this.parts) {
      whole.set(data as Float32Array, at);
      at += data.length;
    }
    return whole;
  }
}

/** A tensor of plain fields that can be sent to a thread; a concatenated view is copied into one array. */
export const materialize = ({ dtype, shape, data }: Tensor): Tensor => ({ dtype, shape, data }) as Tensor;

/** Whether a tensor lies in memory that threads share, all of it. */
export const isShared = (value: Tensor): boolean =>
  partsOf(value).every(({ data }) => ArrayBuffer.isView(data) && data.buffer instanceof SharedArrayBuffer);

/** The tensors that a view is made of; any other tensor is its own only part. */
export const partsOf = (value: Tensor): readonly Tensor[] =>
  value instanceof ConcatenatedView ? value.parts : [value];

/** The memory of tensors, to move it to another thread. Shared memory, which need not move, is left out. */
export function buffersOf(tensors: Iterable<Tensor>): ArrayBuffer[] {
  const buffers = [...tensors].map(({ data }) => (ArrayBuffer.isView(data) ? data.buffer : undefined));
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
}
