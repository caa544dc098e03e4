/** @file One try of an op: inputs with shapes and kinds of values, and how the node is made from them. */
import fc from "fast-check";
import { Random } from "../../src/base/random.ts";
import { type DType, sizeOf, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import { input } from "../../src/graph/build.ts";
import { fromNumbers } from "../../src/graph/numbers.ts";
import type { Node } from "../../src/graph/ops.ts";

/** Draws the elements of one input. */
type Draw = (random: Random, size: number) => number[];

/** One input of an op under test. */
export interface OpInput {
  readonly shape: readonly number[];
  readonly draw: Draw;
  /** `float` stands for the floating type that a test is about. */
  readonly dtype: "float" | DType;
  /** Whether the first axis may be left unknown when the graph is built. */
  readonly batch: boolean;
}

/** One try of an op. */
export interface OpTry {
  readonly inputs: readonly OpInput[];
  readonly build: (inputs: readonly Node[]) => Node;
  /** Values of the parameters that `build` makes. */
  readonly parameters?: TensorMap;
}

/** How an op is tried: with which inputs and attributes, and what can be said of its derivative. */
export interface OpCase {
  readonly tries: fc.Arbitrary<OpTry>;
  /** `unavailable` for ops whose derivative rule refuses; all others are compared with differences. */
  readonly derivative: "compared" | "unavailable";
}

/** Grid positions that no two inputs of a try share, and that are never 0, so that no kink is near. */
const PHASES = [0.3, 0.4513, 0.6171];

/** Distinct numbers spread over a range, in random order: no ties, no kinks. */
export const spread =
  (low: number, high: number, phase = 0): Draw =>
  (random, size) =>
    random
      .shuffle(Array.from({ length: size }, (_, i) => i))
      .map((i) => low + ((high - low) * (i + PHASES[phase]!)) / size);

const whole =
  (low: number, high: number): Draw =>
  (random, size) =>
    Array.from({ length: size }, () => low + random.integer(high - low + 1));

/** A floating input; `phase` tells inputs of one try apart. */
export const floats = (
  shape: readonly number[],
  { low = -2, high = 2, phase = 0, batch = false } = {},
): OpInput => ({ shape, draw: spread(low, high, phase), dtype: "float", batch });

/** A whole-number input with values from `low` to `high`, both included. */
export const integers = (
  shape: readonly number[],
  low: number,
  high: number,
  dtype: "int32" | "int64" = "int64",
): OpInput => ({ shape, draw: whole(low, high), dtype, batch: false });

export const bools = (shape: readonly number[], batch = false): OpInput => ({
  shape,
  draw: whole(0, 1),
  dtype: "bool",
  batch,
});

const inputName = (index: number) => `x${index}`;

/** The values of a try's inputs, drawn from a seed; floats are of the given type. */
export function drawInputs({ inputs }: OpTry, float: "float32" | "float64", seed: number): TensorMap {
  const random = new Random(seed);
  return new Map(
    inputs.map(({ shape, draw, dtype }, i): [string, Tensor] => [
      inputName(i),
      fromNumbers(dtype === "float" ? float : dtype, shape, draw(random, sizeOf(shape))),
    ]),
  );
}

/** The input nodes of a try; with `batch`, first axes that may be unknown are. */
export function inputNodes({ inputs }: OpTry, float: "float32" | "float64", batch?: string): Node[] {
  return inputs.map(({ shape, dtype, batch: mayBeUnknown }, i) =>
    input(
      inputName(i),
      batch !== undefined && mayBeUnknown ? [batch, ...shape.slice(1)] : shape,
      dtype === "float" ? float : dtype,
    ),
  );
}

/** A deterministic source for random nodes. */
export function draws(stream: string, shape: readonly number[]): Float32Array {
  const random = new Random(stream.length);
  return Float32Array.from({ length: sizeOf(shape) }, () => random.uniform());
}

// Arbitrary shapes.

const sides = fc.integer({ min: 1, max: 4 });

/** Shapes with sides of 1 to 4. */
export const shapes = (minRank = 0, maxRank = 4) =>
  fc.array(sides, { minLength: minRank, maxLength: maxRank });

/** Several shapes that broadcast to one: each lacks leading axes or has sides of 1. */
export function broadcastable(count: number, maxRank = 4): fc.Arbitrary<number[][]> {
  const part = (full: number[]) =>
    fc
      .tuple(fc.integer({ min: 0, max: full.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
      .map(([missing, shrink]) => full.slice(missing).map((side, axis) => (shrink[axis] ? 1 : side)));
  return shapes(0, maxRank).chain((full) => fc.array(part(full), { minLength: count, maxLength: count }));
}

/** A shape and a choice of its axes, ascending. */
export const shapeAndAxes = shapes(0, 4).chain((shape) =>
  fc.subarray(shape.map((_, axis) => axis)).map((axes) => ({ shape, axes })),
);

/** A shape of rank 1 or more, and one of its axes. */
export const shapeAndAxis = shapes(1, 4).chain((shape) =>
  fc.integer({ min: 0, max: shape.length - 1 }).map((axis) => ({ shape, axis })),
);

/** Elements of a numeric tensor as plain numbers, whatever its type. */
export function plainNumbers(value: Tensor): number[] {
  return Array.from(value.data as Float32Array, Number);
}
