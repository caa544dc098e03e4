/** @file Losses against their formulas in plain loops, and their derivatives against finite differences. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../test/support/evaluate.ts";
import { Random } from "../base/random.ts";
import { float32, floats } from "../base/tensor.ts";
import * as g from "../graph/build.ts";
import { gradient } from "../graph/gradient.ts";
import type { Node } from "../graph/ops.ts";
import { adaFaceLoss, arcFaceLoss, cosFaceLoss } from "./identity-losses.ts";
import { binaryCrossentropy, contrastiveLoss } from "./pair-losses.ts";
import { tripletLoss } from "./triplet-loss.ts";

const BATCH = 6;
const SIZE = 4;
const CLASSES = 3;
const LABELS = [0, 1, 2, 0, 1, 1];

function draw(rows: number, columns: number, seed: number): number[][] {
  const random = new Random(seed);
  return Array.from({ length: rows }, () => Array.from({ length: columns }, () => random.normal()));
}

const EMBEDDINGS = draw(BATCH, SIZE, 1);
const DIRECTIONS = draw(SIZE, CLASSES, 2);
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const cosine = (a: readonly number[], b: readonly number[]) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
const column = (matrix: readonly number[][], index: number) => matrix.map((row) => row[index]!);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

const embeddings = g.input("embeddings", [BATCH, SIZE]);
const directions = g.input("directions", [SIZE, CLASSES]);
const labels = g.input("labels", [BATCH]);

function evaluated(node: Node, moved: number[][] = EMBEDDINGS): number[] {
  const inputs = new Map([
    ["embeddings", float32([BATCH, SIZE], moved.flat())],
    ["directions", float32([SIZE, CLASSES], DIRECTIONS.flat())],
    ["labels", float32([BATCH], LABELS)],
  ]);
  return [...floats(evaluate([node], { inputs })[0]!)];
}

/** Every derivative by the embeddings agrees with what happens when they move. */
function expectDerivative(loss: Node): void {
  const [slope] = gradient(loss, [embeddings]) as [Node];
  const derivative = evaluated(slope);
  const step = 1e-2;
  EMBEDDINGS.flat().forEach((_, at) => {
    const moved = (by: number) =>
      EMBEDDINGS.map((row, i) => row.map((value, k) => (i * SIZE + k === at ? value + by : value)));
    const difference = (evaluated(loss, moved(step))[0]! - evaluated(loss, moved(-step))[0]!) / (2 * step);
    expect([derivative[at]!]).toBeAllClose([difference], { absolute: 2e-2, relative: 2e-2 });
  });
}

/** Softmax over people in plain loops; `margin` turns the right person's cosine into the lowered one. */
function plainSoftmax(lower: (cosine: number, row: number) => number, scale: number, smoothing = 0): number {
  return mean(
    EMBEDDINGS.map((row, i) => {
      const logits = Array.from({ length: CLASSES }, (_, person) => {
        const value = cosine(row, column(DIRECTIONS, person));
        return scale * (person === LABELS[i] ? lower(value, i) : value);
      });
      const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      const target = (person: number) => (person === LABELS[i] ? 1 - smoothing : 0) + smoothing / CLASSES;
      return logits.reduce((sum, logit, person) => sum + target(person) * (logSum - logit), 0);
    }),
  );
}

describe("losses over people", () => {
  const options = { margin: 0.35, scale: 4 };

  it("CosFace lowers the right person's cosine", () => {
    const loss = cosFaceLoss(embeddings, directions, labels, options);
    expect(evaluated(loss)).toBeAllClose([plainSoftmax((value) => value - 0.35, 4)], { relative: 1e-5 });
    expectDerivative(loss);
  });

  it("spread the target where labels are smoothed", () => {
    const loss = cosFaceLoss(embeddings, directions, labels, { ...options, smoothing: 0.2 });
    expect(evaluated(loss)).toBeAllClose([plainSoftmax((value) => value - 0.35, 4, 0.2)], { relative: 1e-5 });
  });

  it("stay finite however sure the network is", () => {
    const [value] = evaluated(cosFaceLoss(embeddings, directions, labels, { margin: 0.35, scale: 1e4 }));
    expect(Number.isFinite(value)).toBe(true);
  });

  it("ArcFace grows the angle, and goes on falling beyond π − margin", () => {
    const loss = arcFaceLoss(embeddings, directions, labels, { ...options, margin: 1.2 });
    const lower = (value: number) =>
      value > Math.cos(Math.PI - 1.2) ? Math.cos(Math.acos(value) + 1.2) : value - 1.2 * Math.sin(1.2);
    const own = EMBEDDINGS.map((row, i) => cosine(row, column(DIRECTIONS, LABELS[i]!)));
    expect(own.some((value) => value < Math.cos(Math.PI - 1.2))).toBe(true);
    expect(evaluated(loss)).toBeAllClose([plainSoftmax(lower, 4)], { relative: 1e-4 });
    expectDerivative(loss);
  });

  it("AdaFace gives long embeddings an additive margin and short ones an angular one", () => {
    const statistics = { mean: g.scalar(2), deviation: g.scalar(0.3) };
    const loss = adaFaceLoss(embeddings, directions, labels, { ...options, ...statistics });
    const expected = plainSoftmax((value, i) => {
      const quality = Math.max(-1, Math.min(1, (0.333 * (Math.hypot(...EMBEDDINGS[i]!) - 2)) / 0.301));
      return Math.cos(Math.acos(value) - 0.35 * quality) - (0.35 + 0.35 * quality);
    }, 4);
    expect(evaluated(loss)).toBeAllClose([expected], { relative: 1e-3 });
  });
});

/** Squared distances of the embeddings at length 1. */
const apart = (i: number, j: number) => 2 - 2 * cosine(EMBEDDINGS[i]!, EMBEDDINGS[j]!);
const others = (i: number) => LABELS.flatMap((label, j) => (label === LABELS[i] ? [] : [j]));
const likenesses = (i: number) => LABELS.flatMap((label, j) => (label === LABELS[i] && j !== i ? [j] : []));
const rows = LABELS.map((_, i) => i);

describe("triplet loss", () => {
  it("takes the farthest of a person and the nearest of the others", () => {
    const loss = tripletLoss(embeddings, labels, "hard", 0.5);
    const single = rows
      .filter((i) => likenesses(i).length > 0)
      .map((i) => {
        const positive = Math.max(...likenesses(i).map((j) => apart(i, j)));
        const negative = Math.min(...others(i).map((j) => apart(i, j)));
        return Math.max(0, positive - negative + 0.5);
      });
    expect(single.length).toBe(5);
    expect(evaluated(loss)).toBeAllClose([mean(single)], { relative: 1e-4 });
    expectDerivative(loss);
  });

  it("takes the nearest of those that are farther away than the pair is apart", () => {
    const loss = tripletLoss(embeddings, labels, "semihard", 0.5);
    const pairs = rows.flatMap((i) => likenesses(i).map((j) => [i, j] as const));
    const each = pairs.map(([i, j]) => {
      const distances = others(i).map((k) => apart(i, k));
      const farther = distances.filter((distance) => distance > apart(i, j));
      const negative = farther.length > 0 ? Math.min(...farther) : Math.max(...distances);
      return Math.max(0, apart(i, j) - negative + 0.5);
    });
    expect(evaluated(loss)).toBeAllClose([mean(each)], { relative: 1e-4 });
    expectDerivative(loss);
  });
});

describe("losses of pairs", () => {
  const same = [1, 0, 1, 0, 0, 1];

  it("binary cross-entropy is exact for large logits too", () => {
    const logits = [0, -3, 90, -90, 2, 0.5];
    const inputs = new Map([
      ["logits", float32([6, 1], logits)],
      ["same", float32([6], same)],
    ]);
    const loss = binaryCrossentropy(g.input("logits", [6, 1]), g.input("same", [6]));
    const plain = logits.map((z, i) => (same[i] === 1 ? Math.log1p(Math.exp(-z)) : Math.log1p(Math.exp(z))));
    expect(floats(evaluate([loss], { inputs })[0]!)).toBeAllClose([mean(plain)], { relative: 1e-5 });
  });

  it("contrastive loss pulls one person together and pushes two apart to the margin", () => {
    const other = g.constant(float32([BATCH, SIZE], EMBEDDINGS.toReversed().flat()));
    const loss = contrastiveLoss(embeddings, other, g.constant(float32([BATCH], same)), 1);
    const plain = rows.map((i) => {
      const squared = apart(i, BATCH - 1 - i);
      return same[i] === 1 ? squared : Math.max(0, 1 - Math.sqrt(squared)) ** 2;
    });
    expect(evaluated(loss)).toBeAllClose([mean(plain)], { relative: 1e-4 });
  });
});
