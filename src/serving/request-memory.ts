/** @file Memory for the large tensors of requests: shared with worker threads and reused from request to request. */

import type { DTypeData, NumericDType, Shape, Tensor, TensorMap } from "../base/tensor.ts";
import { arrayOf, bytesPerElement, filledSize } from "../base/tensor.ts";
import { type MemoryBudget, UNBOUNDED } from "./memory-budget.ts";

/** Allocates arrays for elements, of any initial values. */
export interface Allocator {
  array<D extends NumericDType>(dtype: D, size: number): DTypeData[D];
}

/** Allocates, and makes tensors of packed bytes. */
export interface TensorMemory extends Allocator {
  /** @throws FaceError `SHAPE_MISMATCH` when the bytes do not fill the shape. */
  fromBytes<D extends NumericDType>(dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D>;
}

/** Allocates on the heap. */
export const HEAP: Allocator = { array: (dtype, size) => new (arrayOf(dtype))(size) };

/** Every element type may start at a multiple of this many bytes. */
const ALIGNMENT = 8;

/** Allocates arrays one behind the other in one buffer, and on the heap what does not fit. */
export function allocatorIn(buffer: Uint8Array): Allocator {
  let used = 0;
  return {
    array<D extends NumericDType>(dtype: D, size: number): DTypeData[D] {
      const bytes = size * bytesPerElement(dtype);
      const start = used;
      if (start + bytes > buffer.byteLength) return HEAP.array(dtype, size);
      used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      return new (arrayOf(dtype))(buffer.buffer, buffer.byteOffset + start, size);
    },
  };
}

/** Copying a smaller tensor to a thread is as fast. */
const LEAST_BYTES = 4096;
/** Larger buffers are rare and would be kept for ever. */
const MOST_BYTES = 4 * 2 ** 20;
/** Buffers for texts have eight sizes between a power of two and the next. */
const TEXT_STEP_BITS = 3;
/** Limit on all buffers together, in use or free; requests beyond it use the heap. */
const MOST_TOTAL_BYTES = 128 * 2 ** 20;

/**
 * Buffers of shared memory by size, reused from request to request. Memory from the heap would bring the next full
 * collection nearer, cost the kernel fresh pages, and be copied on its way to another thread.
 */
class BufferPool {
  readonly #free = new Map<number, SharedArrayBuffer[]>();
  #totalBytes = 0;

  take(bytes: number): SharedArrayBuffer | undefined {
    const known = this.#free.get(bytes)?.pop();
    if (known !== undefined) return known;
    if (this.#totalBytes + bytes > MOST_TOTAL_BYTES) this.#dropFree();
    if (this.#totalBytes + bytes > MOST_TOTAL_BYTES) return undefined;
    this.#totalBytes += bytes;
    return new SharedArrayBuffer(bytes);
  }

  giveBack(buffer: SharedArrayBuffer): void {
    const free = this.#free.get(buffer.byteLength);
    if (free === undefined) this.#free.set(buffer.byteLength, [buffer]);
    else free.push(buffer);
  }

  /** Frees the unused buffers, so that others of other sizes can be allocated. */
  #dropFree(): void {
    for (const [bytes, buffers] of this.#free) this.#totalBytes -= bytes * buffers.length;
    this.#free.clear();
  }
}

const pool = new BufferPool();

/** The memory of one request: what it holds is counted, and shared memory returns to the pool, until its last user releases it. */
export class RequestMemory implements TensorMemory, Disposable {
  readonly #buffers: SharedArrayBuffer[] = [];
  readonly #budget: MemoryBudget;
  #bytes = 0;
  #users = 1;

  constructor(budget: MemoryBudget = UNBOUNDED) {
    this.#budget = budget;
  }

  /**
   * Counts bytes that the request holds from now on.
   * @throws StatusError `UNAVAILABLE` when all requests together hold too many.
   */
  take(bytes: number): void {
    if (this.#users <= 0) return;
    this.#budget.change(this.#bytes, this.#bytes + bytes);
    this.#bytes += bytes;
  }

  /** Counts bytes that the request holds no longer. */
  giveBack(bytes: number): void {
    if (this.#users <= 0) return;
    const left = Math.max(0, this.#bytes - bytes);
    this.#budget.change(this.#bytes, left);
    this.#bytes = left;
  }

  /** An array of any initial values in shared memory; on the heap, all zero, where shared memory would not pay. */
  array<D extends NumericDType>(dtype: D, size: number): DTypeData[D] {
    const bytes = size * bytesPerElement(dtype);
    this.take(bytes);
    const isFit = bytes >= LEAST_BYTES && bytes <= MOST_BYTES;
    // Work that goes on after the request has ended must not get memory that another request will reuse.
    const buffer = isFit && this.#users > 0 ? pool.take(bytes) : undefined;
    if (buffer === undefined) return HEAP.array(dtype, size);
    this.#buffers.push(buffer);
    return new (arrayOf(dtype))(buffer, 0, size);
  }

  /**
   * Bytes for a text, of any initial values. Few texts have the same length, so the buffers are a little larger.
   * @returns undefined where a text of that length, or any text at present, does not fit the shared memory.
   */
  text(length: number): Uint8Array | undefined {
    const step = 2 ** Math.max(0, Math.floor(Math.log2(length)) - TEXT_STEP_BITS);
    const size = Math.ceil(length / step) * step;
    const bytes = size > MOST_BYTES ? undefined : this.array("uint8", size);
    return bytes?.buffer instanceof SharedArrayBuffer ? bytes.subarray(0, length) : undefined;
  }

  /**
   * Elements copied from little-endian bytes.
   * @throws FaceError `SHAPE_MISMATCH` when they do not fill the shape.
   */
  fromBytes<D extends NumericDType>(dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D> {
    const data = this.array(dtype, filledSize(dtype, shape, bytes));
    copyBytes(bytes, data as Uint8Array);
    return { dtype, shape, data };
  }

  /** The same tensor in shared memory, if its size is between the limits. */
  adopt(value: Tensor): Tensor {
    if (value.dtype === "string") return value;
    const dtype: NumericDType = value.dtype;
    const from = value.data as Uint8Array;
    if (from.byteLength < LEAST_BYTES || from.byteLength > MOST_BYTES) return value;
    if (from.buffer instanceof SharedArrayBuffer) return value;
    const data = this.array(dtype, from.length);
    copyBytes(from, data as Uint8Array);
    return { dtype, shape: value.shape, data };
  }

  adoptAll(tensors: TensorMap): TensorMap {
    return new Map([...tensors].map(([name, value]) => [name, this.adopt(value)]));
  }

  /** Adds a user of the memory, who must call `release`. */
  hold(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    this.#budget.change(this.#bytes, 0);
    this.#bytes = 0;
    for (const buffer of this.#buffers.splice(0)) pool.giveBack(buffer);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Keeps the memory until the work has ended, even when nobody waits for it any more. */
export async function holding<T>(memory: RequestMemory | undefined, work: () => Promise<T>): Promise<T> {
  memory?.hold();
  try {
    return await work();
  } finally {
    memory?.release();
  }
}

/** Copies bytes. `TypedArray.set` copies into shared memory in small steps, `Buffer.fill` in one. */
export function copyBytes(from: ArrayBufferView, to: ArrayBufferView): void {
  const source = Buffer.from(from.buffer, from.byteOffset, from.byteLength);
  if (source.length > 0) Buffer.from(to.buffer, to.byteOffset, to.byteLength).fill(source);
}

/** Like `Promise.all`, but rejects only when all have settled: they may write to a request's memory until then. */
export async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
