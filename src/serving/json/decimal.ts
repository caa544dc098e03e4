/** @file Decimal digits to the nearest double, exactly, without going through a string; and floats to decimal text. */

/** Powers of ten that a double holds exactly. */
const EXACT_POWERS = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));
const LARGEST_EXACT = EXACT_POWERS.length - 1;

/** 2^27 + 1, which splits a double into two halves of 26 bits (Veltkamp; Dekker, 1971). */
const SPLITTER = 134_217_729;
/** Far more than the error of the quotient below, far less than half a unit in the last place. */
const DOUBT = 2 ** -40;

/** What a × b lacks from the exact product, when `product` is the rounded one (Dekker, 1971). */
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
 * @returns NaN when this cannot tell for sure; the caller then parses the text.
 */
export function nearestDouble(head: number, tail: number, tailDigits: number, scale: number): number {
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
  // The first three are whole numbers close to each other, so that nothing is lost before the error is taken off.
  const rest = (high - product + low - productError(quotient, power, product)) / power;
  const nearest = quotient + rest * (1 - DOUBT);
  return nearest === quotient + rest * (1 + DOUBT) ? nearest : Number.NaN;
}

/** Decimal digits as one whole number: `value` has `count` digits, the first of which counts 10^exponent. */
export interface DecimalDigits {
  readonly value: number;
  readonly count: number;
  readonly exponent: number;
}

/** Precisions tried in turn; both give whole numbers that a double holds exactly. */
const SHORT_DIGITS = 6;
const FLOAT32_DIGITS = 9;
/** Numbers in this range are printed without an exponent; outside of it text has to do. */
const SMALLEST_FIXED = 1e-4;
const LARGEST_FIXED = 1e6;
/** 10^-4 to 10^6. */
const FIXED_POWERS = Float64Array.from({ length: 11 }, (_, place) => Number(`1e${place - 4}`));
/** A scaled number this close to the middle between two whole ones is rounded by way of text. */
const TIE_DOUBT = 1e-5;

/**
 * The digits that `decimalText` would print, without text: for most numbers that are neither tiny nor huge.
 * @returns undefined when only `decimalText` can tell.
 */
export function decimalDigits(value: number, kind: "float32" | "float64"): DecimalDigits | undefined {
  const size = Math.abs(value);
  if (!(size >= SMALLEST_FIXED && size < LARGEST_FIXED)) return undefined;
  let exponent = -4;
  while (size >= FIXED_POWERS[exponent + 5]!) exponent++;
  const short = roundedDigits(size, SHORT_DIGITS, exponent);
  if (short === undefined) return undefined;
  const readBack = short.value / EXACT_POWERS[SHORT_DIGITS - 1 - exponent]!;
  const isSame = kind === "float32" ? Math.fround(readBack) === size : readBack === size;
  if (isSame) return short;
  return kind === "float32" ? roundedDigits(size, FLOAT32_DIGITS, exponent) : undefined;
}

function roundedDigits(size: number, count: number, exponent: number): DecimalDigits | undefined {
  const scaled = size * EXACT_POWERS[count - 1 - exponent]!;
  const below = Math.floor(scaled);
  const above = scaled - below;
  if (Math.abs(above - 0.5) < TIE_DOUBT) return undefined;
  const value = above > 0.5 ? below + 1 : below;
  return value < EXACT_POWERS[count]! ? { value, count, exponent } : undefined;
}

/** Whether a value lies exactly between two numbers of this many digits; `exponent` is that of its first digit. */
function isTie(value: number, precision: number, exponent: number): boolean {
  // Such a value has one digit more, a 5: it is an odd multiple of 2 to the power of minus the number of its decimals.
  return Math.abs(value * 2 ** (precision - exponent)) % 2 === 1;
}

/** C takes the even one of two numbers that are equally near, where JavaScript takes the greater one. */
function evenTie(digits: string): string {
  const last = Number(digits.at(-1));
  return last % 2 === 0 ? digits : `${digits.slice(0, -1)}${last - 1}`;
}

/** Digits and exponent of C's `%.<precision>g`, from JavaScript's exponential notation. */
function general(value: number, precision: number): string {
  const [mantissa = "", exponentText = "0"] = value.toExponential(precision - 1).split("e");
  const exponent = Number(exponentText);
  const rounded = isTie(value, precision, exponent) ? evenTie : (digits: string) => digits;
  if (exponent < -4 || exponent >= precision) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${withoutZeros(rounded(mantissa))}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  return withoutZeros(rounded(value.toFixed(precision - 1 - exponent)));
}

/** Drops the zeros at the end of a fraction, and the point with the last of them. */
function withoutZeros(digits: string): string {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

/**
 * A number as TensorFlow Serving prints it: six digits where they read back to the same value, all of them where not,
 * always recognisable as a decimal; `NaN`, `Infinity` and `-Infinity` bare.
 */
export function decimalText(value: number, kind: "float32" | "float64"): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  let text = general(value, 6);
  const readBack = kind === "float32" ? Math.fround(Number(text)) : Number(text);
  if (readBack !== value) text = general(value, kind === "float32" ? 9 : 17);
  return text.includes(".") || text.includes("e") ? text : `${text}.0`;
}
