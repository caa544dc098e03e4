/** @file The fast way through lists of plain numbers, which is most of what a request with images consists of. */
import { nearestDouble } from "./json-decimal.ts";
import { Kind } from "./json-tape.ts";

const COMMA = 0x2c;
const SPACE = 0x20;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const LETTER_E = 0x65;
const LOWER_CASE = 0x20;
/** Digits that fit a 32-bit integer, further ones that together with them fit a double, and those beyond. */
const FIRST_DIGITS = 9;
const SECOND_DIGITS = 6;
const THIRD_DIGITS = 4;
const POWERS = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** Where the numbers go. */
export interface NumberRun {
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  /** The next free place. */
  length: number;
}

/**
 * Reads numbers of up to 19 digits without an exponent, with commas and at most one space between them, for as long as
 * there is room. Whatever looks different is left to the careful reader.
 * @returns the place after the last number taken; `start` when there was none.
 */
export function readNumberRun(bytes: Uint8Array, start: number, run: NumberRun): number {
  return new RunReader(bytes, start).read(run);
}

class RunReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  read(run: NumberRun): number {
    const bytes = this.#bytes;
    const { kinds, values } = run;
    let { length } = run;
    let end = this.#at;
    while (length < kinds.length) {
      const isNegative = bytes[this.#at] === MINUS;
      if (isNegative) this.#at++;
      const whole = this.#whole();
      if (whole < 0) break;
      const isDecimal = bytes[this.#at] === POINT;
      const value = isDecimal ? this.#fraction(whole) : whole;
      if (Number.isNaN(value) || (bytes[this.#at]! | LOWER_CASE) === LETTER_E) break;
      kinds[length] = isDecimal ? Kind.decimal : Kind.integer;
      // There is no integer -0: TensorFlow Serving reads it as 0.
      values[length++] = isNegative && (isDecimal || value !== 0) ? -value : value;
      end = this.#at;
      if (bytes[end] !== COMMA) break;
      this.#at = bytes[end + 1] === SPACE ? end + 2 : end + 1;
    }
    run.length = length;
    return end;
  }

  /** Up to nine digits before the point; -1 when there are none, or more. */
  #whole(): number {
    const mostDigits = this.#bytes[this.#at] === ZERO ? 1 : FIRST_DIGITS;
    if (!this.#isAtDigit()) return -1;
    const whole = this.#digits(0, mostDigits);
    return this.#isAtDigit() ? -1 : whole;
  }

  /** Goes on at the point after `whole`; NaN when the number is not plain. */
  #fraction(whole: number): number {
    const start = ++this.#at;
    if (!this.#isAtDigit()) return Number.NaN;
    const first = this.#digits(whole, whole === 0 ? FIRST_DIGITS : FIRST_DIGITS - digitCount(whole));
    if (!this.#isAtDigit()) return first / POWERS[this.#at - start]!;
    const secondStart = this.#at;
    const second = this.#digits(0, SECOND_DIGITS);
    const head = first * POWERS[this.#at - secondStart]! + second;
    if (!this.#isAtDigit()) return head / POWERS[this.#at - start]!;
    const thirdStart = this.#at;
    const third = this.#digits(0, THIRD_DIGITS);
    if (this.#isAtDigit()) return Number.NaN;
    return nearestDouble(head, third, this.#at - thirdStart, start - this.#at);
  }

  /** Appends up to `most` digits to an integer of 32 bits. */
  #digits(before: number, most: number): number {
    const bytes = this.#bytes;
    let value = before;
    let at = this.#at;
    const end = at + most;
    for (let digit = bytes[at]! - ZERO; digit >= 0 && digit <= 9 && at < end; digit = bytes[++at]! - ZERO) {
      value = (value * 10 + digit) | 0;
    }
    this.#at = at;
    return value;
  }

  #isAtDigit(): boolean {
    const digit = this.#bytes[this.#at]! - ZERO;
    return digit >= 0 && digit <= 9;
  }
}

function digitCount(value: number): number {
  let count = 1;
  while (value >= POWERS[count]!) count++;
  return count;
}
