/** @file Trains one network in a folder of its own: data, steps, validation, checkpoints. */
import { arch, platform, release } from "node:os";
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { type Log, silentLog } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { VERSION } from "../base/version.ts";
import { Loader } from "../data/loader.ts";
import { evaluationPairs, type Pair } from "../data/pairs.ts";
import { lossAndAccuracy, scorePairs } from "../evaluate/score-pairs.ts";
import { networkNamed } from "../model/networks.ts";
import { glorotUniform } from "../nn/initializers.ts";
import { initialWeights, type Weight } from "../nn/network-builder.ts";
import { type Checkpoint, readCheckpoint } from "./checkpoint.ts";
import {
  type SettledConfig,
  type TrainConfig,
  type TrainSettings,
  trainConfig,
  weightDecayOf,
} from "./config.ts";
import { defaultReplicas, TrainingEngine } from "./engine.ts";
import { feedOf } from "./feed.ts";
import type { RunEnd, TrainListener } from "./listener.ts";
import { checkpoints, LAST_CHECKPOINT } from "./listeners/checkpoints.ts";
import { earlyStop } from "./listeners/early-stop.ts";
import { runLog } from "./listeners/run-log.ts";
import { runLoop } from "./loop.ts";
import type { OptimizerSettings } from "./optimizer-settings.ts";
import { optimizerOf } from "./optimizer-settings.ts";
import { networkImageOf, openPeople, type People, settingsOf } from "./people.ts";
import { trainingGraphs } from "./step.ts";
import { type LossSettings, lossSettings } from "./step-losses.ts";

export interface TrainOptions {
  /** What to train on and how; what is left out takes its default. */
  readonly config: TrainSettings;
  /** Folder of the run: log, configuration, checkpoints. */
  readonly folder: string;
  readonly listeners?: readonly TrainListener[];
  readonly log?: Log;
  /** Ends the run after the step under way; the checkpoint then says where to go on. */
  readonly signal?: AbortSignal;
}

export interface TrainResult {
  readonly end: RunEnd;
  readonly folder: string;
  readonly people: People;
  readonly config: SettledConfig;
}

/** A configuration with everything settled that depends on the machine or on other settings. */
export function settle(config: TrainConfig): SettledConfig {
  return {
    ...config,
    weightDecay: weightDecayOf(config),
    replicas: config.replicas ?? defaultReplicas(config.batchSize),
  };
}

export function optimizerSettings({ optimizer, momentum, nesterov }: TrainConfig): OptimizerSettings {
  return optimizer === "sgd" ? { name: "sgd", momentum, nesterov } : { name: optimizer };
}

/** The weights a run begins with, drawn from its seed. */
function freshState(config: SettledConfig, classes: number): ReturnType<typeof initialWeights> {
  const { weights } = trainingGraphs({
    ...config,
    loss: lossOf(config, classes),
    network: networkNamed(config.model),
    image: networkImageOf(config),
    batch: 1,
    weightDecay: weightDecayOf(config),
    optimizer: optimizerOf(optimizerSettings(config)),
  });
  const keras = ({ name, initializer }: Weight) => (name.endsWith("/kernel") ? glorotUniform : initializer);
  const chosen =
    config.initializer === "network"
      ? weights
      : weights.map((weight) => ({ ...weight, initializer: keras(weight) }));
  return initialWeights(chosen, new Random(config.seed));
}

/** The loss of a configuration; `classes` counts only where the loss has a direction for each person. */
export function lossOf(config: TrainConfig, classes: number): LossSettings {
  const { loss, mining, margin, scale, labelSmoothing: smoothing } = config;
  return lossSettings(loss, { mining, margin, scale, smoothing, classes });
}

/**
 * Starts a run's engine.
 * @param classes people that the loss tells apart; 0 for losses of pairs.
 */
export function openEngine(
  config: SettledConfig,
  classes: number,
  profilePrefix?: string,
): Promise<TrainingEngine> {
  return TrainingEngine.open({
    loss: lossOf(config, classes),
    network: config.model,
    image: networkImageOf(config),
    sampling: config.sampling,
    batchSize: config.batchSize,
    optimizer: optimizerSettings(config),
    weightDecay: weightDecayOf(config),
    dropout: config.dropout,
    clipNorm: config.clipNorm,
    averageDecay: config.averageDecay,
    replicas: config.replicas,
    threads: config.threads,
    providers: config.provider === "cpu" ? ["cpu"] : [config.provider, "cpu"],
    ...(profilePrefix === undefined ? {} : { profilePrefix }),
  });
}

/** Validation pairs are the same after every epoch. */
function validationPairs(people: People, config: SettledConfig): Pair[] | undefined {
  if (people.split.validation.length === 0) return undefined;
  const random = new Random(config.seed).fork("validation pairs");
  return evaluationPairs(people.split.validation, { count: config.validationPairs, random });
}

async function fitNetwork(
  { folder, listeners = [], signal }: Omit<TrainOptions, "config">,
  config: SettledConfig,
  people: People,
  loader: Loader,
  from: Checkpoint | undefined,
): Promise<RunEnd> {
  const stepsPerEpoch = Math.floor(config.datasetSize / config.batchSize);
  if (stepsPerEpoch < 1) {
    throw new FaceError(
      "CONFIG_INVALID",
      `an epoch of ${config.datasetSize} does not fill one batch of ${config.batchSize}`,
      { hint: "raise DATASET_SIZE or lower BATCH_SIZE" },
    );
  }
  const feed = feedOf(config, people.split.train, loader, stepsPerEpoch * config.batchSize);
  const held = validationPairs(people, config);
  await using engine = await openEngine(config, feed.classes);
  await engine.load(from?.state ?? freshState(config, feed.classes));
  return await runLoop({
    config,
    engine,
    stepsPerEpoch,
    batches: feed.batches,
    ...(held === undefined
      ? {}
      : { validate: async () => lossAndAccuracy(held, await scorePairs(engine, loader, held)) }),
    listeners: [
      runLog(folder),
      checkpoints(folder, async (path) => {
        for (const listener of listeners) await listener.onCheckpoint?.(path);
      }),
      earlyStop(config.patience),
      ...listeners,
    ],
    ...(from === undefined ? {} : { progress: from.progress }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Hard pairs are found within a batch, and only the pair's own loss is taken of them. */
function checkMining({ mining, loss, sampling }: SettledConfig): void {
  if (mining === "all" || (loss === "bce" && sampling === "people")) return;
  throw new FaceError(
    "CONFIG_INVALID",
    `mining ${mining} looks for hard pairs in batches by people and their cross-entropy, not with loss ${loss} and sampling ${sampling}`,
    {
      hint: "set --sampling people and --loss bce, use --loss triplet-hard or triplet-semihard, or leave mining at all",
    },
  );
}

async function run(
  options: TrainOptions,
  config: SettledConfig,
  from: Checkpoint | undefined,
): Promise<TrainResult> {
  const log = options.log ?? silentLog;
  // A misspelt network is said before the dataset is looked through.
  networkNamed(config.model);
  checkMining(config);
  const people = await openPeople(config, log);
  await using loader = new Loader({
    settings: settingsOf(config),
    strict: config.strict,
    log,
  });
  await writeRunFile(options.folder, config, people);
  const end = await fitNetwork(options, config, people, loader, from);
  return { end, folder: options.folder, people, config };
}

/** What a run's folder says of it. */
export const RUN_FILE = "run.json";

/** Describes the run, so that it can be understood and repeated. */
export async function writeRunFile(
  folder: string,
  config: SettledConfig,
  { dataset, split, excluded }: People,
): Promise<void> {
  const about = {
    faceid: VERSION,
    node: process.version,
    system: `${platform()} ${arch()} ${release()}`,
    started: new Date().toISOString(),
    seed: config.seed,
    config,
    dataset: { name: dataset.name, kind: dataset.kind, identities: dataset.identities.length, excluded },
    people: { train: split.train.length, validation: split.validation.length, test: split.test.length },
  };
  await writeFileAtomic(join(folder, RUN_FILE), `${JSON.stringify(about, null, 2)}\n`);
}

/** Trains one network from scratch. */
export function trainNetwork(options: TrainOptions): Promise<TrainResult> {
  return run(options, settle(trainConfig(options.config)), undefined);
}

/** How to go on with a run. */
export interface ResumeOptions extends Omit<TrainOptions, "config" | "folder"> {
  /** A new number of epochs, to train longer than first planned. */
  readonly epochs?: number;
}

/** Goes on with the network in a folder as if it had never stopped: same configuration, same data, same numbers. */
export async function resumeNetwork(
  folder: string,
  { epochs, ...options }: ResumeOptions = {},
): Promise<TrainResult> {
  const checkpoint = await readCheckpoint(join(folder, LAST_CHECKPOINT));
  const config = { ...checkpoint.config, ...(epochs === undefined ? {} : { epochs }) };
  return run({ ...options, folder, config }, config, checkpoint);
}
