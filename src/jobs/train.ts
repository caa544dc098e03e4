/** @file Trains a network, or several backbones in turn that are then joined; the whole job measures and exports it too. */

import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { versionsIn } from "../artifact/files.ts";
import { WEIGHT_TYPES } from "../artifact/weights.ts";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { checkTarget } from "../base/files.ts";
import { silentLog } from "../base/log.ts";
import { requireDataset } from "../data/dataset.ts";
import { Loader } from "../data/loader.ts";
import type { OnMeasureProgress } from "../evaluate/score-pairs.ts";
import { USUAL_MODE } from "../faces/mode.ts";
import { networkNamed } from "../model/networks.ts";
import { adapt, adaptedConfig, adaptedPeople, CALIBRATION_PAIRS } from "../train/adapt.ts";
import { readCheckpoint, START } from "../train/checkpoint.ts";
import type { FitChoice, Tuning } from "../train/choose-fit.ts";
import { type SettledConfig, settingsOf, type TrainConfig, trainConfig } from "../train/config.ts";
import { finetune } from "../train/finetune.ts";
import { finishRun, memberFolder } from "../train/finish.ts";
import type { RunEnd } from "../train/listeners.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT } from "../train/listeners.ts";
import {
  type ResumeOptions,
  readRunFile,
  resumeNetwork,
  settle,
  type TrainOptions,
  type TrainResult,
  trainNetwork,
  writeRunFile,
} from "../train/network-run.ts";
import { type People, trainingPeople } from "../train/people.ts";
import { type StartSummary, startSummary } from "../train/start-summary.ts";
import { openModel } from "../verify/open-model.ts";
import { packCalibration } from "../verify/pack-calibrations.ts";
import { commandLine, withoutFlag } from "./command-line.ts";
import { type EvaluateOptions, type Measurement, measureHeldOut } from "./evaluate.ts";
import { type ExportTarget, exportModel } from "./export.ts";
import { REPORT_FILE, writeReport } from "./report.ts";

export type { ResumeOptions, TrainOptions, TrainResult } from "../train/network-run.ts";

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** The configuration of a run in two stages, with the crop of each backbone; undefined for a run of one network. */
function stagesOf(config: SettledConfig): SettledConfig | undefined {
  if (config.projectionDim === 0) {
    if (config.crops.length + config.gaborCrops.length === 0) return undefined;
    throw new FaceError("CONFIG_INVALID", "an ensemble of crops needs a projection, got projectionDim 0", {
      hint: "set `projectionDim`, for instance to 128, or use `crop` for a single backbone",
    });
  }
  return { ...config, crops: config.crops.length === 0 ? [config.crop] : config.crops };
}

/** The configuration of one backbone. */
function backboneConfig(config: SettledConfig, index: number): SettledConfig {
  return {
    ...config,
    crop: config.crops[index]!,
    crops: [],
    gaborCrops: [],
    mirror: false,
    projectionDim: 0,
  };
}

/** Trains the backbones that are not complete yet, one after the other, then joins them. */
async function trainStages(options: TrainOptions, config: SettledConfig): Promise<TrainResult> {
  const { folder, log = silentLog } = options;
  const people = await trainingPeople(config, log, options.signal);
  await options.onPeople?.(people, config);
  await writeRunFile(folder, config, people, options.about);
  let last: RunEnd | undefined;
  for (const [index, crop] of config.crops.entries()) {
    const backbone = memberFolder(folder, index);
    log.info(`backbone ${index + 1} of ${config.crops.length}`, { crop });
    // What is said of the people is said once, of the run.
    const { onPeople: _said, about: _about, ...member } = options;
    const result = (await exists(join(backbone, LAST_CHECKPOINT)))
      ? await resumeNetwork(backbone, { ...member, epochs: config.epochs })
      : await trainNetwork({ ...member, folder: backbone, config: backboneConfig(config, index) });
    last = result.end;
    if (last.reason === "interrupted" || last.reason === "diverged") return { ...result, folder, config };
  }
  await using loader = new Loader({ settings: settingsOf(config), strict: config.strict, log });
  await finishRun(folder, config, people, loader, log);
  return { end: last!, folder, people, config };
}

/**
 * Adapts a pretrained network, of which all is trained further first if that is asked for, and kept if it is better; a run
 * that was stopped continues with the embeddings and checkpoints that it has.
 */
async function adaptNetwork(options: TrainOptions, given: SettledConfig): Promise<TrainResult> {
  const { folder, log = silentLog, signal } = options;
  const config = await adaptedConfig(given, log);
  const people = await adaptedPeople(config, log, signal);
  await options.onPeople?.(people, config);
  await writeRunFile(folder, config, people, options.about);
  const tuned = config.finetune ? await finetune({ ...options, log }, config, people) : undefined;
  const isUnfinished = tuned?.end.reason === "interrupted" || tuned?.end.reason === "diverged";
  const { tuning } = tuned ?? {};
  if (tuned !== undefined && (isUnfinished || tuning?.isKept === true)) {
    return { end: tuned.end, folder, people, config, ...(tuning && { tuning }) };
  }
  const kept = { ...config, finetune: false, frozen: true };
  const adaptation = await adapt(folder, kept, people, { log, signal });
  const checkpoint = () => readCheckpoint(join(folder, BEST_CHECKPOINT));
  const end: RunEnd = { reason: "finished", detail: "adapted", progress: START, checkpoint };
  return { end, folder, people, config: kept, adaptation, ...(tuning && { tuning }) };
}

/** The configuration of a folder's run in two stages; undefined for any other run. */
async function stagedConfig(folder: string): Promise<SettledConfig | undefined> {
  if (await exists(join(folder, LAST_CHECKPOINT))) return undefined;
  const begun = await readRunFile(folder);
  return begun === undefined ? undefined : stagesOf(begun.config);
}

const running = {
  listeners: z.array(given.other).optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
  onPeople: given.call.optional(),
  about: z.looseObject({}).optional(),
};
const trainOptions = z.strictObject({
  ...running,
  config: z.looseObject({}),
  folder: given.text,
} satisfies Record<keyof TrainOptions, z.ZodType>);
const resumeOptions = z.strictObject({
  ...running,
  epochs: given.count.optional(),
} satisfies Record<keyof ResumeOptions, z.ZodType>);

/**
 * Trains from scratch.
 * @throws FaceError `CONFIG_INVALID` for a setting that is unknown or out of range; as opening the dataset does;
 *   `DISK_FULL`. A run that diverges or is interrupted does not throw: see `end.reason`.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkOptions("train", trainOptions, options);
  const config = settle(trainConfig(options.config, options.log));
  const startsTrained = config.frozen || config.finetune;
  const staged = startsTrained ? undefined : stagesOf(config);
  await checkTarget(options.folder, "folder");
  if (startsTrained) return await adaptNetwork(options, config);
  return staged === undefined ? await trainNetwork(options) : await trainStages(options, staged);
}

/**
 * Continues a run with the same configuration and data; the numbers are those of a run that was never stopped.
 * @param folder of the run.
 * @throws FaceError `CHECKPOINT_INVALID` when the folder holds no run, or one of another version; as `train` does.
 */
export async function resume(folder: string, options: ResumeOptions = {}): Promise<TrainResult> {
  checkPath("resume, the folder", folder);
  checkOptions("resume", resumeOptions, options);
  await checkTarget(folder, "folder");
  const begun = await readRunFile(folder);
  if (begun?.config.frozen || begun?.config.finetune) {
    const { epochs = begun.config.epochs, ...rest } = options;
    const config = { ...begun.config, epochs };
    return await adaptNetwork({ ...rest, folder, config }, config);
  }
  const staged = await stagedConfig(folder);
  if (staged === undefined) return await resumeNetwork(folder, options);
  const config = { ...staged, ...(options.epochs === undefined ? {} : { epochs: options.epochs }) };
  return await trainStages({ ...options, folder, config }, config);
}

/** The command with a folder for its run that holds none; the same command where its own folder holds none. */
function withFreeRun(command: readonly string[], folder: string): string[] {
  if (keptCheckpoint(folder) === undefined) return [...command];
  let next = 2;
  while (keptCheckpoint(`${folder}-${next}`) !== undefined) next++;
  return [...withoutFlag(command, "--output"), "--output", `${folder}-${next}`];
}

/**
 * Refuses an existing version before training rather than after it, and offers the next one.
 * @param run the folder of a new run, for which the offered command has another where it is taken, too.
 */
async function refuseTaken(
  { savedModelPath, modelVersion }: ExportTarget,
  command: readonly string[],
  run: string | undefined,
): Promise<void> {
  const folder = join(savedModelPath, String(modelVersion));
  if (!(await exists(folder))) return;
  const versions = versionsIn(await readdir(savedModelPath)).map(Number);
  const next = Math.max(modelVersion, ...versions) + 1;
  const same = run === undefined ? command : withFreeRun(command, run);
  const words = [...withoutFlag(same, "--model-version"), "--model-version", String(next)];
  throw new FaceError("CONFIG_INVALID", `${folder} exists already`, {
    hint: `write the next version: ${commandLine(words)}; or choose another --saved-model-path, or pass --no-export`,
  });
}

const recordedSchema = z.object({
  savedModelPath: z.string(),
  modelName: z.string(),
  modelVersion: z.number(),
  weights: z.enum(WEIGHT_TYPES).optional(),
});

/**
 * Where a run was first asked to export its model, for its resumption.
 * @returns null when it was asked not to; undefined when the run does not say.
 */
export async function recordedTarget(folder: string): Promise<ExportTarget | null | undefined> {
  const target = (await readRunFile(folder))?.about.export;
  return target === null ? null : recordedSchema.safeParse(target).data;
}

/** The checkpoint that a run in the folder goes on from; undefined before its first. */
export const keptCheckpoint = (folder: string): string | undefined =>
  [
    join(folder, LAST_CHECKPOINT),
    join(memberFolder(folder, 0), LAST_CHECKPOINT),
    join(folder, BEST_CHECKPOINT),
  ].find((path) => existsSync(path));

/** Refuses the folder of an earlier run, so that no run overwrites another. */
function refuseOldRun(folder: string, command: readonly string[]): void {
  if (keptCheckpoint(folder) !== undefined) {
    const [goOn, another] = [["faceid", "train", "--resume", folder], withFreeRun(command, folder)].map(
      commandLine,
    );
    throw new FaceError("CONFIG_INVALID", `${folder} holds a run already`, {
      hint: `continue it with: ${goOn}; or begin another: ${another}`,
    });
  }
}

/** Refuses a run that could not be measured at its end. */
function refuseUnmeasured({ testFraction, excludePairs }: TrainConfig): void {
  if (testFraction > 0 || excludePairs !== undefined) return;
  throw new FaceError("CONFIG_INVALID", "a test fraction of 0 leaves nobody to measure the network on", {
    hint: "hold out people with `testFraction`, or name the pairs to measure on with `excludePairs`",
  });
}

function refuseUnfinished({ end, folder }: TrainResult): void {
  if (end.reason === "interrupted") {
    throw new FaceError("INTERRUPTED", `${end.detail}; the state is in ${keptCheckpoint(folder) ?? folder}`, {
      hint: `continue with: ${commandLine(["faceid", "train", "--resume", folder])}`,
    });
  }
  if (end.reason === "diverged") {
    throw new FaceError(
      "TRAINING_DIVERGED",
      `${end.detail}; checkpoints of earlier epochs are kept in ${folder}`,
      { hint: "lower `learningRate`, add `warmupSteps`, or check the data" },
    );
  }
}

/** A pack's record for a model whose log odds are a rising function of the pack's cosine. */
function convertedRecord(
  record: CalibrationRecord,
  { slope, offset }: { readonly slope: number; readonly offset: number },
): CalibrationRecord {
  const probability = (cosine: number) => 1 / (1 + Math.exp(-(slope * cosine + offset)));
  return {
    ...record,
    threshold: probability(record.threshold),
    operatingPoints: record.operatingPoints.map((point) => ({
      ...point,
      threshold: probability(point.threshold),
    })),
  };
}

/**
 * Measures the model of a run. A plain cosine with its pack's thresholds was fitted to nobody, so that all people are
 * measured on where no pairs are set aside.
 */
async function measureRun(
  { adaptation, tuning, config }: TrainResult,
  checkpoint: string,
  watching: Pick<EvaluateOptions, "log" | "onProgress">,
): Promise<Measurement> {
  const { verifier, config: trained } =
    adaptation === undefined
      ? await openModel(checkpoint, "checkpoint")
      : { verifier: await adaptation.openVerifier(), config };
  await using opened = verifier;
  const options = { ...watching, config: trained, isTold: true };
  if (adaptation === undefined) {
    return await measureHeldOut(opened, {
      ...options,
      ...(tuning && { calibrationPairs: CALIBRATION_PAIRS }),
    });
  }
  const { pretrained } = networkNamed(config.model);
  const pack = packCalibration({ pack: pretrained!, ...USUAL_MODE });
  const { packOdds } = adaptation;
  const record = packOdds && pack && convertedRecord(pack, packOdds);
  return await measureHeldOut(opened, { ...options, record, calibrationPairs: CALIBRATION_PAIRS });
}

/** A run from its configuration to an exported model. */
export interface TrainJob extends Omit<TrainOptions, "config"> {
  /** Of a new run; a resumed run has its own. */
  readonly config: TrainConfig;
  /** Continues the run in `folder` instead. */
  readonly resume?: boolean;
  /** A new number of epochs for a resumed run. */
  readonly epochs?: number | undefined;
  /** Where the model goes; not exported when left out. */
  readonly target?: ExportTarget | undefined;
  /** The words that started it, for messages that offer another command. */
  readonly command?: readonly string[];
  /** Called before the first step. */
  readonly onStart?: (summary: StartSummary) => void;
  /** Called while the trained network is measured. */
  readonly onProgress?: OnMeasureProgress;
}

/** The result of a finished run. */
export interface TrainOutcome {
  readonly measured: Measurement;
  /** What an adaptation tried and chose; absent where a network was trained. */
  readonly choice?: FitChoice;
  /** How the network that was trained further compares with what it was; absent where none was. */
  readonly tuning?: Tuning;
  readonly checkpoint: string;
  readonly reportPath: string;
  /** Folder of the exported version. */
  readonly exported: string | undefined;
}

/**
 * Trains a network, measures it on held-out people, exports it and writes its report.
 * @throws FaceError as `train` and `resume` do; `CONFIG_INVALID` when a folder is taken or nobody is held out;
 *   `INTERRUPTED` or `TRAINING_DIVERGED` for a run that did not finish.
 */
export async function trainAndExport(job: TrainJob): Promise<TrainOutcome> {
  const {
    folder,
    config,
    target,
    epochs,
    onProgress,
    log,
    command = ["faceid", "train"],
    onStart,
    listeners,
    signal,
  } = job;
  if (target !== undefined) {
    await refuseTaken(target, command, job.resume === true ? undefined : folder);
    await checkTarget(join(target.savedModelPath, String(target.modelVersion)), "new folder");
  }
  if (job.resume !== true) {
    refuseUnmeasured(config);
    await requireDataset({ dataset: config.dataset, path: config.datasetPath });
    refuseOldRun(folder, command);
  }
  const watching = {
    listeners,
    log,
    signal,
    about: { export: target ?? null },
    onPeople: async (people: People, settled: SettledConfig) =>
      onStart?.(await startSummary(people, settled, signal)),
  };
  const result =
    job.resume === true
      ? await resume(folder, { ...watching, epochs })
      : await train({ ...watching, config, folder });
  refuseUnfinished(result);
  const checkpoint = join(folder, BEST_CHECKPOINT);
  const measured = await measureRun(result, checkpoint, { log, onProgress });
  const exported = target && (await exportModel({ checkpoint, measured, ...target }));
  const reportPath = await writeReport({ model: folder, output: join(folder, REPORT_FILE), measured, log });
  const { adaptation, tuning } = result;
  const found = {
    ...(adaptation && { choice: adaptation.choice }),
    ...(tuning && { tuning }),
  };
  return { measured, ...found, checkpoint, reportPath, exported };
}
