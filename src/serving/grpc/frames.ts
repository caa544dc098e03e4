/** @file gRPC's frames in the data of a call, in place of grpc-js' own reader, which joins a message of any size at once. */
import type { Pieces } from "../join.ts";
import { Wire, WireType } from "./wire.ts";

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

/** The same, once: an entry that stays keeps its message beyond the collections of the young generation. */
export function takeFrame(header: Uint8Array): Frame {
  const frame = frameOf(header);
  frames.delete(header);
  return frame;
}

/** Most bytes of a message's first field, such as the name of a model. */
export interface FirstField {
  readonly field: number;
  readonly maxBytes: number;
}

/** Longest tag and length of a field. */
const MOST_TAG_BYTES = 15;

/** The bytes that the first field of a message says it takes; 0 where it is another field, or not all of that is there. */
function firstFieldBytes(piece: Uint8Array, field: number): number {
  const wire = new Wire(piece, [0, Math.min(piece.length, MOST_TAG_BYTES)], { left: 1 });
  try {
    if (!wire.next() || wire.field !== field || wire.type !== WireType.bytes) return 0;
    wire.varint();
    return wire.low;
  } catch {
    return 0;
  }
}

/** Reads frames: a flag, four bytes of length, and a message. */
export class Frames {
  readonly #maxBytes: number;
  readonly #first: FirstField | undefined;
  #isRefused = false;
  #header = Buffer.alloc(HEADER_BYTES);
  #filled = 0;
  #pieces: Pieces = [];
  #length = 0;
  #left = 0;

  /** @param first refuses a message by its first bytes, before the rest of a long name has come. */
  constructor(maxBytes: number, first?: FirstField) {
    this.#maxBytes = maxBytes;
    this.#first = first;
  }

  /** Whether a message was refused; what comes of it is dropped. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /**
   * Takes data as it comes.
   * @returns the headers of the messages that are complete now; `frameOf` has what is behind each.
   * @throws Error for a message that says it is larger than the limit, before any of it is kept.
   */
  write(data: Uint8Array): Buffer[] {
    const complete: Buffer[] = [];
    if (this.#isRefused) return complete;
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
      throw this.#refuse(`Received message larger than max (${this.#length} vs ${this.#maxBytes})`);
    }
    return count;
  }

  #refuse(message: string): Error {
    this.#isRefused = true;
    this.#pieces = [];
    return new Error(message);
  }

  #readMessage(data: Uint8Array, at: number): number {
    const count = Math.min(this.#left, data.length - at);
    const piece = data.subarray(at, at + count);
    if (this.#pieces.length === 0 && this.#first !== undefined && this.#header[0] === 0) {
      const { field, maxBytes } = this.#first;
      if (firstFieldBytes(piece, field) > maxBytes) {
        throw this.#refuse(`The request holds more than ${maxBytes} bytes in a name.`);
      }
    }
    this.#pieces.push(piece);
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
