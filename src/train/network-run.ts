/** @file Trains one network in a folder: data, engine, loop, validation, checkpoints. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { arch, platform, release } from "node:os";
import { join } from "node:path";
import { type TrainedPeople, trainedPeopleSchema } from "../artifact/trained-people.ts";
import { FaceError, systemCode } from "../base/errors.ts";
import { readWhole, writeFileAtomic } from "../base/files.ts";
import { type Log, silentLog } from "../base/log.ts";
import { VERSION } from "../base/platform.ts";
import { Random } from "../base/random.ts";
import type { TensorMap } from "../base/tensor.ts";
import { Loader } from "../data/loader.ts";
import { evaluationPairs, type Pair } from "../data/pairs.ts";
import { lossAndAccuracy, scorePairs } from "../evaluate/score-pairs.ts";
import { networkNamed } from "../model/networks.ts";
import { glorotUniform } from "../nn/initializers.ts";
import { initialWeights, type Weight } from "../nn/network-builder.ts";
import type { Adaptation } from "./adapt.ts";
import { type Checkpoint, readCheckpoint } from "./checkpoint.ts";
import type { Tuning } from "./choose-fit.ts";
import { wholeWeights } from "./class-sampling.ts";
import {
  type SettledConfig,
  settingsOf,
  stepSettingsOf,
  storedConfigSchema,
  type TrainConfig,
  type TrainSettings,
  trainConfig,
  weightDecayOf,
} from "./config.ts";
import { defaultReplicas, TrainingEngine } from "./engine.ts";
import { feedOf } from "./feed.ts";
import { openLessons } from "./lessons.ts";
import type { RunEnd, TrainListener } from "./listeners.ts";
import { checkpoints, earlyStop, LAST_CHECKPOINT, RUN_LOG, runLog } from "./listeners.ts";
import { runLoop } from "./loop.ts";
import { type People, trainingPeople } from "./people.ts";
import { pretrainedWeights } from "./pretrained.ts";
import { type StepSettings, trainingGraphs } from "./step.ts";

export interface TrainOptions {
  readonly config: TrainSettings;
  /** Folder of the run, for log, configuration and checkpoints. */
  readonly folder: string;
  readonly listeners?: readonly TrainListener[] | undefined;
  readonly log?: Log | undefined;
  /** Ends the run after the current step and writes a checkpoint to resume from. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the dataset is open, before anything is written. */
  readonly onPeople?: (people: People, config: SettledConfig) => void | Promise<void>;
  /** Kept in the run's description for a later resumption. */
  readonly about?: Readonly<Record<string, unknown>>;
}

export interface TrainResult {
  readonly end: RunEnd;
  readonly folder: string;
  readonly people: People;
  readonly config: SettledConfig;
  /** What an adaptation found; absent where a network was trained. */
  readonly adaptation?: Adaptation;
  /** How a network that was trained further compares with what it was; absent otherwise. */
  readonly tuning?: Tuning;
}

/** Settles what depends on the machine or on other settings. */
export function settle(config: TrainConfig): SettledConfig {
  return {
    ...config,
    weightDecay: weightDecayOf(config),
    replicas: config.replicas ?? defaultReplicas(config.batchSize),
  };
}

/** The initial weights of a run, drawn from its seed; a pretrained network starts from its own. */
async function freshState(
  config: SettledConfig,
  step: StepSettings,
  log: Log,
): Promise<ReturnType<typeof initialWeights>> {
  const weights = wholeWeights(step, trainingGraphs(step, 1).weights);
  const keras = ({ name, initializer }: Weight) => (name.endsWith("/kernel") ? glorotUniform : initializer);
  const chosen =
    config.initializer === "network"
      ? weights
      : weights.map((weight) => ({ ...weight, initializer: keras(weight) }));
  const drawn = initialWeights(chosen, new Random(config.seed));
  return new Map([...drawn, ...(await pretrainedWeights(config.model, config.imageShape, log))]);
}

/** The pairs of validation people, the same after every epoch. */
function validationPairs(people: People, config: SettledConfig): Pair[] | undefined {
  if (people.split.validation.length === 0) return undefined;
  const random = new Random(config.seed).fork("validation pairs");
  return evaluationPairs(people.split.validation, { count: config.validationPairs, random });
}

/** What a training begins with. */
export interface FitStart {
  /** Where it goes on; the beginning when left out. */
  readonly from?: Checkpoint | undefined;
  /** Initial values in place of those drawn, by weight; of the labels that losses use as well, when given their number. */
  readonly initial?: ((classes: number) => TensorMap) | undefined;
  /** Folder of the checkpoints. Default: that of the run. */
  readonly checkpointFolder?: string | undefined;
}

/** Trains one network on people whose photographs a loader reads. */
export async function fitNetwork(
  { folder, listeners = [], signal, log = silentLog }: Omit<TrainOptions, "config">,
  config: SettledConfig,
  people: People,
  loader: Loader,
  { from, initial, checkpointFolder = folder }: FitStart,
): Promise<RunEnd> {
  const stepsPerEpoch = Math.floor(config.datasetSize / config.batchSize);
  if (stepsPerEpoch < 1) {
    throw new FaceError(
      "CONFIG_INVALID",
      `an epoch of ${config.datasetSize} does not fill one batch of ${config.batchSize}`,
      { hint: "raise `datasetSize` or lower `batchSize`" },
    );
  }
  const held = validationPairs(people, config);
  await using lessons = await openLessons(config, people, loader, { log, signal });
  const feed = feedOf(config, people.split.train, loader, stepsPerEpoch * config.batchSize, lessons);
  const step = stepSettingsOf(config, feed.classes);
  const { batchSize, replicas, threads, provider } = config;
  const providers = provider === "cpu" ? [provider] : [provider, "cpu"];
  await using engine = await TrainingEngine.open({ step, batchSize, replicas, threads, providers });
  const state =
    from?.state ?? new Map([...(await freshState(config, step, log)), ...(initial?.(feed.classes) ?? [])]);
  await engine.load(state);
  const stateBytes = [...state.values()].reduce(
    (sum, { data }) => sum + ("byteLength" in data ? data.byteLength : 0),
    0,
  );
  return await runLoop({
    config,
    engine,
    stepsPerEpoch,
    batches: feed.batches,
    ...(held === undefined
      ? {}
      : {
          validate: async () => {
            const onImages = () => signal?.throwIfAborted();
            if (lessons !== undefined) return await lessons.examine(engine, held, onImages);
            return lossAndAccuracy(held, await scorePairs(engine, loader, held, onImages));
          },
        }),
    listeners: [
      runLog(folder),
      checkpoints(
        checkpointFolder,
        async (path) => {
          for (const listener of listeners) await listener.onCheckpoint?.(path);
        },
        stateBytes,
      ),
      earlyStop(config.patience),
      ...listeners,
    ],
    ...(from === undefined ? {} : { progress: from.progress }),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function run(
  options: TrainOptions,
  config: SettledConfig,
  from: Checkpoint | undefined,
): Promise<TrainResult> {
  const log = options.log ?? silentLog;
  // Fails on a misspelt network before the dataset is read.
  networkNamed(config.model);
  const people = await trainingPeople(config, log, options.signal);
  await using loader = new Loader({
    settings: settingsOf(config),
    strict: config.strict,
    log,
  });
  await options.onPeople?.(people, config);
  if (from === undefined) await rm(join(options.folder, RUN_LOG), { force: true });
  await writeRunFile(options.folder, config, people, options.about);
  const end = await fitNetwork(options, config, people, loader, { from });
  return { end, folder: options.folder, people, config };
}

/** The description of a run in its folder. */
export const RUN_FILE = "run.json";

/** Writes the configuration, versions and data of a run. */
export async function writeRunFile(
  folder: string,
  config: SettledConfig,
  { dataset, split, trained, excluded, leftOut }: People,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const about = {
    faceid: VERSION,
    node: process.version,
    system: `${platform()} ${arch()} ${release()}`,
    started: new Date().toISOString(),
    seed: config.seed,
    config,
    dataset: { name: dataset.name, kind: dataset.kind, identities: dataset.identities.length, excluded },
    ...(leftOut === undefined ? {} : { leftOut }),
    people: { train: split.train.length, validation: split.validation.length, test: split.test.length },
    trained,
    ...more,
  };
  await writeFileAtomic(join(folder, RUN_FILE), `${JSON.stringify(about, null, 2)}\n`);
}

/** Trains one network from scratch. */
export function trainNetwork(options: TrainOptions): Promise<TrainResult> {
  return run(options, settle(trainConfig(options.config)), undefined);
}

/** How to resume a run. */
export interface ResumeOptions extends Omit<TrainOptions, "config" | "folder"> {
  /** A new number of epochs. Default: that of the run. */
  readonly epochs?: number | undefined;
}

/** What a run's description says, as far as this version of faceid reads it. */
export async function readRunFile(
  folder: string,
): Promise<
  { readonly config: SettledConfig; readonly about: Readonly<Record<string, unknown>> } | undefined
> {
  try {
    const about = JSON.parse(String(await readWhole(join(folder, RUN_FILE)))) as Record<string, unknown>;
    const config = storedConfigSchema.safeParse(about.config);
    return config.success ? { config: config.data as SettledConfig, about } : undefined;
  } catch (error) {
    // A description that is absent or was cut off describes no run.
    if (error instanceof SyntaxError || systemCode(error) !== undefined) return undefined;
    throw error;
  }
}

/** Whom the run in a folder was trained on, if it says so. */
export async function trainedPeopleOf(folder: string): Promise<TrainedPeople | undefined> {
  return trainedPeopleSchema.safeParse((await readRunFile(folder))?.about.trained).data;
}

/**
 * Resumes the network in a folder: same configuration, data and numbers as without the interruption. A run that ended before
 * its first checkpoint begins again.
 */
export async function resumeNetwork(
  folder: string,
  { epochs, ...options }: ResumeOptions = {},
): Promise<TrainResult> {
  const path = join(folder, LAST_CHECKPOINT);
  const begun = existsSync(path) ? undefined : await readRunFile(folder);
  const checkpoint = begun === undefined ? await readCheckpoint(path) : undefined;
  const config = {
    ...(begun?.config ?? checkpoint!.config),
    ...(epochs === undefined ? {} : { epochs }),
  };
  return run({ ...options, folder, config }, config, checkpoint);
}
