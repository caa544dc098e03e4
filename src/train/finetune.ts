/** @file Trains all of a pretrained network further on people at a small rate, and keeps that only where it beats the network as it was. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../base/files.ts";
import type { Log } from "../base/log.ts";
import { Random } from "../base/random.ts";
import { float32, type Tensor, type TensorMap } from "../base/tensor.ts";
import { countImages, type Identity, type ImageRef } from "../data/identity.ts";
import { Loader } from "../data/loader.ts";
import { HEAD_WEIGHTS } from "../model/siamese.ts";
import { fitLogistic } from "../nn/logistic-fit.ts";
import {
  cosineHead,
  type Embedded,
  embedAll,
  heldOutPairs,
  labelled,
  logFit,
  PACK_ODDS,
  pairCosines,
  pretrainedEmbedder,
} from "./adapt.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { compareTuned, type Tuning } from "./choose-fit.ts";
import { type SettledConfig, settingsOf, stepSettingsOf } from "./config.ts";
import { cachedEmbedder } from "./embedding-cache.ts";
import { defaultReplicas } from "./engine.ts";
import { memberFolder } from "./finish.ts";
import { logitsOf } from "./fit-head.ts";
import { inferenceWeights, networkEmbedder } from "./inference.ts";
import { BEST_CHECKPOINT, LAST_CHECKPOINT, type RunEnd } from "./listeners.ts";
import { fitNetwork, type TrainOptions } from "./network-run.ts";
import type { People } from "./people.ts";
import { pretrainedWeights } from "./pretrained.ts";
import { DIRECTION_ROWS, DIRECTIONS, isSoftmax, sampledClasses } from "./step-losses.ts";

/** People with two images below which nobody is trained on, since some of them have to judge the result. */
export const LEAST_TUNED = 12;
/** Part of the people who judge, and the fewest of them. */
const JUDGES = { fraction: 0.2, least: 4 } as const;

/** Those to train on, and those on whom the network is compared with what it was. */
function dealt(people: readonly Identity[], seed: number): { learned: Identity[]; judges: Identity[] } {
  const shuffled = new Random(seed).fork("judges").shuffle([...people]);
  const count = Math.max(JUDGES.least, Math.round(JUDGES.fraction * people.length));
  const judging = new Set(shuffled.slice(0, count));
  return {
    learned: people.filter((person) => !judging.has(person)),
    judges: people.filter((person) => judging.has(person)),
  };
}

/** Fewest steps of an epoch; photographs of few people come again, changed by the augmentation. */
const LEAST_STEPS = 20;

/** The settings of the training: no batch has more images than there are, and an epoch not many more. */
function sized(config: SettledConfig, images: number): SettledConfig {
  const batchSize = Math.min(config.batchSize, 2 * Math.floor(images / 2));
  const wanted = Math.max(images, LEAST_STEPS * batchSize);
  const datasetSize = Math.max(batchSize, Math.min(config.datasetSize, wanted));
  const replicas = batchSize % config.replicas === 0 ? config.replicas : defaultReplicas(batchSize);
  return { ...config, batchSize, datasetSize, replicas };
}

/** The settings as the training of these people has them. */
export function tunedSettings(config: SettledConfig, people: readonly Identity[]): SettledConfig {
  return sized(config, countImages(dealt(people, config.seed).learned));
}

/** Each person's direction in the softmax begins as the mean of their embeddings, which separates people already. */
function meanDirections(embedded: Embedded, people: readonly Identity[], most: number): Float32Array[] {
  const { values, size, labels } = labelled(embedded, people, most);
  const sums = people.map(() => new Float32Array(size));
  for (const [row, label] of labels.entries())
    for (let i = 0; i < size; i++) sums[label]![i]! += values[row * size + i]!;
  return sums.map((sum) => sum.map((value) => value / Math.max(Math.hypot(...sum), Number.MIN_VALUE)));
}

/** The directions as the loss keeps them: as columns, or as rows where it samples people. */
function asWeight(directions: readonly Float32Array[], config: SettledConfig): readonly [string, Tensor] {
  const [people, size] = [directions.length, directions[0]!.length];
  const isSampled = sampledClasses(stepSettingsOf(config, people).loss) !== undefined;
  const values = new Float32Array(people * size);
  for (const [person, direction] of directions.entries())
    for (let i = 0; i < size; i++)
      values[isSampled ? person * size + i : i * people + person] = direction[i]!;
  return isSampled
    ? [DIRECTION_ROWS, float32([people, size], values)]
    : [DIRECTIONS, float32([size, people], values)];
}

/** The head whose log odds are `slope · logit + offset`. */
function calibratedHead(
  head: TensorMap,
  { slope, offset }: { readonly slope: number; readonly offset: number },
): TensorMap {
  const change = (name: string, by: (value: number) => number): [string, Tensor] => {
    const { shape, data } = head.get(name)!;
    return [name, float32([...shape], Float32Array.from(data as Float32Array, by))];
  };
  return new Map([
    ...head,
    change("classifier/kernel", (value) => slope * value),
    change("classifier/bias", (value) => slope * value + offset),
  ]);
}

/** What a further training came to. */
export interface Finetuned {
  readonly end: RunEnd;
  /** Absent where the run did not finish, and where there were too few people to hold out. */
  readonly tuning?: Tuning | undefined;
}

/**
 * Trains the network on four fifths of the training people, compares it on the others with the cosine of what it was, and
 * writes it as the run's best checkpoint if it is better. Validation people choose the epoch and calibrate the head. A run
 * that was stopped continues.
 * @param config as `adaptedConfig` answers it.
 * @returns undefined with fewer than `LEAST_TUNED` people to train on.
 * @throws FaceError `INTERRUPTED` on the signal while faces are embedded.
 */
export async function finetune(
  options: Omit<TrainOptions, "config"> & { readonly log: Log },
  config: SettledConfig,
  people: People,
): Promise<Finetuned | undefined> {
  const { train, validation } = people.split;
  if (train.length < LEAST_TUNED) return undefined;
  const { folder, log, signal } = options;
  const { seed, maxImagesPerId: most } = config;
  const { learned, judges } = dealt(train, seed);
  await using loader = new Loader({ settings: settingsOf(config), strict: config.strict, log });
  const embed = async (embedder: Awaited<ReturnType<typeof networkEmbedder>>, whom: readonly Identity[]) => {
    await using opened = embedder;
    const images = whom.flatMap((person) => person.images.slice(0, most));
    const { values, size, present } = await embedAll(opened, loader, images, { log, signal, folder });
    const rows = new Map(images.map((image, row) => [image.index, row]));
    const rowOf = (image: ImageRef) => {
      const row = rows.get(image.index);
      return row !== undefined && present[row] === 1 ? row : undefined;
    };
    return { values, size, rowOf };
  };
  const backbone = await pretrainedWeights(config.model, config.imageShape, log);
  const before = await embed(await pretrainedEmbedder(folder, config, backbone), train);

  const stage = memberFolder(folder, 0);
  await makeFolder(stage);
  const last = join(stage, LAST_CHECKPOINT);
  const settings = tunedSettings(config, train);
  const end = await fitNetwork(
    options,
    settings,
    { ...people, split: { train: learned, validation, test: [] } },
    loader,
    {
      from: existsSync(last) ? await readCheckpoint(last) : undefined,
      checkpointFolder: stage,
      initial: () =>
        new Map([
          ...(config.head === "cosine" ? cosineHead(PACK_ODDS) : []),
          ...(isSoftmax(config.loss) ? [asWeight(meanDirections(before, learned, most), settings)] : []),
        ]),
    },
  );
  if (end.reason === "interrupted" || end.reason === "diverged") return { end };

  const best = await readCheckpoint(join(stage, BEST_CHECKPOINT));
  const weights = inferenceWeights(config, best.state);
  const known = join(stage, `embeddings-${best.progress.epoch}.txt`);
  const after = await embed(await cachedEmbedder(await networkEmbedder(config, weights), known), [
    ...judges,
    ...validation,
  ]);
  const head =
    config.head === "cosine" ? undefined : new Map([...weights].filter(([name]) => HEAD_WEIGHTS.test(name)));
  const compared = await compareTuned(labelled(before, judges, most), labelled(after, judges, most), {
    head,
    seed,
  });
  const held = heldOutPairs(after, validation, seed);
  if (compared === undefined || !held.same.includes(true) || !held.same.includes(false)) return { end };
  const odds = fitLogistic(head === undefined ? pairCosines(held) : await logitsOf(head, held), held.same);
  const tuning = { ...compared, isKept: compared.isKept && odds.slope > 0 };
  await logFit(folder, "finetune", tuning);
  if (tuning.isKept) {
    const calibrated = head === undefined ? new Map(cosineHead(odds)) : calibratedHead(head, odds);
    const state = new Map([...weights, ...calibrated]);
    await writeCheckpoint(join(folder, BEST_CHECKPOINT), { config, progress: best.progress, state });
  }
  return { end, tuning };
}
