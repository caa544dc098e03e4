/** @file Reads one JSON number from bytes: what kind it is, its exact value, and where it ends. */
import { nearestDouble } from "./decimal.ts";
import { Kind, numberText } from "./tape.ts";

/** Why a number cannot be read, in the parser's words. */
export interface NumberProblem {
  readonly message: string;
  readonly at: number;
}

/** Where the reader leaves what it found; one record is used again and again. */
export interface NumberFound {
  kind: number;
  value: number;
  /** The place after the number. */
  end: number;
}

const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const LETTER_E = 0x65;
const LOWER_CASE = 0x20;
/** Digits that a double holds exactly, and further ones that a pair of doubles does. */
const HEAD_DIGITS = 15;
const TAIL_DIGITS = 4;
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
/** `-9223372036854775808` and `18446744073709551615` have this many characters. */
const LONGEST_INTEGER = 20;

/** Reads the number that begins at `start`, which is a minus sign or a digit. */
export function readNumber(bytes: Uint8Array, start: number, found: NumberFound): NumberProblem | undefined {
  let at = start;
  const isNegative = bytes[at] === MINUS;
  if (isNegative) at++;
  let digit = bytes[at]! - ZERO;
  if (!(digit >= 0 && digit <= 9)) return readNotFinite(bytes, at, isNegative, found);
  let head = 0;
  let headDigits = 0;
  if (digit === 0) digit = bytes[++at]! - ZERO;
  else {
    for (; digit >= 0 && digit <= 9 && headDigits < HEAD_DIGITS; digit = bytes[++at]! - ZERO) {
      head = head * 10 + digit;
      headDigits++;
    }
    if (digit >= 0 && digit <= 9) return readLong(bytes, start, found);
  }
  if (bytes[at] === POINT) return readFraction(bytes, start, at + 1, head, headDigits, found);
  if ((bytes[at]! | LOWER_CASE) === LETTER_E) return readLong(bytes, start, found);
  found.kind = Kind.integer;
  // There is no integer -0: TensorFlow Serving reads it as 0.
  found.value = isNegative && head !== 0 ? -head : head;
  found.end = at;
  return undefined;
}

/** Goes on after the decimal point at `first - 1`, with the digits before it in `head`. */
function readFraction(
  bytes: Uint8Array,
  start: number,
  first: number,
  head: number,
  headDigits: number,
  found: NumberFound,
): NumberProblem | undefined {
  let at = first;
  let tail = 0;
  let tailDigits = 0;
  let digit = bytes[at]! - ZERO;
  for (; digit >= 0 && digit <= 9 && headDigits < HEAD_DIGITS; digit = bytes[++at]! - ZERO) {
    head = head * 10 + digit;
    if (head !== 0) headDigits++;
  }
  for (; digit >= 0 && digit <= 9 && tailDigits < TAIL_DIGITS; digit = bytes[++at]! - ZERO) {
    tail = tail * 10 + digit;
    tailDigits++;
  }
  const isLonger = (digit >= 0 && digit <= 9) || (bytes[at]! | LOWER_CASE) === LETTER_E;
  if (isLonger || at === first) return readLong(bytes, start, found);
  const value = nearestDouble(head, tail, tailDigits, first - at);
  if (Number.isNaN(value)) return readLong(bytes, start, found);
  found.kind = Kind.decimal;
  found.value = bytes[start] === MINUS ? -value : value;
  found.end = at;
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

/** Numbers of many digits or with an exponent, by way of their text. */
function readLong(bytes: Uint8Array, start: number, found: NumberFound): NumberProblem | undefined {
  const text = numberText(bytes, start);
  const [whole = "", point, fraction, exponentSign, exponent] =
    /^-?[0-9]+(?:(\.)([0-9]*))?(?:([eE][-+]?)([0-9]*))?/.exec(text) ?? [];
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
  if (!isExact) found.value = start;
  return undefined;
}
