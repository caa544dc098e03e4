/** @file Evaluation of the ops that go element by element, in double precision; 64-bit integers exactly. */
import { FaceError } from "../base/errors.ts";
import { isFloat, type Tensor } from "../base/tensor.ts";
import { broadcasted, commonShape } from "./evaluate-moving.ts";
import {
  allocate,
  type BigIntDType,
  type Elements,
  fromNumbers,
  isBigInt,
  numbersOf,
  tensorOf,
} from "./numbers.ts";
import type { OpAttrs } from "./ops.ts";

type Rule = (inputs: readonly Tensor[]) => Tensor;

function bigintsOf(value: Tensor): Elements<bigint> {
  return (value as Tensor<BigIntDType>).data;
}

/**
 * A rule from the function of one to three elements; the operands broadcast. `exact` is the same for 64-bit integers,
 * where that makes sense.
 */
export function elementwise(
  op: string,
  f: (a: number, b: number, c: number) => number,
  exact?: (a: bigint, b: bigint) => bigint,
): Rule {
  return (inputs) => {
    const shape = commonShape(...inputs);
    const [x, y = x, z = x] = inputs.map((value) => broadcasted(value, shape)) as [Tensor, Tensor?, Tensor?];
    if (!isBigInt(x.dtype)) {
      const [a, b, c] = [numbersOf(x), numbersOf(y), numbersOf(z)];
      return tensorOf(x.dtype, shape, (out) => {
        for (let i = 0; i < out.length; i++) out[i] = f(a[i]!, b[i]!, c[i]!);
      });
    }
    if (exact === undefined) {
      throw new FaceError("MODEL_UNSUPPORTED", `${op} of ${x.dtype} numbers is not available`);
    }
    const result = allocate(x.dtype, shape);
    const [a, b, out] = [bigintsOf(x), bigintsOf(y), bigintsOf(result)];
    for (let i = 0; i < out.length; i++) out[i] = exact(a[i]!, b[i]!);
    return result;
  };
}

/** A rule from a question about two elements, of any one type; the answer is bool. */
export function comparison(holds: (a: number | bigint, b: number | bigint) => boolean): Rule {
  return (inputs) => {
    const shape = commonShape(...inputs);
    const [a, b] = inputs.map((value) => {
      const whole = broadcasted(value, shape);
      return isBigInt(value.dtype) ? bigintsOf(whole) : numbersOf(whole);
    }) as [Elements<number | bigint>, Elements<number | bigint>];
    return tensorOf("bool", shape, (out) => {
      for (let i = 0; i < out.length; i++) out[i] = holds(a[i]!, b[i]!) ? 1 : 0;
    });
  };
}

/** Quotient; that of whole numbers loses its fraction. */
const quotient = elementwise(
  "div",
  (a, b) => a / b,
  (a, b) => a / b,
);

export function evaluateDiv(inputs: readonly Tensor[]): Tensor {
  const divisor = inputs[1]!;
  if (!isFloat(divisor.dtype) && includesZero(divisor)) {
    throw new FaceError("MODEL_INVALID", "div: a whole number is divided by zero");
  }
  return quotient(inputs);
}

function includesZero(value: Tensor): boolean {
  const numbers = numbersOf(value);
  for (let i = 0; i < numbers.length; i++) if (numbers[i] === 0) return true;
  return false;
}

/** A whole number to a whole power; a negative power leaves only the fraction, which is lost. */
function wholePower(base: bigint, exponent: bigint): bigint {
  if (exponent >= 0n) return base ** exponent;
  if (base === 1n || base === -1n) return base ** -exponent;
  return 0n;
}

export const evaluatePow = elementwise("pow", (a, b) => a ** b, wholePower);

const LAST_32_BITS = 32;

/** Converts between types; 64-bit integers keep their low bits when they become narrower ones. */
export function evaluateCast([x]: readonly Tensor[], { to }: OpAttrs["cast"]): Tensor {
  if (!isBigInt(x!.dtype) || isFloat(to) || to === "bool") return fromNumbers(to, x!.shape, numbersOf(x!));
  const result = allocate(to, x!.shape);
  const values = bigintsOf(x!);
  const out = result.data as Elements<number | bigint>;
  for (let i = 0; i < out.length; i++) {
    out[i] = isBigInt(to) ? values[i]! : Number(BigInt.asIntN(LAST_32_BITS, values[i]!));
  }
  return result;
}

/** Logarithm of 1 + e^x without overflow. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** 1 / (1 + e^-x) without overflow. */
export function sigmoid(x: number): number {
  const small = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + small) : small / (1 + small);
}

/** Beyond this the error function differs from ±1 by less than a double can tell. */
const ERF_SATURATES = 6;

/**
 * The error function, by its series of positive terms (Abramowitz and Stegun, 7.1.6):
 * `2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!`.
 */
export function erf(x: number): number {
  if (Math.abs(x) > ERF_SATURATES) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > Math.abs(sum) * Number.EPSILON; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
