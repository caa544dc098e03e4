/**
 * @file What the ingredients of the recipe's training give: one tower, trained briefly, with one of them switched off at a
 * time; and what choosing pairs gives the original network.
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
import { BEST_CHECKPOINT } from "../src/train/listeners/checkpoints.ts";
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
/** One view without texture: what the network learns is to be seen. */
const best: TrainSettings = {
  ...recipeSettings("best", "lfw"),
  ...where,
  views: [0.55],
  texture: [],
  metric: 128,
};
const original: TrainSettings = { ...recipeSettings("original", "lfw"), ...where };

const VARIANTS: readonly (readonly [name: string, settings: TrainSettings])[] = [
  ["everything", best],
  ["people with two photographs only", { ...best, fewestPhotos: 2 }],
  ["augmentation light instead of strong", { ...best, augment: "light" }],
  ["no augmentation", { ...best, augment: "none" }],
  ["no dropout", { ...best, dropout: 0 }],
  ["last weights, not their average", { ...best, averageDecay: 0 }],
  ["no weight decay", { ...best, weightDecay: 0 }],
  ["no clipping of derivatives", { ...best, clipNorm: 0 }],
  ["constant learning rate", { ...best, schedule: "constant" }],
  ["arcface instead of cosface", { ...best, loss: "arcface" }],
  [
    "triplets, half-hard, instead of cosface",
    { ...best, loss: "triplet-semihard", photosPerPerson: 4, fewestPhotos: 2 },
  ],
  ["the original network, all pairs", original],
  ["the original network, half-hard pairs", { ...original, mining: "semihard" }],
  ["the original network, hardest pairs", { ...original, mining: "hard" }],
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
