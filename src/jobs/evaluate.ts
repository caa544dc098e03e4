/** @file Measures a model: on the people that its training held out, on those of any dataset, or by the folds of a pairs file. */

import { basename } from "node:path";
import { z } from "zod";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { weightsText } from "../artifact/rates.ts";
import { splitAsTrained, type TrainedPeople, trainedPeople } from "../artifact/trained-people.ts";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { countText, type Log, silentLog } from "../base/log.ts";
import { usableCores } from "../base/platform.ts";
import { Random } from "../base/random.ts";
import { type Dataset, requireDataset } from "../data/dataset.ts";
import { leftOutOf } from "../data/dataset-faces.ts";
import { type Identity, imageName } from "../data/identity.ts";
import { isLoss, type LeftOut, leftOutText } from "../data/left-out.ts";
import { Loader } from "../data/loader.ts";
import { evaluationPairs, type Pair } from "../data/pairs.ts";
import { chosenFolds, readPairs } from "../data/pairs-file.ts";
import { findPairs } from "../data/protocol.ts";
import { checkFolds, type FoldReport, kFold } from "../evaluate/folds.ts";
import type { AttributeReport } from "../evaluate/groups.ts";
import {
  type EvaluationReport,
  type FaceCounts,
  LOWEST_SCORE,
  type Measure,
  measure,
} from "../evaluate/metrics.ts";
import { bestThreshold } from "../evaluate/roc.ts";
import { type OnMeasureProgress, type PairScores, scoreLists } from "../evaluate/score-pairs.ts";
import { type ScoredPairs, scoredPairs } from "../evaluate/scores.ts";
import { calibrate, calibratePopulation } from "../evaluate/thresholds.ts";
import type { Framing } from "../faces/alignment.ts";
import type { Mode } from "../faces/mode.ts";
import { packModelNamed } from "../faces/packs/catalogue.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import { allPairs } from "../train/adapt.ts";
import { settingsOf, trainConfigSchema } from "../train/config.ts";
import {
  areHeldOut,
  type DataConfig,
  excludedPairs,
  measuredData,
  openImages,
  openPeople,
  type People,
} from "../train/people.ts";
import { framingOf } from "../verify/face-comparer.ts";
import { type ModelPlace, type OpenedModel, openModel } from "../verify/open-model.ts";
import { openPackModel } from "../verify/pack-verifier.ts";
import { type GroupOptions, groupReports } from "./groups.ts";
import { withJournal } from "./measure-journal.ts";

/** Pairs from each group of held-out people; a rate of 1 in 100 needs a thousand pairs of different people. */
const DEFAULT_PAIRS = 4000;

/** Pairs where groups are wanted, each of which needs pairs of its own. */
const GROUPED_PAIRS = 100_000;

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
  /** Error rates by groups, where they were asked for. */
  readonly groups?: readonly AttributeReport[];
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

export interface MeasureOptions extends Watching {
  readonly config: DataConfig;
  /** How the model wants faces cut out, where `config` has them found. Default: as in training. */
  readonly framing?: Framing | undefined;
  /** The mode of the pack that is measured, whose search finds the faces. Default: the usual one. */
  readonly mode?: Mode | undefined;
  /** What a score of the verifier is. Default `probability`. */
  readonly measure?: Measure | undefined;
  /** Whether the measured people are those that the model's training held out. Default true. */
  readonly heldOut?: boolean;
  /** The model's own thresholds, so that all people of the dataset are measured on. */
  readonly record?: CalibrationRecord | undefined;
  /** Where the record comes from. Default: the pack. */
  readonly source?: string | undefined;
  /** The thresholds that the model stores: it is judged at these, as it will be in use. */
  readonly stored?: CalibrationRecord | undefined;
  /** Whom it was trained on, where the data is that of its training. */
  readonly trained?: TrainedPeople | undefined;
  /** Thresholds from so many pairs of each kind of the validation people, at most; a default number of balanced pairs when left out. */
  readonly calibrationPairs?: number | undefined;
  /** Whether the user knows already what the dataset leaves out. */
  readonly isTold?: boolean;
}

/** Loads images for a measurement: faces are found on all cores. */
export function openLoader({ config, log = silentLog }: MeasureOptions): Loader {
  const workers = config.faces === "none" ? 1 : usableCores();
  return new Loader({ settings: settingsOf(config), log, workers });
}

/** What became of the photographs; nothing where whole images were taken. */
export function faceCounts({ config }: MeasureOptions, loader: Loader): Partial<FaceCounts> {
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

/** Whether the model was trained on nobody of the data, so that there is nobody to keep apart. */
export const isFresh = ({ validationFraction, testFraction }: DataConfig): boolean =>
  validationFraction + testFraction >= 1;

/** The people of a measurement. */
export async function measuredPeople({
  config,
  framing,
  mode,
  record,
  stored,
  trained,
  log = silentLog,
}: MeasureOptions): Promise<People> {
  const all = record !== undefined || (stored !== undefined && isFresh(config));
  if (!all) return await openPeople(config, log, { framing, mode, leastTrained: 0, trained });
  const dataset = await openImages(config, log, { framing, mode });
  const split = { train: [], validation: [], test: dataset.identities };
  return { dataset, split, trained: trainedPeople(split), excluded: 0 };
}

/** Without a test group in the split: the pairs of the people that the configuration excludes from training. */
async function pairsOfExcluded(config: DataConfig, { dataset, split }: People): Promise<Pair[] | undefined> {
  const file = split.test.length > 0 ? undefined : await excludedPairs(config);
  return file === undefined ? undefined : findPairs(file, dataset.identities, dataset.path).folds.flat();
}

/** Where a model's own thresholds come from. */
const storedSource = ({ data: { people: whose, dataset }, weights }: CalibrationRecord) => {
  const people = whose.replace(/^\d+/, (count) => countText(Number(count)));
  const isNamed = people.toLowerCase().includes(`of ${dataset.toLowerCase()}`);
  return `the model's record (${isNamed ? people : `${people} of ${dataset}`})${weightsText(weights)}`;
};

/**
 * Measures a verifier on the test people, with thresholds chosen on the validation people of the same split.
 * @param options.pairs pairs to draw of each group, half of them of one person. Default 4000.
 */
export async function measureHeldOut(
  verifier: AnyVerifier,
  options: MeasureOptions & GroupOptions & { readonly pairs?: number | undefined },
): Promise<Measurement> {
  const isGrouped = options.groups !== undefined || options.byQuality === true;
  const {
    config,
    pairs: count = isGrouped ? GROUPED_PAIRS : DEFAULT_PAIRS,
    log = silentLog,
    onProgress,
    record = options.stored,
    source = options.stored === undefined ? "the pack's record" : storedSource(options.stored),
    measure: kind,
  } = options;
  const people = await measuredPeople(options);
  const { dataset, split } = people;
  if (options.isTold !== true) warnLeftOut(dataset, log);
  await using loader = openLoader(options);
  const drawn = (group: "validation" | "test") =>
    evaluationPairs(split[group], { count, random: new Random(config.seed).fork(`${group} measurement`) });
  const { calibrationPairs } = options;
  const validation =
    split.validation.length === 0 || options.stored !== undefined
      ? []
      : calibrationPairs === undefined
        ? drawn("validation")
        : allPairs(
            split.validation,
            calibrationPairs,
            new Random(config.seed).fork("validation measurement"),
          );
  // Groups need many pairs of two people, more than there are of one.
  const drawnTest = () =>
    isGrouped
      ? allPairs(split.test, count / 2, new Random(config.seed).fork("test measurement"))
      : drawn("test");
  const test = (await pairsOfExcluded(config, people)) ?? drawnTest();
  const [ofValidation, ofTest] = (await scoreLists(verifier, loader, [validation, test], onProgress)) as [
    PairScores,
    PairScores,
  ];
  const calibration =
    validation.length === 0
      ? record
      : (calibrationPairs === undefined ? calibrate : calibratePopulation)(
          scoredOf(validation, ofValidation, loader, kind),
          { dataset: dataset.name, people: `${split.validation.length} validation people` },
        );
  const { pairs, ...result } = scoredOf(test, ofTest, loader, kind);
  const missing = test.length - result.scores.length;
  const report = {
    ...measure(result, {
      calibration,
      seed: config.seed,
      missing,
      people: { dataset: basename(dataset.path ?? dataset.name), heldOut: options.heldOut ?? true },
      ...(kind === undefined ? {} : { measure: kind }),
      ...(record === undefined || validation.length > 0 ? {} : { source }),
    }),
    ...faceCounts(options, loader),
  };
  const threshold = calibration?.threshold ?? bestThreshold(result);
  const grouped = await groupReports(options, {
    identities: dataset.identities,
    scored: result,
    pairs,
    threshold,
  });
  return {
    report,
    calibration,
    scored: result,
    pairs,
    seed: config.seed,
    ...(grouped.length === 0 ? {} : { groups: grouped }),
    leftOut: dataset.leftOut ?? [],
  };
}

/** Scores chosen pairs; those without a face count as different, those of unreadable files are left out. */
export async function scoreChosen(
  verifier: AnyVerifier,
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<ScoredPairs & { readonly pairs: readonly Pair[] }> {
  await using loader = openLoader(options);
  const [scores] = await scoreLists(verifier, loader, [pairs], options.onProgress);
  return scoredOf(pairs, scores!, loader, options.measure);
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

/** The people of pairs, and how many of them took part in the training: trained on, or for its thresholds. */
function trainedAmong(
  pairs: readonly Pair[],
  identities: readonly Identity[],
  trained: TrainedPeople,
): NonNullable<FoldReport["people"]> {
  const images = new Set(pairs.flatMap(({ left, right }) => [left, right]));
  const people = identities.filter((person) => person.images.some((image) => images.has(image)));
  return { count: people.length, trained: people.length - splitAsTrained(people, trained).test.length };
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
  const { config, framing, mode, folds: chosen = [], log = silentLog, onProgress } = options;
  const dataset = await openImages(config, log, { framing, mode });
  if (options.isTold !== true) warnLeftOut(dataset, log);
  const file = chosenFolds(await readPairs(pairsFile), chosen);
  const { missing, folds: found } = findPairs(file, dataset.identities, dataset.path);
  for (const line of [...file.remarks, ...missing]) log.warn(line);
  const protocol = {
    folds: found.length === 1 && chosen.length === 0 ? cutInFolds(found[0]!) : found,
    missing,
  };
  checkFolds(protocol.folds, pairsFile);
  await using loader = openLoader(options);
  const scores = await scoreLists(verifier, loader, protocol.folds, onProgress);
  const folds = protocol.folds.map((fold, i) => scoredOf(fold, scores[i]!, loader, options.measure));
  const used = folds.reduce((sum, fold) => sum + fold.scores.length, 0);
  const wanted = protocol.folds.reduce((sum, fold) => sum + fold.length, 0);
  const report = kFold(folds, wanted - used + protocol.missing.length, config.seed);
  const people =
    options.trained === undefined
      ? {}
      : { people: trainedAmong(protocol.folds.flat(), dataset.identities, options.trained) };
  return { ...report, ...people, ...faceCounts(options, loader), leftOut: dataset.leftOut ?? [] };
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
export async function withOrigin<T>(
  given: Partial<DataConfig> | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isTheirs = given?.dataset !== undefined || given?.datasetPath !== undefined;
    if (isTheirs || !(error instanceof FaceError) || error.code !== "DATASET_NOT_FOUND") throw error;
    throw new FaceError(error.code, `${error.message}, which the model's record names`, {
      hint: "give the photographs to measure on: `datasetPath` FOLDER",
      cause: error,
    });
  }
}

/** What to measure on. */
export interface EvaluateOptions extends Watching, GroupOptions {
  /** What the model's path or name stands for; found out when left out. */
  readonly kind?: ModelPlace["kind"] | "pack" | undefined;
  /** Settings of the data that differ from those of the training; another dataset is measured with all its people. */
  readonly data?: Partial<DataConfig> | undefined;
  /** Pairs to draw of each group of held-out people, half of them of one person. Default 4000. */
  readonly pairs?: number | undefined;
}

/** Opens what is to be measured. @throws FaceError also where a dataset that is named for a pack is not there. */
export async function openMeasured(
  model: string,
  { kind, log, data }: Pick<EvaluateOptions, "kind" | "log" | "data">,
): Promise<OpenedModel> {
  const isPack = kind === "pack" || (kind === undefined && packModelNamed(model) !== undefined);
  if (isPack) await requireDataset({ dataset: data?.dataset, path: data?.datasetPath });
  return await (isPack ? openPackModel(model, { log }) : openModel(model, kind, log));
}

/** How a model is measured with these settings of the data. */
export function measureOptions(
  model: string,
  opened: OpenedModel,
  data: Partial<DataConfig> = {},
): Pick<
  MeasureOptions,
  "config" | "framing" | "mode" | "measure" | "record" | "stored" | "trained" | "heldOut"
> {
  const config = measuredData(opened.config, data);
  const heldOut = opened.settings !== undefined && areHeldOut(opened.config, data);
  // Somebody who sets people aside for thresholds wants thresholds chosen on them.
  const isChosenHere = data.validationFraction !== undefined && data.validationFraction > 0;
  return {
    config,
    heldOut,
    ...(heldOut ? { trained: opened.people } : {}),
    ...(opened.pack !== undefined || isChosenHere ? {} : { stored: opened.calibration }),
    ...(config.faces === "none" ? {} : { framing: framingOf(model, opened) }),
    ...(opened.pack === undefined ? {} : { mode: packModelNamed(opened.pack) }),
    ...(opened.pack === undefined ? {} : { measure: "cosine", record: opened.calibration }),
  };
}

/** What the options of all measurements may be. */
export const evaluateOptions = {
  kind: z.enum(["checkpoint", "version", "pack"]).optional(),
  data: trainConfigSchema.partial().optional(),
  pairs: given.count.optional(),
  groups: given.text.optional(),
  byQuality: given.flag.optional(),
  log: given.log.optional(),
  onProgress: given.call.optional(),
} satisfies Record<keyof EvaluateOptions, z.ZodType>;

/**
 * Measures a model on the people that its training held out, at the threshold that it stores, or else at one chosen on the
 * validation people. Another dataset is opened afresh, and whether the model was trained on its people is unknown
 * (`report.people.heldOut`). A model pack is measured on all people, with its own thresholds.
 * @param model a path as for `loadModel`, or the name of a pack.
 * @throws FaceError as `loadModel` and `openDataset` do; `DATASET_INVALID` when there are no people to measure on.
 */
export async function evaluate(model: string, options: EvaluateOptions = {}): Promise<Measurement> {
  checkPath("evaluate, the model", model);
  checkOptions("evaluate", z.strictObject(evaluateOptions), options);
  const opened = await openMeasured(model, options);
  await using _verifier = opened.verifier;
  return await withOrigin(options.data, () =>
    withJournal(opened, options.log, (verifier) =>
      measureHeldOut(verifier, { ...options, ...measureOptions(model, opened, options.data) }),
    ),
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
  options: Omit<EvaluateOptions, "pairs" | "groups" | "byQuality"> & {
    readonly folds?: readonly number[] | undefined;
  } = {},
): Promise<FoldReport & Pick<Measurement, "leftOut">> {
  checkPath("evaluateFolds, the model", model);
  checkPath("evaluateFolds, the pairs file", pairsFile);
  const { pairs: _pairs, groups: _groups, byQuality: _byQuality, ...known } = evaluateOptions;
  checkOptions(
    "evaluateFolds",
    z.strictObject({ ...known, folds: z.array(given.count).optional() }),
    options,
  );
  if (options.folds?.length === 1) {
    throw new FaceError("CONFIG_INVALID", `folds: got ${options.folds[0]} alone, the protocol needs two`, {
      hint: "name two or more, such as `folds` 1,2: the threshold of each is chosen on the others",
    });
  }
  const opened = await openMeasured(model, options);
  await using _verifier = opened.verifier;
  return await withOrigin(options.data, () =>
    withJournal(opened, options.log, (verifier) =>
      measureFolds(verifier, pairsFile, { ...options, ...measureOptions(model, opened, options.data) }),
    ),
  );
}
