/** @file The dataset of a configuration, opened and split by people into training, validation and test. */

import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { splitAsTrained, type TrainedPeople, trainedPeople } from "../artifact/trained-people.ts";
import { FaceError, messageOf } from "../base/errors.ts";
import { decodeText, readRegular } from "../base/files.ts";
import { counted, countText, type Log, reasonOf } from "../base/log.ts";
import { parseCsv } from "../data/csv.ts";
import { type Dataset, openConfigured } from "../data/dataset.ts";
import { findDatasetFaces, type UnusedPhotos, withFaces, withoutUnused } from "../data/dataset-faces.ts";
import { countImages, type Identity, type ImageRef } from "../data/identity.ts";
import { isLoss, leftOutText } from "../data/left-out.ts";
import { chosenFolds, type PairsFile, readPairs } from "../data/pairs-file.ts";
import { peopleIn } from "../data/protocol.ts";
import { type DatasetSplit, excludeIdentities, splitIdentities } from "../data/split.ts";
import type { Framing } from "../faces/alignment.ts";
import type { Mode } from "../faces/mode.ts";
import { settingsOf, type TrainConfig, trainConfigSchema } from "./config.ts";
import { type UnnamedSettings, unnamedPhotos } from "./unnamed.ts";

/** Settings of the data, and of the network that the data goes through. */
export type DataConfig = Pick<
  TrainConfig,
  | "dataset"
  | "datasetPath"
  | "idFrom"
  | "idTo"
  | "imagesPerId"
  | "difficulty"
  | "faces"
  | "face"
  | "excludePairs"
  | "excludeFolds"
  | "exclude"
  | "validationFraction"
  | "testFraction"
  | "seed"
  | "imageShape"
  | "crop"
  | "crops"
  | "gaborCrops"
  | "mirror"
  | "projectionDim"
  | "head"
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
  face: true,
  excludePairs: true,
  excludeFolds: true,
  exclude: true,
  validationFraction: true,
  testFraction: true,
} as const;

/** Much more than any list of photographs takes. */
const LARGEST_LIST = 2 ** 28;

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

/** Settings that decide which people of a dataset were held out. */
const OF_THE_SPLIT = [
  "dataset",
  "idFrom",
  "idTo",
  "imagesPerId",
  "excludePairs",
  "excludeFolds",
  "validationFraction",
  "testFraction",
  "seed",
] as const;

/**
 * Whether the people that are measured with the given settings are those that a run with the recorded ones held out: the
 * same folder, or a copy of it with the pairs file that names them, split in the same way.
 */
export function areHeldOut(recorded: DataConfig, given: Partial<DataConfig> = {}): boolean {
  if (!isRecorded(recorded, given)) return false;
  const isSame = (key: keyof DataConfig) =>
    given[key] === undefined || JSON.stringify(given[key]) === JSON.stringify(recorded[key]);
  if (!OF_THE_SPLIT.every(isSame)) return false;
  const { datasetPath = recorded.datasetPath } = given;
  const isSamePlace = datasetPath === undefined || resolve(datasetPath) === resolve(recorded.datasetPath!);
  return isSamePlace || recorded.excludePairs !== undefined;
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

/** How networks that are trained here take faces. */
export const TRAINED_FRAMING: Framing = { kind: "aligned" };

/** The dataset without the photographs that a CSV lists by paths in the dataset's folder or from anywhere. */
async function withoutExcluded(dataset: Dataset, file: string | undefined, log: Log): Promise<Dataset> {
  if (file === undefined) return dataset;
  const text = await readRegular(file, LARGEST_LIST).catch((error: unknown) => {
    if (error instanceof FaceError) {
      throw new FaceError("FILE_INVALID", error.message, { hint: error.hint, cause: error });
    }
    throw new FaceError("FILE_INVALID", `cannot read ${file}: ${messageOf(error)}`, {
      hint: "name the CSV that faceid dataset clean wrote",
      cause: error,
    });
  });
  const { names, rows } = parseCsv(decodeText(text), file);
  if (!names.includes("path")) {
    throw new FaceError("FILE_INVALID", `${file} has no column path, but ${names.join(", ")}`, {
      hint: "name the CSV that faceid dataset clean wrote",
    });
  }
  const root = dataset.path ?? ".";
  const listed = new Set(rows.map(({ path }) => resolve(root, path!)));
  const isKept = (image: ImageRef) => image.kind !== "file" || !listed.delete(resolve(image.path));
  const identities = dataset.identities
    .map(({ name, images }) => ({ name, images: images.filter(isKept) }))
    .filter(({ images }) => images.length > 0);
  const [unknown] = listed;
  log.info(
    `${file} leaves out ${countText(countImages(dataset.identities) - countImages(identities))} photographs`,
  );
  if (unknown !== undefined) {
    log.warn(`${countText(listed.size)} photographs of ${file} are not in the dataset, such as ${unknown}`);
  }
  return { ...dataset, identities };
}

/** How the faces of photographs are found and cut out. */
export interface CutWish {
  /** Default: as in training. */
  readonly framing?: Framing | undefined;
  /** The mode of the pack whose detector finds them. Default: the usual one. */
  readonly mode?: Mode | undefined;
}

/**
 * Opens the dataset of a configuration. With `faces: align` its images are the faces of its photographs.
 */
export async function openImages(
  config: DataConfig,
  log: Log,
  { framing = TRAINED_FRAMING, mode }: CutWish = {},
): Promise<Dataset> {
  const dataset = await withoutExcluded(await openConfigured(datasetOptions(config)), config.exclude, log);
  if (config.faces === "none") return dataset;
  const [height, width] = config.imageShape;
  if (height !== width) {
    throw new FaceError("CONFIG_INVALID", `faces are cut out as squares, the images are ${height}x${width}`, {
      hint: "set `imageShape` to a square, such as 112x112, or leave out `faces` align",
    });
  }
  return await withFaces(dataset, { framing, mode, choice: config.face }, log);
}

export interface People {
  readonly dataset: Dataset;
  readonly split: DatasetSplit;
  /** Number of people that the pairs file excludes. */
  readonly excluded: number;
  /** Whom a training on this split sees, whatever photographs of them it can use. */
  readonly trained: TrainedPeople;
  /** Photographs that training cannot use; absent where nobody looked for faces. */
  readonly leftOut?: UnusedPhotos;
}

/** What a user of people asks beside their configuration. */
export interface PeopleWish extends CutWish {
  /** People with two images that must be left to train on. Default 2. */
  readonly leastTrained?: number | undefined;
  /** Whom a model was trained on: people are dealt out as its training did, and nobody else counts as trained. */
  readonly trained?: TrainedPeople | undefined;
}

/** The split of a training; where it measured on nobody of the dataset, newcomers are not measured on either. */
function asTrained(
  identities: readonly Identity[],
  trained: TrainedPeople,
  { testFraction }: DataConfig,
): DatasetSplit {
  const split = splitAsTrained(identities, trained);
  return testFraction === 0 ? { ...split, test: [] } : split;
}

/**
 * Opens the dataset and splits its people; the same configuration gives the same split, whether faces are found or not. People
 * that come later to a dataset change the split, unless `trained` says who was in it.
 */
export async function openPeople(
  config: DataConfig,
  log: Log,
  { framing, mode, leastTrained, trained }: PeopleWish = {},
): Promise<People> {
  const dataset = await openImages(config, log, { framing, mode });
  const file = await excludedPairs(config);
  const { names, unknown } =
    file === undefined
      ? { names: new Set<string>(), unknown: [] }
      : peopleIn(file, dataset.identities, dataset.path);
  for (const remark of file?.remarks ?? []) log.warn(remark);
  if (unknown.length > 0) {
    log.warn(
      `${counted(unknown.length, "person", "people")} of ${file!.path} ${unknown.length === 1 ? "is" : "are"} not in the dataset, such as ${unknown[0]}`,
    );
  }
  const identities = excludeIdentities(dataset.identities, names);
  let split: DatasetSplit;
  try {
    split =
      trained === undefined
        ? splitIdentities(identities, {
            seed: config.seed,
            validation: config.validationFraction,
            test: config.testFraction,
            leastTrained,
          })
        : asTrained(identities, trained, config);
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
  return {
    dataset,
    split,
    trained: trained ?? trainedPeople(split),
    excluded: dataset.identities.length - identities.length,
  };
}

/** Left-out photographs that are named one by one; the run's description lists all. */
const NAMED = 20;
const SAY_EVERY_MS = 10_000;

/** Says how far the search for faces is, now and then. */
export function faceProgress(log: Log) {
  let said = Date.now();
  return (done: number, total: number) => {
    if (Date.now() - said < SAY_EVERY_MS) return;
    said = Date.now();
    log.info(`looked for faces in ${countText(done)} of ${countText(total)} photographs`);
  };
}

/** Says what is left out, with reasons. */
export function sayLeftOut(log: Log, { facesNotFound, unreadable }: UnusedPhotos): void {
  const all = [...facesNotFound, ...unreadable];
  if (all.length === 0) return;
  log.warn(
    `left out: ${counted(facesNotFound.length, "photograph")} without the face, ${counted(unreadable.length, "unreadable file")}`,
  );
  for (const each of all.slice(0, NAMED)) log.warn(reasonOf(each));
  if (all.length > NAMED) log.warn(`and ${countText(all.length - NAMED)} more`);
}

/**
 * The people of a training run. With `faces: align` the faces of training and validation people are found first, and
 * photographs without one are left out.
 * @throws FaceError as `openPeople` and `findDatasetFaces`.
 */
export async function trainingPeople(
  config: DataConfig & UnnamedSettings & Pick<TrainConfig, "strict">,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<People> {
  const named = await openPeople(config, log);
  const unnamed = await unnamedPhotos(config, countImages(named.dataset.identities), log);
  const people = { ...named, split: { ...named.split, train: [...named.split.train, ...unnamed] } };
  if (config.faces === "none") return people;
  const { train, validation, test } = people.split;
  const leftOut = await findDatasetFaces([...train, ...validation], {
    settings: settingsOf(config),
    log,
    strict: config.strict,
    signal,
    onProgress: faceProgress(log),
  });
  sayLeftOut(log, leftOut);
  const split = {
    train: withoutUnused(train, leftOut),
    validation: withoutUnused(validation, leftOut),
    test,
  };
  return { ...people, split, leftOut };
}
