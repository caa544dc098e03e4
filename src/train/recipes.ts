/** @file Recipes: settings that go well together, under a name; every one of them can be set otherwise. */
import type { TrainConfig } from "./config.ts";

type Settings = Readonly<Partial<TrainConfig>>;

export interface Recipe {
  /** One sentence for help texts. */
  readonly summary: string;
  readonly settings: Settings;
  /** What is added for a dataset of this layout. */
  readonly datasets?: Readonly<Record<string, Settings>>;
}

/** Large steps that fade out, on photographs by people; the field's usual way of training an embedding. */
const SOFTMAX_OVER_PEOPLE: Settings = {
  sampling: "people",
  photosPerPerson: 1,
  augment: "strong",
  optimizer: "sgd",
  nesterov: true,
  learningRate: 0.1,
  clipNorm: 5,
};

/** The last two folds that the dataset has whole are kept for the measurement. */
const LFW: Settings = { excludePairs: "pairs.txt", excludeFolds: [7, 8], testShare: 0 };

const best: Recipe = {
  summary:
    "three close-cut backbones with CosFace over all people, texture, metric and head: for some thousands of photographs",
  settings: {
    ...SOFTMAX_OVER_PEOPLE,
    model: "closeup",
    views: [0.55, 0.7, 0.42],
    texture: [0.59, 0.36],
    mirror: true,
    metric: 256,
    loss: "cosface",
    fewestPhotos: 1,
    batchSize: 64,
    datasetSize: 6400,
    epochs: 40,
    schedule: "cosine",
    warmupSteps: 200,
    weightDecay: 0.005,
    dropout: 0.2,
    averageDecay: 0.998,
    validationShare: 0.08,
    validationPairs: 100,
  },
  datasets: { lfw: LFW },
};

/** The original network with the loss that is its own, the cross-entropy of pairs: each image embedded once, all pairs used. */
const original: Recipe = {
  summary: "the original network, cross-entropy of all pairs of a batch: for some thousands of photographs",
  settings: {
    model: "faceid",
    crop: 0.6,
    sampling: "people",
    photosPerPerson: 2,
    fewestPhotos: 1,
    loss: "bce",
    augment: "strong",
    batchSize: 64,
    datasetSize: 6400,
    epochs: 40,
    learningRate: 0.0005,
    schedule: "cosine",
    warmupSteps: 200,
    averageDecay: 0.998,
    validationShare: 0.08,
  },
  datasets: { lfw: LFW },
};

/**
 * The paper's loss, augmentation, batch, optimiser and epochs, with the steps of SynFace's schedule to which it refers. Its ResNet-50 is
 * replaced by `resnet`; it states neither its first learning rate nor how far its warps go.
 */
const digiface: Recipe = {
  summary: "DigiFace-1M as in its paper (Bae et al., 2023, §4): AdaFace, SGD, 40 epochs, its augmentation",
  settings: {
    ...SOFTMAX_OVER_PEOPLE,
    augment: "digiface",
    model: "resnet",
    dataset: "digiface",
    loss: "adaface",
    margin: 0.4,
    scale: 64,
    batchSize: 256,
    datasetSize: 1_220_000,
    mostPhotos: 72,
    epochs: 40,
    schedule: "step",
    decayEpochs: [24, 30, 36],
    warmupSteps: 4000,
    weightDecay: 0.005,
    validationShare: 0.01,
    testShare: 0.01,
    validationPairs: 2000,
  },
};

export const RECIPES = { best, original, digiface } as const;
export type RecipeName = keyof typeof RECIPES;
export const RECIPE_NAMES = Object.keys(RECIPES) as readonly RecipeName[];

/** The settings of a recipe for a dataset, if its layout is known. */
export function recipeSettings(name: RecipeName, dataset: string | undefined): Settings {
  const { settings, datasets = {} }: Recipe = RECIPES[name];
  return { ...settings, ...(dataset === undefined ? {} : datasets[dataset]) };
}
