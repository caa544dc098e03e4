/** @file Measures a trained network on people it was not trained on. */
import { type Log, silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { openDataset } from "../data/dataset.ts";
import { chosenFolds, findPairs, readPairs } from "../data/lfw.ts";
import { Loader } from "../data/loader.ts";
import { evaluationPairs, type Pair } from "../data/pairs.ts";
import { type FoldReport, kFold } from "../evaluate/folds.ts";
import { type EvaluationReport, measure } from "../evaluate/metrics.ts";
import { scorePairs } from "../evaluate/score-pairs.ts";
import { type ScoredPairs, scoredPairs } from "../evaluate/scores.ts";
import { type CalibrationRecord, calibrate } from "../evaluate/thresholds.ts";
import { type OnMeasureProgress, watchedVerifier } from "../evaluate/watched-verifier.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import { type Checkpoint, readCheckpoint } from "../train/checkpoint.ts";
import {
  type DataConfig,
  datasetOptions,
  excludedPairs,
  openPeople,
  type People,
  settingsOf,
} from "../train/people.ts";
import { checkpointVerifier } from "../verify/checkpoint-verifier.ts";

/** Pairs of each group of held-out people; rates down to 1 in 100 need a thousand different pairs. */
const CALIBRATION_PAIRS = 4000;

export interface Measurement {
  readonly report: EvaluationReport;
  /** Thresholds from the validation people; absent when there are none. */
  readonly calibration: CalibrationRecord | undefined;
  readonly scored: ScoredPairs;
  /** The pairs behind `scored`, in the same order. */
  readonly pairs: readonly Pair[];
  /** Seed of the resampling behind the intervals. */
  readonly seed: number;
}

export interface MeasureOptions {
  readonly config: DataConfig;
  readonly pairs?: number;
  readonly log?: Log;
  /** Told after each batch of images. */
  readonly onProgress?: OnMeasureProgress | undefined;
}

interface Scored extends ScoredPairs {
  /** Those that could be scored. */
  readonly pairs: readonly Pair[];
}

async function scored(verifier: AnyVerifier, loader: Loader, pairs: readonly Pair[]): Promise<Scored> {
  const { scores } = await scorePairs(verifier, loader, pairs);
  const labels = pairs.map(({ same }) => same);
  return { ...scoredPairs(scores, labels), pairs: pairs.filter((_, i) => !Number.isNaN(scores[i])) };
}

/** The pairs of the people who were kept out for measuring, where the split itself sets nobody aside. */
async function keptOutPairs(config: DataConfig, { dataset, split }: People): Promise<Pair[] | undefined> {
  const file = split.test.length > 0 ? undefined : await excludedPairs(config);
  return file === undefined ? undefined : findPairs(file, dataset.identities).folds.flat();
}

/** Measures on the test people, with thresholds chosen on the validation people of the same split. */
export async function measureHeldOut(
  verifier: AnyVerifier,
  { config, pairs = CALIBRATION_PAIRS, log = silentLog, onProgress = () => undefined }: MeasureOptions,
): Promise<Measurement> {
  const people = await openPeople(config, log);
  const { dataset, split } = people;
  await using loader = new Loader({ settings: settingsOf(config), log });
  const drawn = (group: "validation" | "test") =>
    evaluationPairs(split[group], {
      count: pairs,
      random: new Random(config.seed).fork(`${group} measurement`),
    });
  const validation = split.validation.length === 0 ? [] : drawn("validation");
  const test = (await keptOutPairs(config, people)) ?? drawn("test");
  const watched = watchedVerifier(verifier, [validation, test], onProgress);
  const calibration =
    validation.length === 0
      ? undefined
      : calibrate(await scored(watched, loader, validation), {
          dataset: dataset.name,
          people: `${split.validation.length} validation people`,
        });
  const { pairs: readable, ...result } = await scored(watched, loader, test);
  watched.finish();
  const report = measure(result, {
    calibration,
    seed: config.seed,
    missing: test.length - result.scores.length,
  });
  return { report, calibration, scored: result, pairs: readable, seed: config.seed };
}

/** Measures a checkpoint the same way. */
export async function measureRun({
  checkpoint,
  ...options
}: Omit<MeasureOptions, "config"> & { readonly checkpoint: string }): Promise<Measurement> {
  const state: Checkpoint = await readCheckpoint(checkpoint);
  await using verifier = await checkpointVerifier(state);
  return await measureHeldOut(verifier, { config: state.config, ...options });
}

/**
 * Runs the k-fold protocol of a pairs file on a dataset.
 * @param options.chosen folds to use, counted from 1; all when left out.
 */
export async function measureFolds(
  verifier: AnyVerifier,
  pairsFile: string,
  {
    config,
    log = silentLog,
    onProgress = () => undefined,
    chosen = [],
  }: MeasureOptions & { readonly chosen?: readonly number[] },
): Promise<FoldReport> {
  const dataset = await openDataset(datasetOptions(config));
  const protocol = findPairs(chosenFolds(await readPairs(pairsFile), chosen), dataset.identities);
  for (const name of protocol.missing) log.warn(`${name} is in the pairs file but not in the dataset`);
  await using loader = new Loader({ settings: settingsOf(config), log });
  const folds: ScoredPairs[] = [];
  const watched = watchedVerifier(verifier, protocol.folds, onProgress);
  for (const fold of protocol.folds) folds.push(await scored(watched, loader, fold));
  watched.finish();
  const used = folds.reduce((sum, fold) => sum + fold.scores.length, 0);
  const wanted = protocol.folds.reduce((sum, fold) => sum + fold.length, 0);
  return kFold(folds, wanted - used + protocol.missing.length);
}
