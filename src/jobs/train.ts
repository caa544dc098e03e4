/** @file A whole training run: one network; or several backbones one after the other, and then what is fitted to them. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { Loader } from "../data/loader.ts";
import { type SettledConfig, trainConfig, trainConfigSchema } from "../train/config.ts";
import { finishRun, viewFolder } from "../train/finish.ts";
import type { RunEnd } from "../train/listener.ts";
import { LAST_CHECKPOINT } from "../train/listeners/checkpoints.ts";
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
import { openPeople, settingsOf } from "../train/people.ts";

export type { ResumeOptions, TrainOptions, TrainResult } from "../train/network-run.ts";

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** A run in two stages with the backbones it trains; nothing for a run that is one network. */
function stagesOf(config: SettledConfig): SettledConfig | undefined {
  if (config.metric === 0) {
    if (config.views.length + config.texture.length === 0) return undefined;
    throw new FaceError("CONFIG_INVALID", "several views are joined by the metric, which is off", {
      hint: "set --metric, for instance to 128, or use --crop for a single backbone without texture",
    });
  }
  return { ...config, views: config.views.length === 0 ? [config.crop] : config.views };
}

/** The configuration of the backbone of one view. */
function backboneConfig(config: SettledConfig, view: number): SettledConfig {
  return { ...config, crop: config.views[view]!, views: [], texture: [], mirror: false, metric: 0 };
}

/** Trains the backbones that are not complete yet, one after the other, then joins and finishes them. */
async function trainStages(options: TrainOptions, config: SettledConfig): Promise<TrainResult> {
  const { folder, log = silentLog } = options;
  const people = await openPeople(config, log);
  await writeRunFile(folder, config, people);
  let last: RunEnd | undefined;
  for (const view of config.views.keys()) {
    const backbone = viewFolder(folder, view);
    log.info(`view ${view + 1} of ${config.views.length}`, { crop: config.views[view] });
    const result = (await exists(join(backbone, LAST_CHECKPOINT)))
      ? await resumeNetwork(backbone, { ...options, epochs: config.epochs })
      : await trainNetwork({ ...options, folder: backbone, config: backboneConfig(config, view) });
    last = result.end;
    if (last.reason === "interrupted" || last.reason === "diverged") return { ...result, folder, config };
  }
  await using loader = new Loader({ settings: settingsOf(config), strict: config.strict, log });
  await finishRun(folder, config, people, loader, log);
  return { end: last!, folder, people, config };
}

/** The configuration of a folder's run in two stages; nothing for any other run. */
async function stagedConfig(folder: string): Promise<SettledConfig | undefined> {
  const file = join(folder, RUN_FILE);
  if (!(await exists(file)) || (await exists(join(folder, LAST_CHECKPOINT)))) return undefined;
  const about = JSON.parse(await readFile(file, "utf8")) as { config?: unknown };
  const config = trainConfigSchema.required({ replicas: true }).safeParse(about.config);
  return config.success ? stagesOf(config.data as SettledConfig) : undefined;
}

/**
 * Trains from scratch, in a folder of its own.
 * @throws FaceError `CONFIG_INVALID` for a setting that is unknown or out of range; as opening the dataset does;
 *   `DISK_FULL`. A run that diverges or is interrupted does not throw: `end.reason` says so.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const staged = stagesOf(settle(trainConfig(options.config)));
  return staged === undefined ? await trainNetwork(options) : await trainStages(options, staged);
}

/**
 * Goes on with a run as if it had never stopped: same configuration, same data, same numbers.
 * @param folder of the run.
 * @throws FaceError `CHECKPOINT_INVALID` when there is no run, or one of another version; as `train` does.
 */
export async function resume(folder: string, options: ResumeOptions = {}): Promise<TrainResult> {
  const staged = await stagedConfig(folder);
  if (staged === undefined) return await resumeNetwork(folder, options);
  const config = { ...staged, ...(options.epochs === undefined ? {} : { epochs: options.epochs }) };
  return await trainStages({ ...options, folder, config }, config);
}
