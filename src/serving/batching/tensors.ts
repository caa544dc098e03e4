/** @file Concatenates the inputs of requests into a batch and slices its outputs. */

import type { NumericDType, Tensor, TensorMap } from "../../base/tensor.ts";
import { arrayOf, ConcatenatedView, materialize, sameShape, sizeOf, stridesOf } from "../../base/tensor.ts";
import { invalidArgument, StatusError } from "../status.ts";

/** TensorFlow Serving pads inputs of at most this many axes. */
const MOST_PADDED_AXES = 6;

/**
 * Rows of a request: the common first side of all its inputs.
 * @throws StatusError `INVALID_ARGUMENT` with TensorFlow Serving's message.
 */
export function rowsOf(inputs: TensorMap): number {
  let rows: number | undefined;
  for (const { shape } of inputs.values()) {
    const [first] = shape;
    if (first === undefined)
      throw invalidArgument("Batching Run() input tensors must have at least one dimension");
    if (rows !== undefined && rows !== first) {
      throw invalidArgument("Batching Run() input tensors must have equal 0th-dimension size");
    }
    rows = first;
  }
  if (rows === undefined) throw invalidArgument("Batching Run() must have at least one input tensor");
  return rows;
}

/** Elements of any type, to be copied. */
type Elements = { [index: number]: unknown; readonly length: number };

/** An array for `size` elements of the type of `like`. */
function emptyLike(like: Tensor, size: number): Elements {
  return like.dtype === "string"
    ? new Array<Uint8Array>(size)
    : new (arrayOf(like.dtype as NumericDType))(size);
}

/** Rows `from` up to `to` of a tensor, without copying numbers. */
export function sliceRows(value: Tensor, from: number, to: number): Tensor {
  const stride = sizeOf(value.shape.slice(1));
  const [start, end] = [from * stride, to * stride];
  const data =
    value.dtype === "string"
      ? (value.data as readonly Uint8Array[]).slice(start, end)
      : (value.data as Float32Array).subarray(start, end);
  return { dtype: value.dtype, shape: [to - from, ...value.shape.slice(1)], data };
}

/** Copies `source` into larger rows and pads them with its first element, as TensorFlow Serving does. */
function copyPadded(source: Tensor, target: Elements, offset: number, rowShape: readonly number[]): void {
  const rows = source.shape[0]!;
  const from = source.data as unknown as Elements;
  const outStride = sizeOf(rowShape);
  const strides = stridesOf(rowShape);
  const sides = source.shape.slice(1);
  for (let i = 0; i < rows * outStride; i++) target[offset + i] = from[0];
  const inStride = sizeOf(sides);
  for (let at = 0; at < from.length; at++) {
    let rest = at % inStride;
    let place = Math.floor(at / inStride) * outStride;
    for (let axis = sides.length - 1; axis >= 0; axis--) {
      place += (rest % sides[axis]!) * strides[axis]!;
      rest = Math.floor(rest / sides[axis]!);
    }
    target[offset + place] = from[at];
  }
}

/** The smallest shape of a row that all parts fit. */
function commonRowShape(name: string, parts: readonly Tensor[], mayPad: boolean): readonly number[] {
  const first = parts[0]!.shape.slice(1);
  if (parts.every(({ shape }) => sameShape(shape.slice(1), first))) return first;
  const ranks = new Set(parts.map(({ shape }) => shape.length));
  if (!mayPad || ranks.size > 1 || first.length + 1 > MOST_PADDED_AXES) {
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Tensors with name '${name}' from different tasks have different shapes and padding is turned off. Set ` +
        "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions " +
        "starting with the first dim.",
    );
  }
  return first.map((_, axis) => Math.max(...parts.map(({ shape }) => shape[axis + 1]!)));
}

/** Whether the parts need no padding. */
function isExact(parts: readonly Tensor[], rows: number, rowShape: readonly number[]): boolean {
  const given = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return given === rows && parts.every(({ shape }) => sameShape(shape.slice(1), rowShape));
}

/**
 * One tensor from several, row after row, with the last part's first row repeated up to `rows`.
 * @throws StatusError `FAILED_PRECONDITION` when rows differ and may not be padded.
 */
function stack(name: string, parts: readonly Tensor[], rows: number, mayPad: boolean): Tensor {
  const [first] = parts;
  if (parts.length === 1 && first!.shape[0] === rows) return first!;
  const rowShape = commonRowShape(name, parts, mayPad);
  const { dtype } = first!;
  if (dtype !== "string" && isExact(parts, rows, rowShape)) {
    return new ConcatenatedView(dtype, [rows, ...rowShape], parts);
  }
  const stride = sizeOf(rowShape);
  const data = emptyLike(first!, rows * stride);
  let at = 0;
  for (const part of parts) {
    const isWhole = sameShape(part.shape.slice(1), rowShape);
    if (!isWhole) copyPadded(part, data, at, rowShape);
    else if (part.dtype === "string") {
      for (let i = 0; i < part.data.length; i++) data[at + i] = part.data[i];
    } else (data as Float32Array).set(part.data as Float32Array, at);
    at += part.shape[0]! * stride;
  }
  const lastRow = at - parts.at(-1)!.shape[0]! * stride;
  for (let i = at; i < data.length; i++) data[i] = data[lastRow + ((i - at) % stride)];
  return { dtype, shape: [rows, ...rowShape], data: data as unknown as Float32Array };
}

/** All inputs of several requests as one request of `rows` rows. */
export function stackInputs(requests: readonly TensorMap[], rows: number, mayPad: boolean): TensorMap {
  const [first] = requests;
  return new Map(
    [...first!.keys()].map((name) => [
      name,
      stack(
        name,
        requests.map((inputs) => inputs.get(name)!),
        rows,
        mayPad,
      ),
    ]),
  );
}

/** TensorFlow Serving's errors for outputs that do not have a row for each row of the inputs. */
const NOT_ROW_BY_ROW =
  "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors";
const NO_ROWS = "Batched output tensor has 0 dimensions";

/**
 * Checks that every output has one row for each row of the batch.
 * @throws StatusError `FAILED_PRECONDITION` with TensorFlow Serving's message.
 */
export function checkOutputs(outputs: TensorMap, rows: number): void {
  for (const { shape } of outputs.values()) {
    if (shape[0] !== rows) {
      throw new StatusError("FAILED_PRECONDITION", shape.length === 0 ? NO_ROWS : NOT_ROW_BY_ROW);
    }
  }
}

/** Whether an error is one of `checkOutputs`. */
export function isNotRowByRow(error: unknown): boolean {
  return error instanceof StatusError && [NO_ROWS, NOT_ROW_BY_ROW].includes(error.message);
}

/** Rows `from` up to `to` of all inputs or outputs. */
export function sliceTensors(tensors: TensorMap, from: number, to: number): TensorMap {
  return new Map([...tensors].map(([name, value]) => [name, sliceRows(value, from, to)]));
}

/** The outputs of a split request's parts as one. */
export function joinOutputs(parts: readonly TensorMap[]): TensorMap {
  if (parts.length === 1) return parts[0]!;
  const rows = parts.reduce((sum, part) => sum + [...part.values()][0]!.shape[0]!, 0);
  // A concatenated view cannot be sent to the thread that writes JSON.
  return new Map([...stackInputs(parts, rows, false)].map(([name, value]) => [name, materialize(value)]));
}
