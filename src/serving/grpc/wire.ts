/** @file Protobuf's wire format, read in place: nothing grows before it is counted. */
// The generated readers make an array element or object of every value, so a message of 100 MB can become gigabytes.
import { StatusError } from "../status.ts";

/** Wire types; groups, which nobody sends, are refused. */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** The error of grpc-js for a message that cannot be read. */
export function unreadable(): StatusError {
  return new StatusError("INTERNAL", "Error deserializing request");
}

/** Fields that may still come, in a message and all inside it; a packed list is one. */
export interface FieldCount {
  left: number;
}

/** More than any request needs, and few enough to be walked in some milliseconds. */
const MOST_FIELDS = 2 ** 20;

export const countFields = (): FieldCount => ({ left: MOST_FIELDS });

/** A part of a message. */
export type Range = readonly [start: number, end: number];

/** Walks the fields of a message. */
export class Wire {
  readonly bytes: Uint8Array;
  readonly end: number;
  readonly #count: FieldCount;
  at: number;
  /** Number and wire type of the field that `next` found. */
  field = 0;
  type = 0;
  /** The halves of the last varint, unsigned. */
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array, [start, end]: Range, count: FieldCount) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.#count = count;
  }

  /**
   * Reads the next field's number and type; false at the end.
   * @throws StatusError `RESOURCE_EXHAUSTED` for too many fields, `INTERNAL` for a broken message, as all methods.
   */
  next(): boolean {
    if (this.at >= this.end) return false;
    if (--this.#count.left < 0) {
      const message = `The request holds more than ${MOST_FIELDS} values outside of packed lists.`;
      throw new StatusError("RESOURCE_EXHAUSTED", message);
    }
    this.varint();
    this.field = this.low >>> 3;
    this.type = this.low & 7;
    if (this.field === 0 || this.high !== 0) throw unreadable();
    return true;
  }

  /** Reads a varint of up to 64 bits into `low` and `high`. */
  varint(): void {
    const { bytes } = this;
    let [low, high] = [0, 0];
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw unreadable();
      const byte = bytes[this.at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw unreadable();
  }

  /** The place of a length-delimited field's bytes; the walk goes on behind them. */
  range(): Range {
    if (this.type !== WireType.bytes) throw unreadable();
    this.varint();
    const start = this.at;
    const end = start + this.low;
    if (this.high !== 0 || end > this.end) throw unreadable();
    this.at = end;
    return [start, end];
  }

  /** Goes on behind the field's value. */
  skip(): void {
    if (this.type === WireType.varint) this.varint();
    else if (this.type === WireType.bytes) this.range();
    else if (this.type === WireType.fixed32 || this.type === WireType.fixed64) {
      this.at += this.type === WireType.fixed32 ? 4 : 8;
      if (this.at > this.end) throw unreadable();
    } else throw unreadable();
  }
}

/** Writes fields of a message whose size is known. */
export class WireWriter {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  tag(field: number, type: number): void {
    this.varint(field * 8 + type);
  }

  /** Up to 2^53. */
  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.at++] = rest;
  }

  /** 64 bits, from two halves. */
  varint64(low: number, high: number): void {
    let [l, h] = [low >>> 0, high >>> 0];
    while (h > 0 || l > 0x7f) {
      this.bytes[this.at++] = (l & 0x7f) | 0x80;
      l = ((l >>> 7) | (h << 25)) >>> 0;
      h >>>= 7;
    }
    this.bytes[this.at++] = l;
  }

  /** The length of what follows, then that. */
  block(field: number, content: Uint8Array): void {
    this.tag(field, WireType.bytes);
    this.varint(content.length);
    this.raw(content);
  }

  raw(content: Uint8Array): void {
    this.bytes.set(content, this.at);
    this.at += content.length;
  }
}

/** Bytes that a varint takes. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Bytes that a varint of 64 bits takes, given its halves. */
export function varint64Size(low: number, high: number): number {
  if (high === 0) return varintSize(low);
  const bits = 64 - Math.clz32(high);
  return Math.ceil(bits / 7);
}

/** Bytes of a length-delimited field of this length, with tag and length. */
export function blockSize(field: number, length: number): number {
  return varintSize(field * 8) + varintSize(length) + length;
}
