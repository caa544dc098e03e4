/** @file The bytes of a JSON answer while it is written: they grow in place, without a string for each value. */
import { decimalDigits, decimalText } from "./decimal.ts";

const FIRST_CAPACITY = 1024;
/** Up to this many characters a loop is faster than a call. */
const SHORT_TEXT = 32;
/** More than any number takes. */
const LONGEST_NUMBER = 32;
const ZERO = 0x30;
const POINT = 0x2e;
const MINUS = 0x2d;

/** Collects text whose characters are one byte each. */
export class JsonOut {
  #bytes = Buffer.from(new ArrayBuffer(FIRST_CAPACITY));
  #length = 0;

  /** Appends characters of one byte each, as they are. */
  text(latin1: string): void {
    this.#reserve(latin1.length);
    if (latin1.length > SHORT_TEXT) {
      this.#length += this.#bytes.write(latin1, this.#length, "latin1");
      return;
    }
    for (let i = 0; i < latin1.length; i++) this.#bytes[this.#length++] = latin1.charCodeAt(i);
  }

  /** Appends a number as TensorFlow Serving prints it; `decimalText` says how. */
  decimal(value: number, kind: "float32" | "float64"): void {
    const digits = decimalDigits(value, kind);
    if (digits === undefined) this.text(decimalText(value, kind));
    else this.#digits(digits.value, digits.count, digits.exponent, value < 0);
  }

  /** A number of `count` digits whose first one counts 10^exponent, without trailing zeros after the point. */
  #digits(value: number, count: number, exponent: number, isNegative: boolean): void {
    this.#reserve(LONGEST_NUMBER);
    const bytes = this.#bytes;
    let at = this.#length;
    if (isNegative) bytes[at++] = MINUS;
    const before = Math.max(1, exponent + 1);
    const start = at;
    const end = at + 1 + before + (count - 1 - exponent);
    let rest = value;
    for (let place = end - 1; place >= start; place--) {
      if (place === start + before) bytes[place] = POINT;
      else {
        const tenth = Math.floor(rest / 10);
        bytes[place] = ZERO + rest - tenth * 10;
        rest = tenth;
      }
    }
    at = end;
    while (bytes[at - 1] === ZERO && bytes[at - 2] !== POINT) at--;
    if (bytes[at - 1] === POINT) bytes[at++] = ZERO;
    this.#length = at;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.from(new ArrayBuffer(Math.max(needed, this.#bytes.length * 2)));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  /** What was written, in memory of its own. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
