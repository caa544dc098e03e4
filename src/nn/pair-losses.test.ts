/** @file All pairs of a batch against the losses of the same pairs written out one by one. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { Random } from "../base/random.ts";
import { float32, floats, type TensorMap } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import type { Node } from "../graph/ops.ts";
import { batchPairs, pairsAccuracy, pairsContrastive, pairsCrossentropy } from "./pair-losses.ts";

const LABELS = [4, 2, 4, 4, 2];
const BATCH = LABELS.length;
const SIZE = 3;
const random = new Random(8);
const LOGITS = Array.from({ length: BATCH * BATCH }, () => random.normal());
const EMBEDDINGS = Array.from({ length: BATCH }, () => Array.from({ length: SIZE }, () => random.normal()));

const labels = g.input("labels", [BATCH]);
const logits = g.input("logits", [BATCH * BATCH, 1]);
const embeddings = g.input("embeddings", [BATCH, SIZE]);

function elementsOf(node: Node, given: readonly number[] = LABELS): number[] {
  const inputs: TensorMap = new Map([
    ["labels", float32([BATCH], given)],
    ["logits", float32([BATCH * BATCH, 1], LOGITS)],
    ["embeddings", float32([BATCH, SIZE], EMBEDDINGS.flat())],
  ]);
  return [...floats(evaluate([node], { inputs })[0]!)];
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Half the mean over pairs of one person and half that over pairs of two. */
function balanced(value: (a: number, b: number, same: boolean) => number): number {
  const of = (wanted: boolean) =>
    LABELS.flatMap((left, a) =>
      LABELS.flatMap((right, b) => (a !== b && (left === right) === wanted ? [value(a, b, wanted)] : [])),
    );
  return (mean(of(true)) + mean(of(false))) / 2;
}

const pairs = batchPairs(labels);

describe("all pairs of a batch", () => {
  it("count half for one person and half for two, an image with itself nothing", () => {
    const weights = elementsOf(pairs.weights);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
    for (let i = 0; i < BATCH; i++) expect(weights[i * BATCH + i]).toBe(0);
    // Three photographs of one person and two of the other: 3·2 + 2·1 ordered pairs.
    expect(weights[0 * BATCH + 2]).toBeCloseTo(0.5 / 8, 6);
    expect(weights[0 * BATCH + 1]).toBeCloseTo(0.5 / 12, 6);
  });

  it("leave out a half that is not there", () => {
    const weights = elementsOf(pairs.weights, [1, 2, 3, 4, 5]);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(0.5, 6);
  });

  it("have the cross-entropy of the pairs one by one", () => {
    const expected = balanced((a, b, same) => {
      const probability = 1 / (1 + Math.exp(-LOGITS[a * BATCH + b]!));
      return -Math.log(same ? probability : 1 - probability);
    });
    expect(elementsOf(pairsCrossentropy(logits, pairs))[0]).toBeCloseTo(expected, 5);
  });

  it("have the accuracy of the pairs one by one", () => {
    const expected = balanced((a, b, same) => Number(LOGITS[a * BATCH + b]! > 0 === same));
    expect(elementsOf(pairsAccuracy(logits, pairs))[0]).toBeCloseTo(expected, 5);
  });

  it("have the contrastive loss of the pairs one by one", () => {
    const unit = EMBEDDINGS.map((row) => row.map((value) => value / Math.hypot(...row)));
    const expected = balanced((a, b, same) => {
      const distance = Math.hypot(...unit[a]!.map((value, i) => value - unit[b]![i]!));
      return same ? distance ** 2 : Math.max(0, 0.8 - distance) ** 2;
    });
    expect(elementsOf(pairsContrastive(embeddings, pairs, 0.8))[0]).toBeCloseTo(expected, 5);
  });
});
