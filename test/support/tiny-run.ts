/** @file A training run that takes seconds: drawn people, the compact network, a handful of steps. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TrainConfig, trainConfigSchema } from "../../src/train/config.ts";

/** Ten drawn people at the smallest size; two epochs of two steps unless told otherwise. */
export function tinyConfig(changes: Partial<TrainConfig> = {}): TrainConfig {
  return trainConfigSchema.parse({
    dataset: "synthetic",
    idTo: 9,
    imagesPerId: 3,
    imageShape: [96, 96],
    model: "compact",
    batchSize: 4,
    datasetSize: 8,
    epochs: 2,
    validationPairs: 8,
    validationFraction: 0.2,
    testFraction: 0.2,
    ...changes,
  });
}

/** Flags of the command for such a run, but for its epochs. */
export const TINY_FLAGS: readonly string[] = [
  ["--dataset", "synthetic"],
  ["--id-to", "11"],
  ["--images-per-id", "3"],
  ["--model", "compact"],
  ["--image-shape", "96x96"],
  ["--batch-size", "4"],
  ["--dataset-size", "16"],
  ["--validation-pairs", "8"],
  ["--validation-fraction", "0.25"],
  ["--test-fraction", "0.25"],
  ["--progress", "plain"],
].flat();

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `faceid-${name}-`));
}
