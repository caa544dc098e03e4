/** @file Prints floating-point numbers as decimal text, digit for digit like C's `%g` and TensorFlow Serving. */

/** Powers of ten that a double represents exactly. */
export const EXACT_POWERS = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** Decimal digits as one integer: `value` has `count` digits, the first of which has the weight 10^exponent. */
export interface DecimalDigits {
  readonly value: number;
  readonly count: number;
  readonly exponent: number;
}

/** Precisions tried in turn; both give integers that a double represents exactly. */
const SHORT_DIGITS = 6;
const FLOAT32_DIGITS = 9;
/** Numbers in this range are printed without an exponent; others take the slower way of `decimalText`. */
const SMALLEST_FIXED = 1e-4;
const LARGEST_FIXED = 1e6;
/** 10^-4 to 10^6. */
const FIXED_POWERS = Float64Array.from({ length: 11 }, (_, place) => Number(`1e${place - 4}`));
/** A scaled number this close to the middle between two integers is left to `decimalText`. */
const TIE_DOUBT = 1e-5;

/**
 * The digits that `decimalText` prints, computed without text for most numbers that are neither tiny nor huge.
 * @returns undefined for the others.
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

/** C rounds a tie to the even digit, JavaScript to the greater number. */
function evenTie(digits: string): string {
  const last = Number(digits.at(-1));
  return last % 2 === 0 ? digits : `${digits.slice(0, -1)}${last - 1}`;
}

/** A finite number as C's `%.<precision>g` prints it. */
export function generalText(value: number, precision: number): string {
  const [mantissa = "", exponentText = "0"] = value.toExponential(precision - 1).split("e");
  const exponent = Number(exponentText);
  const rounded = isTie(value, precision, exponent) ? evenTie : (digits: string) => digits;
  if (exponent < -4 || exponent >= precision) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${withoutZeros(rounded(mantissa))}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  return withoutZeros(rounded(value.toFixed(precision - 1 - exponent)));
}

/** Drops trailing zeros of a fraction, and a point without digits after it. */
function withoutZeros(digits: string): string {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

/**
 * A number as TensorFlow Serving prints it in JSON: six digits where they read back to the same value, else all of them,
 * always with a point or an exponent; `NaN`, `Infinity` and `-Infinity` without quotation marks.
 */
export function decimalText(value: number, kind: "float32" | "float64"): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  let text = generalText(value, 6);
  const readBack = kind === "float32" ? Math.fround(Number(text)) : Number(text);
  if (readBack !== value) text = generalText(value, kind === "float32" ? 9 : 17);
  return text.includes(".") || text.includes("e") ? text : `${text}.0`;
}
