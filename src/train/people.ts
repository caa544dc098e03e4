/** @file Who is trained on and who is measured on: the dataset of a configuration, opened and split by people. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { Log } from "../base/log.ts";
import { type Dataset, openDataset } from "../data/dataset.ts";
import { chosenFolds, namesIn, type PairsFile, readPairs } from "../data/lfw.ts";
import { type DatasetSplit, excludeIdentities, splitIdentities } from "../data/split.ts";
import { type ImageSettings, imageSettings } from "../image/settings.ts";
import type { ImageSize } from "../model/backbone.ts";
import type { TrainConfig } from "./config.ts";

export type DataConfig = Pick<
  TrainConfig,
  | "dataset"
  | "datasetPath"
  | "idFrom"
  | "idTo"
  | "imagesPerId"
  | "difficulty"
  | "excludePairs"
  | "excludeFolds"
  | "validationShare"
  | "testShare"
  | "seed"
  | "imageShape"
  | "crop"
  | "views"
  | "texture"
  | "mirror"
  | "metric"
>;

/** The keys of a configuration that say which images are used, without those that are not set. */
export function datasetOptions(config: DataConfig) {
  const { dataset, datasetPath, idFrom, idTo, imagesPerId, difficulty } = config;
  return {
    ...(dataset === undefined ? {} : { dataset }),
    ...(datasetPath === undefined ? {} : { path: datasetPath }),
    ...(idFrom === undefined ? {} : { idFrom }),
    ...(idTo === undefined ? {} : { idTo }),
    ...(imagesPerId === undefined ? {} : { imagesPerId }),
    synthetic: { difficulty },
  };
}

/** The image settings of a configuration. */
export function settingsOf(config: Pick<DataConfig, "imageShape">): ImageSettings {
  return imageSettings(config.imageShape[0]!, config.imageShape[1]!);
}

/** The settings that say how the network looks at an image. */
type ViewConfig = Pick<TrainConfig, "imageShape"> &
  Partial<Pick<TrainConfig, "crop" | "views" | "texture" | "mirror" | "metric">>;

/** What the network is given, how much of it the backbones look at, and what becomes of their embeddings. */
export function networkImageOf({
  crop = 1,
  views = [],
  texture = [],
  mirror = false,
  metric = 0,
  ...config
}: ViewConfig): ImageSize {
  const { height, width } = settingsOf(config);
  return { height, width, crop, views, texture, mirror, metric };
}

/** The pairs file whose people are kept out, cut down to the folds that are; its name alone means one in the dataset. */
export async function excludedPairs({
  excludePairs,
  excludeFolds,
  datasetPath,
}: Pick<DataConfig, "excludePairs" | "excludeFolds" | "datasetPath">): Promise<PairsFile | undefined> {
  if (excludePairs === undefined) return undefined;
  const inDataset = basename(excludePairs) === excludePairs && datasetPath !== undefined;
  const file = inDataset && !existsSync(excludePairs) ? join(datasetPath, excludePairs) : excludePairs;
  return chosenFolds(await readPairs(file), excludeFolds);
}

export interface People {
  readonly dataset: Dataset;
  readonly split: DatasetSplit;
  /** People that a pairs file keeps for its own measurement. */
  readonly excluded: number;
}

/** Opens the dataset and splits its people; the same configuration always gives the same split. */
export async function openPeople(config: DataConfig, log: Log): Promise<People> {
  const dataset = await openDataset(datasetOptions(config));
  const file = await excludedPairs(config);
  const kept = file === undefined ? new Set<string>() : namesIn(file);
  const identities = excludeIdentities(dataset.identities, kept);
  const split = splitIdentities(identities, {
    seed: config.seed,
    validation: config.validationShare,
    test: config.testShare,
  });
  log.debug("people", {
    train: split.train.length,
    validation: split.validation.length,
    test: split.test.length,
  });
  return { dataset, split, excluded: dataset.identities.length - identities.length };
}
