/** @file A cursor that reads numbers and byte strings from a file's bytes, never past the end. */
import { FaceError } from "../../base/errors.ts";

/** The longest varint of 64 bits, in bytes. */
const LONGEST_VARINT = 10;

/** A position in bytes that advances with each read. */
export class ByteCursor {
  readonly bytes: Uint8Array;
  /** What the bytes are, for errors. */
  readonly what: string;
  at: number;

  constructor(bytes: Uint8Array, what: string, at = 0) {
    this.bytes = bytes;
    this.what = what;
    this.at = at;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** The error for damaged bytes. */
  damaged(reason: string): FaceError {
    return new FaceError("MODEL_INVALID", `${this.what} is damaged: ${reason}`);
  }

  byte(): number {
    if (this.left < 1) throw this.damaged("it ends too early");
    return this.bytes[this.at++]!;
  }

  /** The next bytes, as a view. */
  take(count: number): Uint8Array {
    if (!(count >= 0 && count <= this.left)) throw this.damaged("it ends too early");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  uint32(): number {
    const [a, b, c, d] = this.take(4) as unknown as [number, number, number, number];
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  }

  /** Seven bits a byte, lowest first, as in protobuf. */
  varint(): number {
    let value = 0;
    for (let i = 0, scale = 1; i < LONGEST_VARINT; i++, scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
    }
    throw this.damaged("a number is too large");
  }
}

/** Four bytes, lowest first. */
export function uint32Bytes(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
