/** @file Evaluates ops that move elements: each is a copy between strided views. */
import { FaceError } from "../base/errors.ts";
import {
  arrayOf,
  bytesPerElement,
  type Shape,
  sameShape,
  sizeOf,
  stridesOf,
  type Tensor,
} from "../base/tensor.ts";
import { allocate, type Elements, fromNumbers, numbersOf, numericDType } from "./numbers.ts";
import type { OpAttrs } from "./ops.ts";
import { broadcastShapes, sliceRange } from "./shape-rules.ts";

/** A selection of a tensor's elements: the offset of the first and the stride along each axis. */
interface View {
  readonly tensor: Tensor;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** The elements as bits in one of four array types, which is all that copying needs, and fast. */
function bitsOf(value: Tensor): Elements<number> {
  const { buffer, byteOffset, length } = value.data as Float32Array;
  const width = bytesPerElement(numericDType(value.dtype));
  if (width === 1) return new Uint8Array(buffer, byteOffset, length);
  if (width === 2) return new Uint16Array(buffer, byteOffset, length);
  if (width === 4) return new Int32Array(buffer, byteOffset, length);
  return new BigInt64Array(buffer, byteOffset, length) as unknown as Elements<number>;
}

/** Copies the elements of one view to another of the same shape. */
function copy(shape: Shape, from: View, to: View): void {
  const [source, target] = [bitsOf(from.tensor), bitsOf(to.tensor)];
  const rank = shape.length;
  const count = shape[rank - 1] ?? 1;
  const [sourceStep, targetStep] = [from.strides[rank - 1] ?? 1, to.strides[rank - 1] ?? 1];
  const index = new Array<number>(Math.max(rank - 1, 0)).fill(0);
  let [sourceRow, targetRow] = [from.offset, to.offset];
  for (let rows = count === 0 ? 0 : sizeOf(shape) / count; rows > 0; rows--) {
    for (let i = 0, s = sourceRow, t = targetRow; i < count; i++, s += sourceStep, t += targetStep) {
      target[t] = source[s]!;
    }
    for (let axis = rank - 2; axis >= 0; axis--) {
      sourceRow += from.strides[axis]!;
      targetRow += to.strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
      sourceRow -= shape[axis]! * from.strides[axis]!;
      targetRow -= shape[axis]! * to.strides[axis]!;
    }
  }
}

const whole = (tensor: Tensor): View => ({ tensor, strides: stridesOf(tensor.shape), offset: 0 });

/** A new tensor with the elements of a view. */
function gathered(shape: Shape, view: View): Tensor {
  const result = allocate(view.tensor.dtype, shape);
  copy(shape, view, whole(result));
  return result;
}

/** The same elements under another shape of the same size. */
export function reshaped(x: Tensor, shape: Shape): Tensor {
  return { ...x, shape };
}

/** Axes in another order; axis i of the result is axis `perm[i]` of x. */
export function transposed(x: Tensor, perm: readonly number[]): Tensor {
  const strides = stridesOf(x.shape);
  return gathered(
    perm.map((axis) => x.shape[axis]!),
    { tensor: x, strides: perm.map((axis) => strides[axis]!), offset: 0 },
  );
}

/** A tensor repeated along the axes that it lacks, or where its side is 1. */
export function broadcasted(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const missing = shape.length - x.shape.length;
  const own = stridesOf(x.shape);
  const strides = shape.map((_, axis) =>
    axis < missing || x.shape[axis - missing] === 1 ? 0 : own[axis - missing]!,
  );
  return gathered(shape, { tensor: x, strides, offset: 0 });
}

/** The shape that the shapes of values broadcast to. */
export function commonShape(...values: readonly Tensor[]): Shape {
  return values.reduce<Shape>((shape, value) => broadcastShapes(shape, value.shape) as number[], []);
}

export function evaluateReshape([x]: readonly Tensor[], { shape }: OpAttrs["reshape"]): Tensor {
  const kept = shape.map((side, axis) => (side === 0 ? x!.shape[axis]! : side));
  const known = kept.reduce((size, side) => (side === -1 ? size : size * side), 1);
  return reshaped(
    x!,
    kept.map((side) => (side === -1 ? sizeOf(x!.shape) / known : side)),
  );
}

export function evaluateBroadcastTo([x]: readonly Tensor[], { shape }: OpAttrs["broadcastTo"]): Tensor {
  return broadcasted(x!, broadcastShapes(x!.shape, shape) as number[]);
}

export function evaluateConcat(parts: readonly Tensor[], { axis }: OpAttrs["concat"]): Tensor {
  const total = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  const result = allocate(parts[0]!.dtype, parts[0]!.shape.with(axis, total));
  const strides = stridesOf(result.shape);
  let start = 0;
  for (const part of parts) {
    copy(part.shape, whole(part), { tensor: result, strides, offset: start * strides[axis]! });
    start += part.shape[axis]!;
  }
  return result;
}

export function evaluateSlice([x]: readonly Tensor[], { starts, ends, steps }: OpAttrs["slice"]): Tensor {
  const strides = stridesOf(x!.shape);
  const ranges = x!.shape.map((side, axis) => sliceRange(side, starts[axis]!, ends[axis]!, steps[axis]!));
  return gathered(
    ranges.map(({ count }) => count),
    {
      tensor: x!,
      strides: strides.map((stride, axis) => stride * steps[axis]!),
      offset: ranges.reduce((offset, { first }, axis) => offset + first * strides[axis]!, 0),
    },
  );
}

export function evaluatePad([x]: readonly Tensor[], { before, after, value }: OpAttrs["pad"]): Tensor {
  const shape = x!.shape.map((side, axis) => side + before[axis]! + after[axis]!);
  const filler = fromNumbers(x!.dtype, [], [value]);
  const result = gathered(shape, { tensor: filler, strides: shape.map(() => 0), offset: 0 });
  const strides = stridesOf(shape);
  const offset = before.reduce((sum, margin, axis) => sum + margin * strides[axis]!, 0);
  copy(x!.shape, whole(x!), { tensor: result, strides, offset });
  return result;
}

/** Indices along an axis; negative ones count from its end. */
export function places(indices: Tensor, length: number): number[] {
  return Array.from(numbersOf(indices), (index) => {
    const place = index < 0 ? index + length : index;
    if (place >= 0 && place < length) return place;
    throw new FaceError("SHAPE_MISMATCH", `gather: index ${index} lies outside an axis of length ${length}`);
  });
}

export function evaluateGather([x, indices]: readonly Tensor[], { axis }: OpAttrs["gather"]): Tensor {
  const { shape } = x!;
  const picked = places(indices!, shape[axis]!);
  const result = allocate(x!.dtype, shape.with(axis, picked.length));
  const [source, target] = [whole(x!), whole(result)];
  picked.forEach((place, i) => {
    copy(
      shape.with(axis, 1),
      { ...source, offset: place * source.strides[axis]! },
      { ...target, offset: i * target.strides[axis]! },
    );
  });
  return reshaped(result, [...shape.slice(0, axis), ...indices!.shape, ...shape.slice(axis + 1)]);
}

/** Elements of a, where the condition holds, else of b. */
export function evaluateSelect(values: readonly Tensor[]): Tensor {
  const shape = commonShape(...values);
  const [condition, a, b] = values.map((value) => broadcasted(value, shape)) as [Tensor, Tensor, Tensor];
  const result = allocate(a.dtype, shape);
  const [holds, yes, no, out] = [bitsOf(condition), bitsOf(a), bitsOf(b), bitsOf(result)];
  for (let i = 0; i < out.length; i++) out[i] = holds[i] === 0 ? no[i]! : yes[i]!;
  return result;
}

/** A table's place of each key; strings by their bytes. */
function placesOf(keys: Tensor): ReadonlyMap<bigint | string, number> {
  return new Map(keysOf(keys).map((key, place) => [key, place]));
}

const keysOf = ({ dtype, data }: Tensor): (bigint | string)[] =>
  dtype === "string"
    ? (data as readonly Uint8Array[]).map((bytes) => bytes.join())
    : Array.from(data as BigInt64Array);

export function evaluateLookup(
  [x]: readonly Tensor[],
  { keys, values, fallback }: OpAttrs["lookup"],
): Tensor {
  const places = placesOf(keys);
  const value = (key: bigint | string): unknown => {
    const place = places.get(key);
    return place === undefined ? fallback.data[0] : values.data[place];
  };
  const found = keysOf(x!).map(value);
  const { dtype } = values;
  if (dtype === "string") return { dtype, shape: x!.shape, data: found as Uint8Array[] };
  const data = new (arrayOf(dtype))(found.length);
  (data as Uint8Array).set(found as number[]);
  return { dtype, shape: x!.shape, data } as Tensor;
}
