/** @file Tensors of the Open Inference Protocol: the names of element types, shapes, and elements as raw bytes. */
import { bytesOf, type DType, type NumericDType, type Tensor } from "../../base/tensor.ts";
import { emptyMisfit } from "../../savedmodel/format/tensor-proto.ts";
import { MOST_STRINGS, tooManyStrings } from "../json/values.ts";
import type { TensorMemory } from "../request-memory.ts";
import { invalidArgument } from "../status.ts";

/** The protocol's name of each element type. */
export const DATATYPES: { readonly [D in DType]: string } = {
  float32: "FP32",
  float64: "FP64",
  float16: "FP16",
  bfloat16: "BF16",
  int8: "INT8",
  int16: "INT16",
  int32: "INT32",
  int64: "INT64",
  uint8: "UINT8",
  uint16: "UINT16",
  uint32: "UINT32",
  uint64: "UINT64",
  bool: "BOOL",
  string: "BYTES",
};

const BY_DATATYPE = new Map(Object.entries(DATATYPES).map(([dtype, name]) => [name, dtype as DType]));

/** @throws StatusError `INVALID_ARGUMENT` for a name that the protocol does not have. */
export function dtypeNamed(input: string, datatype: string): DType {
  const dtype = BY_DATATYPE.get(datatype);
  if (dtype !== undefined) return dtype;
  const known = [...BY_DATATYPE.keys()].join(", ");
  throw invalidArgument(`input "${input}" has datatype "${datatype}"; the protocol has ${known}`);
}

/** Parameters of extensions that the server does not have, and that change what a request means. */
const UNSUPPORTED = /^(?:classification|shared_memory_.*|sequence_.*)$/;

/** @throws StatusError `INVALID_ARGUMENT`. */
export function checkParameters(names: Iterable<string>): void {
  for (const name of names) {
    if (UNSUPPORTED.test(name)) throw invalidArgument(`the parameter "${name}" is not supported`);
  }
}

/** As in TensorFlow. */
const MOST_AXES = 254;

/**
 * The number of elements of a shape that a client sends.
 * @throws StatusError `INVALID_ARGUMENT` for sides that are no whole numbers of at least 0, and for too many of them.
 */
export function checkedSize(input: string, shape: readonly number[]): number {
  const text = `input "${input}" has shape [${shape.slice(0, 8).join(", ")}${shape.length > 8 ? ", …" : ""}]`;
  if (shape.length > MOST_AXES) throw invalidArgument(`${text}: at most ${MOST_AXES} axes are supported`);
  if (!shape.every((side) => Number.isSafeInteger(side) && side >= 0)) {
    throw invalidArgument(`${text}: sides are whole numbers of at least 0`);
  }
  const misfit = emptyMisfit(shape);
  if (misfit !== undefined) throw invalidArgument(`input "${input}": ${misfit}`);
  const size = shape.includes(0) ? 0 : shape.reduce((product, side) => product * side, 1);
  if (!Number.isSafeInteger(size)) throw invalidArgument(`${text}: it has too many elements`);
  return size;
}

/** The error for another number of elements than the shape has. */
export function wrongCount(input: string, size: number, given: number | string): Error {
  return invalidArgument(`input "${input}" has a shape of ${size} elements, but ${given} were sent`);
}

/** Bytes of a string's length in front of it. */
const LENGTH_BYTES = 4;

/**
 * Strings as raw bytes: each after its length, 32 bits, little-endian.
 * @throws StatusError `INVALID_ARGUMENT` when they are not exactly `size`, `RESOURCE_EXHAUSTED` for very many.
 */
export function rawStrings(input: string, raw: Uint8Array, size: number): Uint8Array[] {
  if (size > MOST_STRINGS) throw tooManyStrings();
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const strings: Uint8Array[] = [];
  let at = 0;
  while (at < raw.length && strings.length < size) {
    const start = at + LENGTH_BYTES;
    const end = start > raw.length ? Number.POSITIVE_INFINITY : start + view.getUint32(at, true);
    if (end > raw.length) throw invalidArgument(`input "${input}" ends inside its string ${strings.length}`);
    strings.push(raw.slice(start, end));
    at = end;
  }
  if (strings.length < size) throw wrongCount(input, size, strings.length);
  if (at < raw.length) throw wrongCount(input, size, "more");
  return strings;
}

/** A tensor of raw little-endian bytes. @throws StatusError as `rawStrings`. */
export function rawTensor(
  input: string,
  dtype: DType,
  shape: readonly number[],
  raw: Uint8Array,
  memory: TensorMemory,
): Tensor {
  const size = checkedSize(input, shape);
  if (dtype === "string") return { dtype, shape, data: rawStrings(input, raw, size) };
  try {
    return memory.fromBytes(dtype, shape, raw);
  } catch (error) {
    throw invalidArgument(`input "${input}": ${(error as Error).message}`);
  }
}

/** Bytes of a tensor's elements as raw bytes. */
export function rawSize({ dtype, data }: Tensor): number {
  if (dtype !== "string") return (data as Float32Array).byteLength;
  return (data as readonly Uint8Array[]).reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0);
}

/** A tensor's elements as raw little-endian bytes. */
export function rawBytes(value: Tensor): Uint8Array {
  if (value.dtype !== "string") return bytesOf(value as Tensor<NumericDType>);
  const bytes = Buffer.alloc(rawSize(value));
  let at = 0;
  for (const text of value.data as readonly Uint8Array[]) {
    at = bytes.writeUInt32LE(text.length, at);
    bytes.set(text, at);
    at += text.length;
  }
  return bytes;
}
