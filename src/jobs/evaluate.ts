/** @file Measures a model: on people it was not trained on, or by the folds of a pairs file. */
import { availableParallelism } from "node:os";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { type Log, silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { leftOutOf } from "../data/dataset-faces.ts";
import { imageName } from "../data/identity.ts";
import { chosenFolds, findPairs, readPairs } from "../data/lfw.ts";
import { Loader } from "../data/loader.ts";
import { evaluationPairs, type Pair } from "../data/pairs.ts";
import { type FoldReport, kFold } from "../evaluate/folds.ts";
import {
  type EvaluationReport,
  type FaceCounts,
  LOWEST_SCORE,
  type Measure,
  measure,
} from "../evaluate/metrics.ts";
import { type OnMeasureProgress, type PairScores, scoreLists } from "../evaluate/score-pairs.ts";
import { type ScoredPairs, scoredPairs } from "../evaluate/scores.ts";
import { calibrate } from "../evaluate/thresholds.ts";
import type { Framing } from "../faces/alignment.ts";
import { PACKS } from "../faces/packs/catalogue.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import { settingsOf } from "../train/config.ts";
import { type DataConfig, excludedPairs, openImages, openPeople, type People } from "../train/people.ts";
import { framingOf } from "../verify/face-comparer.ts";
import { type ModelPlace, type OpenedModel, openModel } from "../verify/open-model.ts";
import { openPackModel } from "../verify/pack-verifier.ts";

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
}

/** What a measurement reports while it runs. */
interface Watching {
  /** Gets a line for each unreadable image and each name that the dataset lacks. Default: silent. */
  readonly log?: Log | undefined;
  /** Called after each batch of images. */
  readonly onProgress?: OnMeasureProgress | undefined;
}

export interface MeasureOptions extends Watching {
  readonly config: DataConfig;
  /** How the model wants faces cut out, where `config` has them found. Default: as in training. */
  readonly framing?: Framing | undefined;
  /** What a score of the verifier is. Default `probability`. */
  readonly measure?: Measure | undefined;
  /** The thresholds of a model that was not trained on the dataset, so that all its people are measured on. */
  readonly record?: CalibrationRecord | undefined;
}

/** Loads images for a measurement: faces are found on all cores. */
function openLoader({ config, log = silentLog }: MeasureOptions): Loader {
  const workers = config.faces === "none" ? 1 : availableParallelism();
  return new Loader({ settings: settingsOf(config), log, workers });
}

/** What became of the photographs; nothing where whole images were taken. */
function faceCounts({ config }: MeasureOptions, loader: Loader): Partial<FaceCounts> {
  if (config.faces === "none") return {};
  const { facesNotFound: withoutFace, unreadable } = leftOutOf(loader);
  return { facesNotFound: withoutFace.length, withoutFace, unreadable };
}

/**
 * Scores with their labels, and the pairs that have one. A pair has the lowest score where a face was not found, and none
 * where a file could not be read.
 */
function scoredOf(
  pairs: readonly Pair[],
  { scores }: PairScores,
  loader: Loader,
  measure: Measure = "probability",
): ScoredPairs & { readonly pairs: readonly Pair[] } {
  const unreadable = new Set(loader.unreadable);
  const labels = pairs.map(({ same }) => same);
  const judged = scores.map((score, i) => {
    const { left, right } = pairs[i]!;
    const isFaceMissing =
      Number.isNaN(score) && ![left, right].some((image) => unreadable.has(imageName(image)));
    return isFaceMissing ? LOWEST_SCORE[measure] : score;
  });
  return { ...scoredPairs(judged, labels), pairs: pairs.filter((_, i) => !Number.isNaN(judged[i])) };
}

/** The people of a measurement. */
async function measuredPeople({ config, framing, record, log = silentLog }: MeasureOptions): Promise<People> {
  if (record === undefined) return await openPeople(config, log, framing);
  const dataset = await openImages(config, log, framing);
  return { dataset, split: { train: [], validation: [], test: dataset.identities }, excluded: 0 };
}

/** Without a test group in the split: the pairs of the people that the configuration excludes from training. */
async function pairsOfExcluded(config: DataConfig, { dataset, split }: People): Promise<Pair[] | undefined> {
  const file = split.test.length > 0 ? undefined : await excludedPairs(config);
  return file === undefined ? undefined : findPairs(file, dataset.identities).folds.flat();
}

/**
 * Measures a verifier on the test people, with thresholds chosen on the validation people of the same split.
 * @param options.pairs pairs to draw of each group, half of them of one person. Default 4000.
 */
export async function measureHeldOut(
  verifier: AnyVerifier,
  options: MeasureOptions & { readonly pairs?: number | undefined },
): Promise<Measurement> {
  const { config, pairs: count = DEFAULT_PAIRS, onProgress, record, measure: kind } = options;
  const people = await measuredPeople(options);
  const { dataset, split } = people;
  await using loader = openLoader(options);
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
      ? record
      : calibrate(scoredOf(validation, ofValidation, loader, kind), {
          dataset: dataset.name,
          people: `${split.validation.length} validation people`,
        });
  const { pairs, ...result } = scoredOf(test, ofTest, loader, kind);
  const missing = test.length - result.scores.length;
  const report = {
    ...measure(result, {
      calibration,
      seed: config.seed,
      missing,
      ...(kind === undefined ? {} : { measure: kind }),
    }),
    ...faceCounts(options, loader),
  };
  return { report, calibration, scored: result, pairs, seed: config.seed };
}

/**
 * Runs the k-fold protocol of a pairs file on a verifier.
 * @param options.folds folds to use, counted from 1; all when left out.
 */
export async function measureFolds(
  verifier: AnyVerifier,
  pairsFile: string,
  options: MeasureOptions & { readonly folds?: readonly number[] | undefined },
): Promise<FoldReport> {
  const { config, framing, folds: chosen = [], log = silentLog, onProgress } = options;
  const dataset = await openImages(config, log, framing);
  const protocol = findPairs(chosenFolds(await readPairs(pairsFile), chosen), dataset.identities);
  for (const name of protocol.missing) log.warn(`${name} is in the pairs file but not in the dataset`);
  await using loader = openLoader(options);
  const scores = await scoreLists(verifier, loader, protocol.folds, onProgress);
  const folds = protocol.folds.map((fold, i) => scoredOf(fold, scores[i]!, loader, options.measure));
  const used = folds.reduce((sum, fold) => sum + fold.scores.length, 0);
  const wanted = protocol.folds.reduce((sum, fold) => sum + fold.length, 0);
  const report = kFold(folds, wanted - used + protocol.missing.length, config.seed);
  return { ...report, ...faceCounts(options, loader) };
}

/** What to measure on. */
export interface EvaluateOptions extends Watching {
  /** What the model's path or name stands for; found out when left out. */
  readonly kind?: ModelPlace["kind"] | "pack" | undefined;
  /** Settings of the data that differ from those of the training. */
  readonly data?: Partial<DataConfig> | undefined;
  /** Pairs to draw of each group of held-out people, half of them of one person. Default 4000. */
  readonly pairs?: number | undefined;
}

/** Opens what is to be measured. */
export async function openMeasured(
  model: string,
  { kind, log }: Pick<EvaluateOptions, "kind" | "log">,
): Promise<OpenedModel> {
  const isPack = kind === "pack" || (kind === undefined && PACKS.some(({ name }) => name === model));
  return await (isPack ? openPackModel(model, { log }) : openModel(model, kind));
}

/** How a model is measured with these settings of the data. */
export function measureOptions(
  model: string,
  opened: OpenedModel,
  data: Partial<DataConfig> = {},
): Pick<MeasureOptions, "config" | "framing" | "measure" | "record"> {
  const config = { ...opened.config, ...data };
  return {
    config,
    ...(config.faces === "none" ? {} : { framing: framingOf(model, opened) }),
    ...(opened.pack === undefined ? {} : { measure: "cosine", record: opened.calibration }),
  };
}

/**
 * Measures a model on people it was not trained on, with thresholds chosen on the validation people. A model pack is
 * measured on all people, with its own thresholds.
 * @param model a path as for `loadModel`, or the name of a pack.
 * @throws FaceError as `loadModel` and `openDataset` do; `DATASET_INVALID` when there are no people to measure on.
 */
export async function evaluate(model: string, options: EvaluateOptions = {}): Promise<Measurement> {
  const opened = await openMeasured(model, options);
  await using verifier = opened.verifier;
  return await measureHeldOut(verifier, { ...options, ...measureOptions(model, opened, options.data) });
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
): Promise<FoldReport> {
  const opened = await openMeasured(model, options);
  await using verifier = opened.verifier;
  return await measureFolds(verifier, pairsFile, {
    ...options,
    ...measureOptions(model, opened, options.data),
  });
}
