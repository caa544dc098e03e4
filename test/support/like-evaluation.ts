/** @file What tests of lowered programs share: values to run them on, and their evaluation to hold the results against. */
import { expect } from "vitest";
import type { Random } from "../../src/base/random.ts";
import { float32, floats, type Shape, sizeOf, type Tensor, type TensorMap } from "../../src/base/tensor.ts";
import type { Node } from "../../src/graph/ops.ts";
import { evaluate } from "./evaluate.ts";

/** Draws tensors of values in [low, high). */
export const noiseFrom =
  (random: Random) =>
  (shape: Shape, low = -1, high = 1): Tensor<"float32"> =>
    float32(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => random.between(low, high)),
    );

/** Holds what a runtime answered against the evaluation of the graph, shapes and values. */
export function expectLikeEvaluation(
  actual: TensorMap,
  outputs: Readonly<Record<string, Node>>,
  given: { readonly inputs: TensorMap; readonly parameters: TensorMap },
): void {
  const expected = evaluate(Object.values(outputs), given);
  Object.keys(outputs).forEach((name, i) => {
    expect(actual.get(name)!.shape, name).toEqual(expected[i]!.shape);
    expect(floats(actual.get(name)!), name).toBeAllClose(floats(expected[i]!), {
      absolute: 1e-4,
      relative: 1e-4,
    });
  });
}
