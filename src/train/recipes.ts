/** @file Recipes: named presets of settings, each of which flags can override. */
import type { TrainConfig } from "./config.ts";

type Settings = Readonly<Partial<TrainConfig>>;

export interface Recipe {
  /** One sentence for help texts. */
  readonly summary: string;
  readonly settings: Settings;
  /** Settings added for a dataset of this layout. */
  readonly datasets?: Readonly<Record<string, Settings>>;
  /** Settings that replace those for aligned faces where the images stay as they are. */
  readonly unaligned?: Settings;
}

/** Layouts whose images are crops already, which are not aligned. */
const CROPS: readonly (string | undefined)[] = ["synthetic", "digiface"];

/** SGD with a large learning rate on a softmax over people: the usual way of training a face embedding. */
const SOFTMAX_OVER_PEOPLE: Settings = {
  sampling: "people",
  photosPerPerson: 1,
  augment: "strong",
  optimizer: "sgd",
  nesterov: true,
  learningRate: 0.1,
  clipNorm: 5,
};

/** Keeps folds 7 and 8, the last two that are complete in the dataset, for the measurement. */
const LFW: Settings = { excludePairs: "pairs.txt", excludeFolds: [7, 8], testFraction: 0 };

// An aligned face of 64 pixels is as large as in the crop of 0.55 of LFW's photographs at 112.
const best: Recipe = {
  summary:
    "ensemble of two crops of aligned faces with CosFace, Gabor features, PLDA projection and fitted head: for thousands of images",
  settings: {
    ...SOFTMAX_OVER_PEOPLE,
    model: "closeup",
    faces: "align",
    imageShape: [64, 64],
    crops: [1, 0.75],
    gaborCrops: [1, 0.64],
    mirror: true,
    projectionDim: 256,
    loss: "cosface",
    minImagesPerId: 1,
    batchSize: 64,
    datasetSize: 6400,
    epochs: 40,
    schedule: "cosine",
    warmupSteps: 200,
    weightDecay: 0.005,
    dropout: 0.2,
    averageDecay: 0.998,
    validationFraction: 0.08,
    validationPairs: 100,
  },
  datasets: { lfw: LFW },
  // For faces as in LFW's photographs. The Gabor crop of 0.59 does not pay (docs/notes/recipe-best.md).
  unaligned: {
    faces: "none",
    imageShape: [112, 112],
    crops: [0.55, 0.7, 0.42],
    gaborCrops: [0.59, 0.36],
  },
};

/** The original network and loss, the cross-entropy of pairs, over all pairs of a batch of images. */
const original: Recipe = {
  summary:
    "the original network on aligned faces, cross-entropy of all pairs of a batch: for thousands of images",
  settings: {
    model: "faceid",
    faces: "align",
    imageShape: [64, 64],
    sampling: "people",
    photosPerPerson: 2,
    minImagesPerId: 1,
    loss: "bce",
    augment: "strong",
    batchSize: 64,
    datasetSize: 6400,
    epochs: 40,
    learningRate: 0.0005,
    schedule: "cosine",
    warmupSteps: 200,
    averageDecay: 0.998,
    validationFraction: 0.08,
  },
  datasets: { lfw: LFW },
  // For faces as in LFW's photographs.
  unaligned: { faces: "none", imageShape: [112, 112], crop: 0.6 },
};

/**
 * The paper's loss, augmentation, batch, optimiser and epochs, with SynFace's schedule, to which it refers. `resnet`
 * replaces its ResNet-50; the paper states neither its first learning rate nor the range of its warps.
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
    maxImagesPerId: 72,
    epochs: 40,
    schedule: "step",
    decayEpochs: [24, 30, 36],
    warmupSteps: 4000,
    weightDecay: 0.005,
    validationFraction: 0.01,
    testFraction: 0.01,
    validationPairs: 2000,
  },
};

/** The pretrained network as it is, with what can be fitted to one's own people. */
const adapt: Recipe = {
  summary:
    "the pretrained network adapted to your people in minutes: projection, head and thresholds, never worse than its cosine on people held out; from two people up",
  settings: {
    model: "sface",
    faces: "align",
    frozen: true,
    mirror: true,
    validationFraction: 0.2,
    testFraction: 0.2,
  },
  datasets: { lfw: LFW },
};

/** All of the pretrained network trained further, at a small rate. */
const finetune: Recipe = {
  summary:
    "all of the pretrained network trained further on your people at a small rate, never worse than its cosine on people held out; falls back to adapt",
  settings: {
    model: "sface",
    faces: "align",
    finetune: true,
    mirror: true,
    head: "cosine",
    sampling: "people",
    photosPerPerson: 2,
    loss: "cosface",
    augment: "light",
    optimizer: "sgd",
    nesterov: true,
    learningRate: 0.002,
    schedule: "cosine",
    warmupSteps: 20,
    clipNorm: 5,
    averageDecay: 0.99,
    batchSize: 64,
    datasetSize: 4480,
    epochs: 3,
    validationFraction: 0.2,
    testFraction: 0.2,
    validationPairs: 600,
  },
  datasets: { lfw: LFW },
};

/** The student of a model pack: a tenth of its size, from the same photographs as `best`. */
const student: Recipe = {
  summary:
    "a small network learns the embeddings of --teacher from aligned faces, then PLDA projection and fitted head",
  settings: {
    teacher: "opencv-sface",
    teacherMix: 0.3,
    faces: "align",
    model: "slim",
    projectionDim: 128,
    sampling: "people",
    photosPerPerson: 1,
    minImagesPerId: 1,
    augment: "strong",
    optimizer: "adamw",
    learningRate: 0.002,
    weightDecay: 0.05,
    schedule: "cosine",
    warmupSteps: 200,
    averageDecay: 0.998,
    batchSize: 64,
    datasetSize: 8832,
    epochs: 40,
    validationFraction: 0.08,
    validationPairs: 400,
  },
  datasets: { lfw: LFW },
};

export const RECIPES = { adapt, finetune, best, original, student, digiface } as const;
export type RecipeName = keyof typeof RECIPES;
export const RECIPE_NAMES = Object.keys(RECIPES) as readonly RecipeName[];

/** The recipe that is meant: the one that is named, or that of students where a teacher is. */
export const recipeOf = ({
  recipe,
  teacher,
}: {
  readonly recipe?: RecipeName | undefined;
  readonly teacher?: string | undefined;
}): RecipeName | undefined => recipe ?? (teacher === undefined ? undefined : "student");

/**
 * The settings of a recipe for a dataset, if its layout is known.
 * @param faces what the user says of aligning, if anything.
 */
export function recipeSettings(
  name: RecipeName,
  dataset: string | undefined,
  faces?: TrainConfig["faces"],
): Settings {
  const { settings, datasets = {}, unaligned = {} }: Recipe = RECIPES[name];
  const staysAsItIs = faces === "none" || (faces === undefined && CROPS.includes(dataset));
  return {
    ...settings,
    ...(dataset === undefined ? {} : datasets[dataset]),
    ...(staysAsItIs ? unaligned : {}),
  };
}
