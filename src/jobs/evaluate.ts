/** @file Measures a model: on people it was not trained on, or by the folds of a pairs file. */
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { FaceError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { type Dataset, openDataset } from "../data/dataset.ts";
import { isLoss, type LeftOut, leftOutText } from "../data/left-out.ts";
import { Loader } from "../data/loader.ts";
import { evaluationPairs, type Pair } from "../data/pairs.ts";
import { chosenFolds, readPairs } from "../data/pairs-file.ts";
import { findPairs } from "../data/protocol.ts";
import { type FoldReport, kFold } from "../evaluate/folds.ts";
import { type EvaluationReport, measure } from "../evaluate/metrics.ts";
import { type OnMeasureProgress, type PairScores, scoreLists } from "../evaluate/score-pairs.ts";
import { type ScoredPairs, scoredPairs } from "../evaluate/scores.ts";
import { calibrate } from "../evaluate/thresholds.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import { settingsOf } from "../train/config.ts";
import {
  type DataConfig,
  datasetOptions,
  excludedPairs,
  measuredData,
  openPeople,
  type People,
} from "../train/people.ts";
import { type ModelPlace, openModel } from "../verify/open-model.ts";

/** Pairs from each group of held-out people; a rate of 1 in 100 needs a thousand pairs of different people. */
const DEFAULT_PAIRS = 4000;

/** The result of measuring a model on held-out people. */
export interface Measurement {
  readonly report: EvaluationReport;
  /** Thresholds from the validation people; absent when there are none. */
  readonly calibration: CalibrationRecord | undefined;
  readonly scored: ScoredPairs;
  /** The pairs behind `scored`, in the same order. */
  readonly pairs: readonly Pair[];
  /** Seed of the resampling behind the intervals. */
  readonly seed: number;
  /** What the dataset's folder holds that was not used, by reason. */
  readonly leftOut: readonly LeftOut[];
}

/** What a measurement reports while it runs. */
interface Watching {
  /** Gets a line for each unreadable image and each name that the dataset lacks. Default: silent. */
  readonly log?: Log | undefined;
  /** Called after each batch of images. */
  readonly onProgress?: OnMeasureProgress | undefined;
}

interface MeasureOptions extends Watching {
  readonly config: DataConfig;
  /** Whether the user knows already what the dataset leaves out. */
  readonly isTold?: boolean;
}

/** Scores with their labels, and the pairs that have one. */
function scoredOf(
  pairs: readonly Pair[],
  { scores }: PairScores,
): ScoredPairs & { readonly pairs: readonly Pair[] } {
  const labels = pairs.map(({ same }) => same);
  return { ...scoredPairs(scores, labels), pairs: pairs.filter((_, i) => !Number.isNaN(scores[i])) };
}

/** Without a test group in the split: the pairs of the people that the configuration excludes from training. */
async function pairsOfExcluded(config: DataConfig, { dataset, split }: People): Promise<Pair[] | undefined> {
  const file = split.test.length > 0 ? undefined : await excludedPairs(config);
  return file === undefined ? undefined : findPairs(file, dataset.identities, dataset.path).folds.flat();
}

/**
 * Measures a verifier on the test people, with thresholds chosen on the validation people of the same split.
 * @param options.pairs pairs to draw of each group, half of them of one person. Default 4000.
 */
export async function measureHeldOut(
  verifier: AnyVerifier,
  options: MeasureOptions & { readonly pairs?: number | undefined },
): Promise<Measurement> {
  const { config, pairs: count = DEFAULT_PAIRS, log = silentLog, onProgress } = options;
  const people = await openPeople(config, log, 0);
  const { dataset, split } = people;
  if (options.isTold !== true) warnLeftOut(dataset, log);
  await using loader = new Loader({ settings: settingsOf(config), log });
  const drawn = (group: "validation" | "test") =>
    evaluationPairs(split[group], { count, random: new Random(config.seed).fork(`${group} measurement`) });
  const validation = split.validation.length === 0 ? [] : drawn("validation");
  const test = (await pairsOfExcluded(config, people)) ?? drawn("test");
  const [ofValidation, ofTest] = (await scoreLists(verifier, loader, [validation, test], onProgress)) as [
    PairScores,
    PairScores,
  ];
  const calibration =
    validation.length === 0
      ? undefined
      : calibrate(scoredOf(validation, ofValidation), {
          dataset: dataset.name,
          people: `${split.validation.length} validation people`,
        });
  const { pairs, ...result } = scoredOf(test, ofTest);
  const missing = test.length - result.scores.length;
  const report = measure(result, { calibration, seed: config.seed, missing });
  return { report, calibration, scored: result, pairs, seed: config.seed, leftOut: dataset.leftOut ?? [] };
}

/** Folds of a pairs file that names none. */
const DEFAULT_FOLDS = 10;

/** Deals the pairs of a file without folds out to folds, each with its share of both kinds. */
function cutInFolds(pairs: readonly Pair[]): Pair[][] {
  const kinds = [true, false].map((same) => pairs.filter((pair) => pair.same === same));
  const count = Math.max(1, Math.min(DEFAULT_FOLDS, ...kinds.map(({ length }) => length)));
  return Array.from({ length: count }, (_, k) =>
    kinds.flatMap((kind) => kind.filter((_, i) => i % count === k)),
  );
}

/**
 * Runs the k-fold protocol of a pairs file on a verifier.
 * @param options.folds folds to use, counted from 1; all when left out.
 */
export async function measureFolds(
  verifier: AnyVerifier,
  pairsFile: string,
  options: MeasureOptions & { readonly folds?: readonly number[] | undefined },
): Promise<FoldReport & Pick<Measurement, "leftOut">> {
  const { config, folds: chosen = [], log = silentLog, onProgress } = options;
  const dataset = await openDataset(datasetOptions(config));
  if (options.isTold !== true) warnLeftOut(dataset, log);
  const file = chosenFolds(await readPairs(pairsFile), chosen);
  const { missing, folds: found } = findPairs(file, dataset.identities, dataset.path);
  for (const line of [...file.remarks, ...missing]) log.warn(line);
  const protocol = {
    folds: found.length === 1 && chosen.length === 0 ? cutInFolds(found[0]!) : found,
    missing,
  };
  await using loader = new Loader({ settings: settingsOf(config), log });
  const scores = await scoreLists(verifier, loader, protocol.folds, onProgress);
  const folds = protocol.folds.map((fold, i) => scoredOf(fold, scores[i]!));
  const used = folds.reduce((sum, fold) => sum + fold.scores.length, 0);
  const wanted = protocol.folds.reduce((sum, fold) => sum + fold.length, 0);
  return { ...kFold(folds, wanted - used + protocol.missing.length), leftOut: dataset.leftOut ?? [] };
}

/** Warns of what the dataset's folder holds that is not used, and of how it was read. */
export function warnLeftOut(
  { leftOut = [], remarks = [] }: Pick<Dataset, "leftOut" | "remarks">,
  log: Log,
): void {
  for (const remark of remarks) log.warn(remark);
  for (const item of leftOut.filter(isLoss)) log.warn(`left out: ${leftOutText(item)}`);
}

/** Says of a folder that nobody typed where its path comes from. */
async function withOrigin<T>(given: Partial<DataConfig> | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isTheirs = given?.dataset !== undefined || given?.datasetPath !== undefined;
    if (isTheirs || !(error instanceof FaceError) || error.code !== "DATASET_NOT_FOUND") throw error;
    throw new FaceError(error.code, `${error.message}, which the model's record names`, {
      hint: "give the photographs to measure on: --dataset-path FOLDER",
      cause: error,
    });
  }
}

/** What to measure on. */
export interface EvaluateOptions extends Watching {
  /** What the model's path names; found out when left out. */
  readonly kind?: ModelPlace["kind"] | undefined;
  /** Settings of the data that differ from those of the training; another dataset is measured with all its people. */
  readonly data?: Partial<DataConfig> | undefined;
  /** Pairs to draw of each group of held-out people, half of them of one person. Default 4000. */
  readonly pairs?: number | undefined;
}

/**
 * Measures a model on people it was not trained on, with thresholds chosen on the validation people.
 * @param model a path as for `loadModel`.
 * @throws FaceError as `loadModel` and `openDataset` do; `DATASET_INVALID` when there are no people to measure on.
 */
export async function evaluate(model: string, options: EvaluateOptions = {}): Promise<Measurement> {
  const { verifier, config } = await openModel(model, options.kind);
  await using opened = verifier;
  return await withOrigin(options.data, () =>
    measureHeldOut(opened, { ...options, config: measuredData(config, options.data) }),
  );
}

/**
 * Measures a model by the k-fold protocol of an LFW-style `pairs.txt`: each fold is judged by the others' threshold.
 * @param options.folds folds to use, counted from 1; all when left out.
 * @throws FaceError as `evaluate`; `FILE_INVALID` for a damaged pairs file.
 */
export async function evaluateFolds(
  model: string,
  pairsFile: string,
  options: Omit<EvaluateOptions, "pairs"> & { readonly folds?: readonly number[] | undefined } = {},
): Promise<FoldReport & Pick<Measurement, "leftOut">> {
  const { verifier, config } = await openModel(model, options.kind);
  await using opened = verifier;
  return await withOrigin(options.data, () =>
    measureFolds(opened, pairsFile, { ...options, config: measuredData(config, options.data) }),
  );
}
