/** @file Reads JSON numbers from bytes: one with all the checks, or a list of plain numbers fast. */
import { EXACT_POWERS } from "./decimal.ts";
import { Kind, numberText } from "./tape.ts";

const SPACE = 0x20;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const CLOSE = 0x5d;
const LETTER_E = 0x65;
const LOWER_CASE = 0x20;

const LARGEST_EXACT = EXACT_POWERS.length - 1;

/** 2^27 + 1, which splits a double into two halves of 26 bits (Veltkamp; Dekker, 1971). */
const SPLITTER = 134_217_729;
/** Far more than the rounding error of the quotient below, far less than half a unit in the last place. */
const DOUBT = 2 ** -40;

/** The exact a × b minus its rounded value `product` (Dekker, 1971). */
function productError(a: number, b: number, product: number): number {
  const aScaled = SPLITTER * a;
  const aHigh = aScaled - (aScaled - a);
  const aLow = a - aHigh;
  const bScaled = SPLITTER * b;
  const bHigh = bScaled - (bScaled - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/**
 * The double nearest to (head × 10^tailDigits + tail) × 10^scale.
 * @param head at most 15 digits. @param tail at most 4 further digits, `tailDigits` of them.
 * @returns NaN when the error bound leaves two candidates; the caller then parses the text.
 */
function nearestDouble(head: number, tail: number, tailDigits: number, scale: number): number {
  if (scale < -LARGEST_EXACT || scale > LARGEST_EXACT) return Number.NaN;
  if (tailDigits === 0) {
    // Both operands are exact, so the one operation rounds correctly (Clinger, 1990).
    return scale < 0 ? head / EXACT_POWERS[-scale]! : head * EXACT_POWERS[scale]!;
  }
  const shift = EXACT_POWERS[tailDigits]!;
  const high = head * shift;
  const low = productError(head, shift, high) + tail;
  if (scale === 0) return high + low;
  if (scale > 0) return Number.NaN;
  const power = EXACT_POWERS[-scale]!;
  const quotient = (high + low) / power;
  // Few digits after all: the division had exact operands and is the answer.
  if (high + low <= Number.MAX_SAFE_INTEGER) return quotient;
  const product = quotient * power;
  // The first three are whole numbers close to each other, so nothing is lost before the error is subtracted.
  const rest = (high - product + low - productError(quotient, power, product)) / power;
  const nearest = quotient + rest * (1 - DOUBT);
  return nearest === quotient + rest * (1 + DOUBT) ? nearest : Number.NaN;
}

/** Why a number cannot be read, in the parser's words. */
export interface NumberProblem {
  readonly message: string;
  readonly at: number;
}

/** The number that was read; the parser reuses one record. */
export interface NumberFound {
  kind: number;
  value: number;
  /** The place after the number. */
  end: number;
}

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
/** `-9223372036854775808` and `18446744073709551615` have this many characters. */
const LONGEST_INTEGER = 20;

/** Reads the number that begins at `start`, which is a minus sign or a digit, whatever its form. */
export function readNumber(bytes: Uint8Array, start: number, found: NumberFound): NumberProblem | undefined {
  const isNegative = bytes[start] === MINUS;
  const first = isNegative ? start + 1 : start;
  if (!isDigit(bytes[first]!)) return readNotFinite(bytes, first, isNegative, found);
  const text = numberText(bytes, start);
  const [whole = "", point, fraction, exponentSign, exponent] =
    /^-?(?:0|[1-9][0-9]*)(?:(\.)([0-9]*))?(?:([eE][-+]?)([0-9]*))?/.exec(text) ?? [];
  const end = start + whole.length;
  if (point !== undefined && fraction === "") {
    return { message: "Miss fraction part in number.", at: start + text.indexOf(".") + 1 };
  }
  if (exponentSign !== undefined && exponent === "") return { message: "Miss exponent in number.", at: end };
  found.end = end;
  found.kind = Kind.decimal;
  found.value = Number(whole);
  if (!Number.isFinite(found.value)) return { message: "Number too big to be stored in double.", at: start };
  if (point !== undefined || exponentSign !== undefined || whole.length > LONGEST_INTEGER) return undefined;
  const integer = BigInt(whole);
  if (integer < INT64_MIN || integer > UINT64_MAX) return undefined;
  const isExact = Number.isSafeInteger(found.value);
  found.kind = isExact ? Kind.integer : Kind.bigInteger;
  // There is no integer -0: TensorFlow Serving reads it as 0.
  found.value = isExact ? found.value + 0 : start;
  return undefined;
}

/** `NaN`, `Inf` or `Infinity` at `at`, after its sign. */
export function readNotFinite(
  bytes: Uint8Array,
  at: number,
  isNegative: boolean,
  found: NumberFound,
): NumberProblem | undefined {
  const word = Buffer.from(bytes.subarray(at, at + "Infinity".length)).toString("latin1");
  const match = /^(?:NaN|Infinity|Inf)/.exec(word)?.[0];
  if (match === undefined) return { message: "Invalid value.", at };
  found.kind = Kind.decimal;
  found.value = match === "NaN" ? Number.NaN : isNegative ? -Infinity : Infinity;
  found.end = at + match.length;
  return undefined;
}

/** Digits that fit a 32-bit integer, those that fit a double together with them, and those beyond. */
const FIRST_DIGITS = 9;
const SECOND_DIGITS = 6;
const THIRD_DIGITS = 4;

/** The arrays of a tape, and how far they are filled. */
export interface NumberRun {
  readonly kinds: Uint8Array;
  readonly values: Float64Array;
  /** The next free place. */
  length: number;
}

/** More bytes than one such number with its comma and space: the fast reader keeps this far from the end of the text. */
const LONGEST_NUMBER = 40;

/**
 * Reads up to `most` numbers of at most 19 digits without an exponent, with commas and at most one space between them,
 * until the arrays are full. It stops at a number of any other form and near the end of the text; `readNumber` takes those.
 * @returns the place after the last number taken; `start` when there was none.
 */
export function readNumberRun(bytes: Uint8Array, start: number, run: NumberRun, most: number): number {
  const { kinds, values } = run;
  const last = bytes.length - LONGEST_NUMBER;
  let { length } = run;
  const full = Math.min(kinds.length, length + most);
  let end = start;
  for (let at = start; length < full && at < last; ) {
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
 * Reads one digit, a point and up to eight digits more, nine after a zero: pixels between 0 and 1 have this form. It
 * stores the number itself, since a returned one would be allocated on the heap.
 * @returns the place after it; `first` when it has another form.
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
  const size = number / EXACT_POWERS[at - start]!;
  values[place] = isNegative ? -size : size;
  return at;
}

/** Where reading stopped, and whether it met a point: variables of the module, which are faster than fields of an object. */
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

/** Continues at the point after `whole`; NaN when the number is not plain. */
function fraction(bytes: Uint8Array, point: number, whole: number): number {
  const start = point + 1;
  // As many digits as fit a 32-bit integer, which is enough for most numbers.
  const count = whole === 0 ? FIRST_DIGITS : FIRST_DIGITS - digitCount(whole);
  const first = digits(bytes, start, start + count, whole);
  if (isDigit(bytes[stop]!)) return longFraction(bytes, start, first);
  return stop === start ? Number.NaN : first / EXACT_POWERS[stop - start]!;
}

/** Continues with the digits that did not fit one integer. */
function longFraction(bytes: Uint8Array, start: number, first: number): number {
  const secondStart = stop;
  const second = digits(bytes, secondStart, secondStart + SECOND_DIGITS, 0);
  const head = first * EXACT_POWERS[stop - secondStart]! + second;
  if (!isDigit(bytes[stop]!)) return head / EXACT_POWERS[stop - start]!;
  const thirdStart = stop;
  const third = digits(bytes, thirdStart, thirdStart + THIRD_DIGITS, 0);
  if (isDigit(bytes[stop]!)) return Number.NaN;
  return nearestDouble(head, third, stop - thirdStart, start - stop);
}

function digitCount(value: number): number {
  let count = 1;
  while (value >= EXACT_POWERS[count]!) count++;
  return count;
}
