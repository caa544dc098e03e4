/** @file A SavedModel that takes its time: a long chain of matrix products. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Random } from "../../src/base/random.ts";
import { float32 } from "../../src/base/tensor.ts";
import { constant, input, matmul } from "../../src/graph/build.ts";
import type { Node } from "../../src/graph/ops.ts";
import { writeSavedModel } from "../../src/savedmodel/write/write.ts";

const SIDE = 512;

/**
 * Writes `y` of `x [batch, 1]`: what `times` products of `[batch, 512]` and `[512, 512]` make of it. On one core a
 * thousand rows and a hundred products are about half a second's work.
 */
export async function writeSlowModel(folder: string, times: number): Promise<void> {
  const random = new Random(1);
  const values = Float32Array.from({ length: SIDE * SIDE }, () => random.normal() / Math.sqrt(SIDE));
  const weights = constant(float32([SIDE, SIDE], values));
  const x = input("x", ["batch", 1]);
  let y: Node = matmul(x, constant(float32([1, SIDE], new Float32Array(SIDE).fill(1))));
  for (let i = 0; i < times; i++) y = matmul(y, weights);
  const narrow = matmul(y, constant(float32([SIDE, 1], new Float32Array(SIDE).fill(1))));
  await mkdir(dirname(folder), { recursive: true });
  await writeSavedModel(folder, {
    signatures: { serving_default: { inputs: { x }, outputs: { y: narrow } } },
    parameters: new Map(),
  });
}
