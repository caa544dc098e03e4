/** @file Memory for the large tensors of requests: shared with the engine's threads, and used again and again. */
import { FaceError } from "../base/errors.ts";
import {
  arrayOf,
  bytesPerElement,
  type DTypeData,
  type NumericDType,
  type Shape,
  shapeText,
  sizeOf,
  type Tensor,
} from "../base/tensor.ts";

/** Smaller tensors are sent to a thread as fast by copying. */
const LEAST_BYTES = 4096;
/** Larger ones are rare, and would be kept for ever. */
const MOST_BYTES = 4 * 2 ** 20;
/** Pieces for texts come in eight sizes between a power of two and the next. */
const TEXT_STEP_BITS = 3;
/** All of it together, in use or not; what is asked for beyond comes from the heap. */
const MOST_TOTAL_BYTES = 128 * 2 ** 20;

/**
 * Pieces of shared memory by size. Each megabyte that a request takes from the heap brings the next full collection
 * nearer, costs the kernel's work for fresh pages, and has to be copied to get to another thread; these do not.
 */
class Pool {
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

  giveBack(piece: SharedArrayBuffer): void {
    const free = this.#free.get(piece.byteLength);
    if (free === undefined) this.#free.set(piece.byteLength, [piece]);
    else free.push(piece);
  }

  /** Makes room for other sizes. */
  #dropFree(): void {
    for (const [bytes, pieces] of this.#free) this.#totalBytes -= bytes * pieces.length;
    this.#free.clear();
  }
}

const pool = new Pool();

/** What one request holds of the memory. It is given back when the last who uses it lets go. */
export class RequestMemory implements Disposable {
  readonly #pieces: SharedArrayBuffer[] = [];
  #users = 1;

  /** Room for elements, of whatever values; ordinary memory, all zero, where the shared one would be of no use. */
  array<D extends NumericDType>(dtype: D, size: number): DTypeData[D] {
    const Elements = arrayOf(dtype);
    const bytes = size * bytesPerElement(dtype);
    const isFit = bytes >= LEAST_BYTES && bytes <= MOST_BYTES;
    // Who still works on a request that is over gets memory that nobody else will have.
    const piece = isFit && this.#users > 0 ? pool.take(bytes) : undefined;
    if (piece === undefined) return new Elements(size);
    this.#pieces.push(piece);
    return new Elements(piece, 0, size);
  }

  /**
   * Room for a text, of whatever values. Hardly two texts are of the same length, so pieces are a little larger.
   * @returns undefined where a text that long, or any at present, has no place in the shared memory.
   */
  text(length: number): Uint8Array | undefined {
    const step = 2 ** Math.max(0, Math.floor(Math.log2(length)) - TEXT_STEP_BITS);
    const bytes = Math.ceil(length / step) * step;
    const room = bytes > MOST_BYTES ? undefined : this.array("uint8", bytes);
    return room?.buffer instanceof SharedArrayBuffer ? room.subarray(0, length) : undefined;
  }

  /**
   * Elements copied from little-endian bytes.
   * @throws FaceError `SHAPE_MISMATCH` when they do not fill the shape.
   */
  fromBytes<D extends NumericDType>(dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D> {
    const size = sizeOf(shape);
    const wanted = size * bytesPerElement(dtype);
    if (bytes.byteLength !== wanted) {
      throw new FaceError(
        "SHAPE_MISMATCH",
        `a ${dtype} tensor of shape ${shapeText(shape)} takes ${wanted} bytes, got ${bytes.byteLength}`,
      );
    }
    const data = this.array(dtype, size);
    copyBytes(bytes, data as Uint8Array);
    return { dtype, shape, data };
  }

  /** The same tensor in this memory, if it is of a size for it. */
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

  /** Keeps the memory for one more user, who calls `release`. */
  hold(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    for (const piece of this.#pieces.splice(0)) pool.giveBack(piece);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Goes on to the end of the work, whoever has left meanwhile, and keeps the memory until then. */
export async function holding<T>(memory: RequestMemory | undefined, work: () => Promise<T>): Promise<T> {
  memory?.hold();
  try {
    return await work();
  } finally {
    memory?.release();
  }
}

/** `set` copies into shared memory in small steps; filling does it in one. */
export function copyBytes(from: ArrayBufferView, to: ArrayBufferView): void {
  const source = Buffer.from(from.buffer, from.byteOffset, from.byteLength);
  if (source.length > 0) Buffer.from(to.buffer, to.byteOffset, to.byteLength).fill(source);
}

/** Like `Promise.all`, but a failure is told only when none of them works any more: they write to a request's memory. */
export async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
