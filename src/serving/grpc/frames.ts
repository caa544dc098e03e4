/** @file gRPC's frames in the data of a call, in place of grpc-js' own reader, which joins a message of any size at once. */
import type { Pieces } from "../join.ts";

/** Flag and length in front of a message. */
export const HEADER_BYTES = 5;

/** A message in the pieces in which it came. */
export interface Frame {
  readonly pieces: Pieces;
  readonly length: number;
}

const frames = new WeakMap<Uint8Array, Frame>();

/** The message behind a header that `Frames` gave out. */
export function frameOf(header: Uint8Array): Frame {
  const frame = frames.get(header);
  if (frame === undefined) throw new Error("internal: a header of no frame");
  return frame;
}

/** Reads frames: a flag, four bytes of length, and a message. */
export class Frames {
  readonly #maxBytes: number;
  #header = Buffer.alloc(HEADER_BYTES);
  #filled = 0;
  #pieces: Pieces = [];
  #length = 0;
  #left = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes data as it comes.
   * @returns the headers of the messages that are complete now; `frameOf` has what is behind each.
   * @throws Error for a message that says it is larger than the limit, before any of it is kept.
   */
  write(data: Uint8Array): Buffer[] {
    const complete: Buffer[] = [];
    let at = 0;
    // An empty message is complete with its header.
    while (at < data.length) {
      at += this.#filled < HEADER_BYTES ? this.#readHeader(data, at) : this.#readMessage(data, at);
      if (this.#filled === HEADER_BYTES && this.#left === 0) complete.push(this.#take());
    }
    return complete;
  }

  #readHeader(data: Uint8Array, at: number): number {
    const count = Math.min(HEADER_BYTES - this.#filled, data.length - at);
    this.#header.set(data.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled < HEADER_BYTES) return count;
    this.#length = this.#header.readUInt32BE(1);
    this.#left = this.#length;
    if (this.#length > this.#maxBytes) {
      throw new Error(`Received message larger than max (${this.#length} vs ${this.#maxBytes})`);
    }
    return count;
  }

  #readMessage(data: Uint8Array, at: number): number {
    const count = Math.min(this.#left, data.length - at);
    this.#pieces.push(data.subarray(at, at + count));
    this.#left -= count;
    return count;
  }

  #take(): Buffer {
    const header = this.#header;
    frames.set(header, { pieces: this.#pieces, length: this.#length });
    this.#header = Buffer.alloc(HEADER_BYTES);
    this.#filled = 0;
    this.#pieces = [];
    return header;
  }
}
