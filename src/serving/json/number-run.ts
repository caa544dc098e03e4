/** @file The fast way through lists of plain numbers, which is most of what a request with images consists of. */
import { nearestDouble } from "./decimal.ts";
import { Kind } from "./tape.ts";

const COMMA = 0x2c;
const CLOSE = 0x5d;
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

/** More bytes than one such number, its comma and its space can take; so near the end nothing is read here. */
const LONGEST_NUMBER = 40;

/**
 * Reads numbers of up to 19 digits without an exponent, with commas and at most one space between them, for as long as
 * there is room. Whatever looks different is left to the careful reader, and so is what stands at the very end.
 * @returns the place after the last number taken; `start` when there was none.
 */
export function readNumberRun(bytes: Uint8Array, start: number, run: NumberRun): number {
  const { kinds, values } = run;
  const last = bytes.length - LONGEST_NUMBER;
  let { length } = run;
  let end = start;
  for (let at = start; length < kinds.length && at < last; ) {
    const isNegative = bytes[at] === MINUS;
    const first = isNegative ? at + 1 : at;
    const shortEnd = readShort(bytes, first, isNegative, values, length);
    if (shortEnd > first) {
      kinds[length++] = Kind.decimal;
      end = shortEnd;
    } else {
      const value = unsigned(bytes, first);
      if (Number.isNaN(value)) break;
      kinds[length] = isDecimal ? Kind.decimal : Kind.integer;
      // There is no integer -0: TensorFlow Serving reads it as 0.
      values[length++] = isNegative && (isDecimal || value !== 0) ? -value : value;
      end = stop;
    }
    if (bytes[end] !== COMMA) break;
    at = end + (bytes[end + 1] === SPACE ? 2 : 1);
  }
  run.length = length;
  return end;
}

/**
 * Reads one digit, a point and up to eight digits more, nine after a zero: what pixels between 0 and 1 look like. Puts
 * the number where it belongs, since one that a function gives back lies on the heap first.
 * @returns the place after it; `first` when it looks different.
 */
function readShort(
  bytes: Uint8Array,
  first: number,
  isNegative: boolean,
  values: Float64Array,
  place: number,
): number {
  let number = bytes[first]! - ZERO;
  if (bytes[first + 1] !== POINT || number >>> 0 > 9) return first;
  const start = first + 2;
  const most = start + (number === 0 ? FIRST_DIGITS : FIRST_DIGITS - 1);
  let at = start;
  let digit = bytes[at]! - ZERO;
  // Negative numbers are very large ones without a sign.
  for (; digit >>> 0 <= 9 && at < most; digit = bytes[++at]! - ZERO) number = (number * 10 + digit) | 0;
  if (at === start || (digit !== COMMA - ZERO && digit !== CLOSE - ZERO)) return first;
  const size = number / POWERS[at - start]!;
  values[place] = isNegative ? -size : size;
  return at;
}

/** Where the reading stopped, and whether it met a point. Variables of the module cost less than an object's fields. */
let stop = 0;
let isDecimal = false;

/** A number without its sign; NaN when it is not plain. */
function unsigned(bytes: Uint8Array, start: number): number {
  const first = bytes[start]! - ZERO;
  if (first < 0 || first > 9) return Number.NaN;
  // A zero, or up to nine digits that begin with another one.
  let value = digits(bytes, start + 1, start + (first === 0 ? 1 : FIRST_DIGITS), first);
  if (isDigit(bytes[stop]!)) return Number.NaN;
  isDecimal = bytes[stop] === POINT;
  if (isDecimal) value = fraction(bytes, stop, value);
  return (bytes[stop]! | LOWER_CASE) === LETTER_E ? Number.NaN : value;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9;
}

/** Appends digits to an integer of 32 bits, up to the place `end`. */
function digits(bytes: Uint8Array, from: number, end: number, before: number): number {
  let value = before;
  let at = from;
  for (let digit = bytes[at]! - ZERO; digit >= 0 && digit <= 9 && at < end; digit = bytes[++at]! - ZERO) {
    value = (value * 10 + digit) | 0;
  }
  stop = at;
  return value;
}

/** Goes on at the point after `whole`; NaN when the number is not plain. */
function fraction(bytes: Uint8Array, point: number, whole: number): number {
  const start = point + 1;
  // As many digits as fit one 32-bit integer: for most numbers these are all.
  const room = whole === 0 ? FIRST_DIGITS : FIRST_DIGITS - digitCount(whole);
  const first = digits(bytes, start, start + room, whole);
  if (isDigit(bytes[stop]!)) return longFraction(bytes, start, first);
  return stop === start ? Number.NaN : first / POWERS[stop - start]!;
}

/** The same with the digits that were too many for one integer. */
function longFraction(bytes: Uint8Array, start: number, first: number): number {
  const secondStart = stop;
  const second = digits(bytes, secondStart, secondStart + SECOND_DIGITS, 0);
  const head = first * POWERS[stop - secondStart]! + second;
  if (!isDigit(bytes[stop]!)) return head / POWERS[stop - start]!;
  const thirdStart = stop;
  const third = digits(bytes, thirdStart, thirdStart + THIRD_DIGITS, 0);
  if (isDigit(bytes[stop]!)) return Number.NaN;
  return nearestDouble(head, third, stop - thirdStart, start - stop);
}

function digitCount(value: number): number {
  let count = 1;
  while (value >= POWERS[count]!) count++;
  return count;
}
