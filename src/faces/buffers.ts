/** @file Memory that is used again, since new arrays for each call have the garbage collected every few calls. */

/** Memory of this many bytes is kept; of more it is left to the garbage collector. */
const MOST_BYTES = 2 ** 23;
/** How many pieces of memory are kept. */
const MOST_KEPT = 4;

/** Lends memory to one piece of work at a time. */
export class BufferPool {
  #kept: ArrayBuffer[] = [];

  /** Calls a function with at least so many bytes, of any content, that nobody else uses until its promise settles. */
  async lend<R>(bytes: number, work: (memory: ArrayBuffer) => Promise<R>): Promise<R> {
    const memory = this.#take(bytes);
    try {
      return await work(memory);
    } finally {
      this.#keep(memory);
    }
  }

  #take(bytes: number): ArrayBuffer {
    const at = this.#kept.findIndex(({ byteLength }) => byteLength >= bytes);
    return at < 0 ? new ArrayBuffer(bytes) : this.#kept.splice(at, 1)[0]!;
  }

  /** Memory that was moved to another thread meanwhile has a length of 0. */
  #keep(buffer: ArrayBuffer): void {
    if (buffer.byteLength === 0 || buffer.byteLength > MOST_BYTES) return;
    // The smallest that is enough is found first, and the smallest goes where there are too many.
    this.#kept.push(buffer);
    this.#kept.sort((a, b) => a.byteLength - b.byteLength);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }
}
