/** @file The numbers that an exported model takes: pixels within their range, other numbers finite. */
import { FaceError } from "../base/errors.ts";
import { partsOf, shapeText, type Tensor } from "../base/tensor.ts";

/** How far resizing and rounding may take a pixel beyond its range. */
const ROUNDING = 1e-4;
/** The largest value of an eight-bit pixel. */
const EIGHT_BITS = 255;

/** The place of the first value that is not from `least` to `most`; not a number is outside of every range. */
function firstOutside(
  value: Tensor<"float32">,
  least: number,
  most: number,
): { readonly at: number; readonly number: number } | undefined {
  let start = 0;
  for (const part of partsOf(value)) {
    const data = part.data as Float32Array;
    for (let i = 0; i < data.length; i++) {
      const number = data[i]!;
      if (!(number >= least && number <= most)) return { at: start + i, number };
    }
    start += data.length;
  }
  return undefined;
}

/** The index of an element in each axis. */
function indicesOf(at: number, shape: readonly number[]): number[] {
  const indices: number[] = [];
  let rest = at;
  for (const side of shape.toReversed()) {
    indices.unshift(rest % side);
    rest = Math.floor(rest / side);
  }
  return indices;
}

/**
 * Checks the values of an input.
 * @param name for the error
 * @param range of an image's pixels; other inputs take any finite numbers
 * @throws FaceError `SHAPE_MISMATCH` that names what is wanted, the first wrong value and its indices.
 */
export function checkValues(
  name: string,
  value: Tensor<"float32">,
  range?: readonly [least: number, most: number],
): void {
  const [least, most] = range ?? [-Number.MAX_VALUE, Number.MAX_VALUE];
  const tolerance = range === undefined ? 0 : ROUNDING;
  const wrong = firstOutside(value, least - tolerance, most + tolerance);
  if (wrong === undefined) return;
  const wanted = range === undefined ? "finite numbers" : `RGB in [${least}, ${most}]`;
  const isEightBit = range !== undefined && wrong.number > most && wrong.number <= EIGHT_BITS;
  throw new FaceError(
    "SHAPE_MISMATCH",
    `${name} takes ${wanted}, got ${wrong.number} at ${shapeText(indicesOf(wrong.at, value.shape))}` +
      (isEightBit ? "; divide eight-bit pixels by 255" : ""),
  );
}
