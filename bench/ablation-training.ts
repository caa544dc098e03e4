/**
 * @file Ablation of the recipe's training: one backbone, trained briefly, with one ingredient switched off at a time.
 * `node --import tsx bench/ablation-training.ts DATASET PAIRS FOLDS [EPOCHS [LINE…]]`; lines are named as it prints them.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureFolds } from "../src/jobs/evaluate.ts";
import { train } from "../src/jobs/train.ts";
import { readCheckpoint } from "../src/train/checkpoint.ts";
import type { TrainSettings } from "../src/train/config.ts";
import { networkVerifier } from "../src/train/inference.ts";
import { BEST_CHECKPOINT } from "../src/train/listeners.ts";
import { recipeSettings } from "../src/train/recipes.ts";

const [datasetPath, pairs, folds, epochs = "8", ...lines] = process.argv.slice(2);
if (datasetPath === undefined || pairs === undefined || folds === undefined) {
  throw new Error(
    "usage: ablation-training.ts DATASET PAIRS FOLDS [EPOCHS [LINE…]], for instance lfw lfw/pairs.txt 7,8",
  );
}
const chosen = folds.split(",").map(Number);

const where: TrainSettings = {
  dataset: "lfw",
  datasetPath,
  excludePairs: pairs,
  excludeFolds: chosen,
  epochs: Number(epochs),
};
/** One crop without Gabor features, so that the effect on the network shows. */
const best: TrainSettings = {
  ...recipeSettings("best", "lfw", "none"),
  ...where,
  crops: [0.55],
  gaborCrops: [],
  projectionDim: 128,
};
const original: TrainSettings = { ...recipeSettings("original", "lfw"), ...where };

const VARIANTS: readonly (readonly [name: string, settings: TrainSettings])[] = [
  ["everything", best],
  ["people with two photographs only", { ...best, minImagesPerId: 2 }],
  ["augmentation light instead of strong", { ...best, augment: "light" }],
  ["no augmentation", { ...best, augment: "none" }],
  ["no dropout", { ...best, dropout: 0 }],
  ["last weights, not their average", { ...best, averageDecay: 0 }],
  ["no weight decay", { ...best, weightDecay: 0 }],
  ["no gradient clipping", { ...best, clipNorm: 0 }],
  ["constant learning rate", { ...best, schedule: "constant" }],
  ["arcface instead of cosface", { ...best, loss: "arcface" }],
  [
    "triplets, semi-hard, instead of cosface",
    { ...best, loss: "triplet-semihard", photosPerPerson: 4, minImagesPerId: 2 },
  ],
  ["the original network, all pairs", original],
];

const names = VARIANTS.map(([name]) => name);
const unknown = lines.find((line) => !names.includes(line));
if (unknown !== undefined) throw new Error(`there is no line "${unknown}"; there are: ${names.join("; ")}`);

for (const [name, config] of VARIANTS) {
  if (lines.length > 0 && !lines.includes(name)) continue;
  const folder = await mkdtemp(join(tmpdir(), "faceid-ablation-"));
  try {
    const { end } = await train({ config, folder });
    if (end.reason !== "finished") {
      console.log(`${name.padEnd(42)} ${end.reason}`);
      continue;
    }
    const checkpoint = await readCheckpoint(join(folder, BEST_CHECKPOINT));
    await using verifier = await networkVerifier(checkpoint.config, checkpoint.state);
    const { accuracy, auc, eer } = await measureFolds(verifier, pairs, {
      config: checkpoint.config,
      folds: chosen,
    });
    const percent = (value: number) => (value * 100).toFixed(2).padStart(6);
    console.log(
      `${name.padEnd(42)} ${percent(accuracy.mean)} %  AUC ${auc.toFixed(4)}  EER ${percent(eer)} %`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}
