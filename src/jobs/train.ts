/** @file Trains a network, or several backbones in turn that are then joined; the whole job measures and exports it too. */

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { checkOptions, checkPath, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { Loader } from "../data/loader.ts";
import type { OnMeasureProgress } from "../evaluate/score-pairs.ts";
import {
  type SettledConfig,
  settingsOf,
  storedConfigSchema,
  type TrainConfig,
  trainConfig,
} from "../train/config.ts";
import { finishRun, memberFolder } from "../train/finish.ts";
import type { RunEnd } from "../train/listeners.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT } from "../train/listeners.ts";
import {
  type ResumeOptions,
  RUN_FILE,
  resumeNetwork,
  settle,
  type TrainOptions,
  type TrainResult,
  trainNetwork,
  writeRunFile,
} from "../train/network-run.ts";
import { openPeople } from "../train/people.ts";
import { evaluate, type Measurement } from "./evaluate.ts";
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
      hint: "set --projection-dim, for instance to 128, or use --crop for a single backbone",
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
  const people = await openPeople(config, log);
  await writeRunFile(folder, config, people);
  let last: RunEnd | undefined;
  for (const [index, crop] of config.crops.entries()) {
    const backbone = memberFolder(folder, index);
    log.info(`backbone ${index + 1} of ${config.crops.length}`, { crop });
    const result = (await exists(join(backbone, LAST_CHECKPOINT)))
      ? await resumeNetwork(backbone, { ...options, epochs: config.epochs })
      : await trainNetwork({ ...options, folder: backbone, config: backboneConfig(config, index) });
    last = result.end;
    if (last.reason === "interrupted" || last.reason === "diverged") return { ...result, folder, config };
  }
  await using loader = new Loader({ settings: settingsOf(config), strict: config.strict, log });
  await finishRun(folder, config, people, loader, log);
  return { end: last!, folder, people, config };
}

/** The configuration of a folder's run in two stages; undefined for any other run. */
async function stagedConfig(folder: string): Promise<SettledConfig | undefined> {
  const file = join(folder, RUN_FILE);
  if (!(await exists(file)) || (await exists(join(folder, LAST_CHECKPOINT)))) return undefined;
  const about = JSON.parse(await readFile(file, "utf8")) as { config?: unknown };
  const config = storedConfigSchema.safeParse(about.config);
  return config.success ? stagesOf(config.data as SettledConfig) : undefined;
}

const running = {
  listeners: z.array(given.other).optional(),
  log: given.log.optional(),
  signal: given.signal.optional(),
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
  const staged = stagesOf(settle(trainConfig(options.config, options.log)));
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
  const staged = await stagedConfig(folder);
  if (staged === undefined) return await resumeNetwork(folder, options);
  const config = { ...staged, ...(options.epochs === undefined ? {} : { epochs: options.epochs }) };
  return await trainStages({ ...options, folder, config }, config);
}

/** Refuses an existing version before training rather than after it. */
async function refuseTaken({ savedModelPath, modelVersion }: ExportTarget): Promise<void> {
  const folder = join(savedModelPath, String(modelVersion));
  if (await exists(folder)) {
    throw new FaceError("CONFIG_INVALID", `${folder} exists already`, {
      hint: `pass --model-version ${modelVersion + 1}, another --saved-model-path, or --no-export`,
    });
  }
}

/** Refuses the folder of an earlier run, so that no run overwrites another. */
async function refuseOldRun(folder: string): Promise<void> {
  const places = [folder, memberFolder(folder, 0)].map((place) => exists(join(place, LAST_CHECKPOINT)));
  if ((await Promise.all(places)).includes(true)) {
    throw new FaceError("CONFIG_INVALID", `${folder} holds a run already`, {
      hint: `continue it with --resume ${folder}, or choose another --output`,
    });
  }
}

/** Refuses a run that could not be measured at its end. */
function refuseUnmeasured({ testFraction, excludePairs }: TrainConfig): void {
  if (testFraction > 0 || excludePairs !== undefined) return;
  throw new FaceError("CONFIG_INVALID", "a test fraction of 0 leaves nobody to measure the network on", {
    hint: "hold out people with --test-fraction, or name the pairs to measure on with --exclude-pairs",
  });
}

function refuseUnfinished({ end, folder }: TrainResult): void {
  if (end.reason === "interrupted") {
    throw new FaceError("INTERRUPTED", `${end.detail}; the state is in ${join(folder, LAST_CHECKPOINT)}`, {
      hint: `continue with: faceid train --resume ${folder}`,
    });
  }
  if (end.reason === "diverged") {
    throw new FaceError(
      "TRAINING_DIVERGED",
      `${end.detail}; checkpoints of earlier epochs are kept in ${folder}`,
      { hint: "lower --learning-rate, add --warmup-steps, or check the data" },
    );
  }
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
  /** Called while the trained network is measured. */
  readonly onProgress?: OnMeasureProgress;
}

/** The result of a finished run. */
export interface TrainOutcome {
  readonly measured: Measurement;
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
  const { folder, config, target, epochs, onProgress, log, listeners, signal } = job;
  if (target !== undefined) await refuseTaken(target);
  if (job.resume !== true) {
    refuseUnmeasured(config);
    await refuseOldRun(folder);
  }
  const watching = { listeners, log, signal };
  const result =
    job.resume === true
      ? await resume(folder, { ...watching, epochs })
      : await train({ ...watching, config, folder });
  refuseUnfinished(result);
  const checkpoint = join(folder, BEST_CHECKPOINT);
  const measured = await evaluate(checkpoint, { log, onProgress });
  const exported = target && (await exportModel({ checkpoint, measured, ...target }));
  const reportPath = await writeReport({ model: folder, output: join(folder, REPORT_FILE), measured, log });
  return { measured, checkpoint, reportPath, exported };
}
