/** @file The dataset of a configuration, opened and split by people into training, validation and test. */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Log } from "../base/log.ts";
import { type Dataset, openDataset } from "../data/dataset.ts";
import { isLoss, leftOutText } from "../data/left-out.ts";
import { chosenFolds, type PairsFile, readPairs } from "../data/pairs-file.ts";
import { peopleIn } from "../data/protocol.ts";
import { type DatasetSplit, excludeIdentities, splitIdentities } from "../data/split.ts";
import { type TrainConfig, trainConfigSchema } from "./config.ts";

/** Settings of the data, and of the network that the data goes through. */
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
  | "validationFraction"
  | "testFraction"
  | "seed"
  | "imageShape"
  | "crop"
  | "crops"
  | "gaborCrops"
  | "mirror"
  | "projectionDim"
>;

/** The settings that choose the images, without those that are not set. */
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

/** The excluded folds of the pairs file; a bare file name may lie in the dataset's folder. */
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

/** Settings that choose people of one dataset and mean nothing for another. */
const OF_ONE_DATASET = {
  dataset: true,
  datasetPath: true,
  idFrom: true,
  idTo: true,
  imagesPerId: true,
  difficulty: true,
  excludePairs: true,
  excludeFolds: true,
  validationFraction: true,
  testFraction: true,
} as const;

/** Half of the people choose thresholds and half are measured, where a model was trained on none of them. */
const HALF = 0.5;

/** Whether the given data is the recorded data: the same place, or a copy of the folder elsewhere. */
function isRecorded(recorded: DataConfig, { dataset, datasetPath }: Partial<DataConfig>): boolean {
  if (dataset !== undefined && dataset !== recorded.dataset && recorded.dataset !== undefined) return false;
  if (datasetPath === undefined) return dataset === undefined || dataset === recorded.dataset;
  const known = recorded.datasetPath;
  if (known === undefined) return false;
  const { excludePairs } = recorded;
  const isCopy =
    basename(resolve(known)) === basename(resolve(datasetPath)) &&
    (excludePairs === undefined || existsSync(excludePairs) || existsSync(join(datasetPath, excludePairs)));
  return resolve(known) === resolve(datasetPath) || isCopy;
}

/**
 * The data to measure a model on. Its record says which people of its own dataset were held out; a dataset that is not its
 * own is opened afresh, with all its people.
 * @param recorded settings of the model's training.
 * @param given settings that the user names.
 */
export function measuredData(recorded: DataConfig, given: Partial<DataConfig> = {}): DataConfig {
  if (isRecorded(recorded, given)) return { ...recorded, ...given };
  const fresh = trainConfigSchema.pick(OF_ONE_DATASET).parse({});
  const held = {
    validationFraction: Math.min(HALF, 1 - (given.testFraction ?? HALF)),
    testFraction: Math.min(HALF, 1 - (given.validationFraction ?? HALF)),
  };
  const without = Object.fromEntries(Object.keys(OF_ONE_DATASET).map((key) => [key, undefined]));
  return { ...recorded, ...without, ...fresh, ...held, ...given };
}

export interface People {
  readonly dataset: Dataset;
  readonly split: DatasetSplit;
  /** Number of people that the pairs file excludes. */
  readonly excluded: number;
}

/**
 * Opens the dataset and splits its people; the same configuration gives the same split.
 * @param leastTrained people with two images that must be left to train on. Default 2.
 */
export async function openPeople(config: DataConfig, log: Log, leastTrained?: number): Promise<People> {
  const dataset = await openDataset(datasetOptions(config));
  const file = await excludedPairs(config);
  const { names, unknown } =
    file === undefined
      ? { names: new Set<string>(), unknown: [] }
      : peopleIn(file, dataset.identities, dataset.path);
  for (const remark of file?.remarks ?? []) log.warn(remark);
  if (unknown.length > 0) {
    log.warn(`${unknown.length} people of ${file!.path} are not in the dataset, such as ${unknown[0]}`);
  }
  const identities = excludeIdentities(dataset.identities, names);
  let split: DatasetSplit;
  try {
    split = splitIdentities(identities, {
      seed: config.seed,
      validation: config.validationFraction,
      test: config.testFraction,
      leastTrained,
    });
  } catch (error) {
    // Somebody whose people are too few wants to know whom the folder's layout left out.
    for (const item of (dataset.leftOut ?? []).filter(isLoss)) log.warn(`left out: ${leftOutText(item)}`);
    throw error;
  }
  log.debug("people", {
    train: split.train.length,
    validation: split.validation.length,
    test: split.test.length,
  });
  return { dataset, split, excluded: dataset.identities.length - identities.length };
}
