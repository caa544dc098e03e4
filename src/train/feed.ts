/** @file What the training loop is fed: pairs, or photographs by people, drawn anew for each epoch. */
import { Random } from "../base/random.ts";
import type { Identity } from "../data/identity.ts";
import type { LabelledBatch, Loader, PairBatch, TrainingBatchOptions } from "../data/loader.ts";
import { samplePairs } from "../data/pairs.ts";
import { samplePhotoGroups } from "../data/photo-groups.ts";
import { augmentSettings } from "../image/augment-settings.ts";
import type { SettledConfig } from "./config.ts";
import type { StepBatch } from "./engine-messages.ts";
import { epochSeed } from "./loop.ts";
import { STEP_INPUTS } from "./step.ts";
import { needsLabels } from "./step-losses.ts";

/** The batches of an epoch from a step on, and what has to be known about the people in them. */
export interface Feed {
  /** People that the loss tells apart; 0 for losses of pairs. */
  readonly classes: number;
  batches(epoch: number, start: number): AsyncIterable<StepBatch>;
}

/** How an epoch's images are read and changed. */
function batchOptions(config: SettledConfig, epoch: number, start: number): TrainingBatchOptions {
  const seed = epochSeed(config.seed, "augment", epoch);
  return {
    batchSize: config.batchSize,
    seed,
    start,
    dropLast: true,
    augment: augmentSettings(config.augment),
  };
}

async function* asStepBatches(
  batches: AsyncIterable<PairBatch>,
  labels: ReadonlyMap<number, number> | undefined,
): AsyncGenerator<StepBatch> {
  for await (const { left, right, same, count, pairs } of batches) {
    const labelsOf = (side: "left" | "right") =>
      Float32Array.from(pairs, (pair) => labels!.get(pair[side].index)!);
    const labelled =
      labels === undefined
        ? {}
        : {
            [STEP_INPUTS.anchorLabel]: labelsOf("left"),
            [STEP_INPUTS.verificationLabel]: labelsOf("right"),
          };
    const images = { [STEP_INPUTS.anchor]: left, [STEP_INPUTS.verification]: right };
    yield { count, inputs: { ...images, [STEP_INPUTS.same]: same, ...labelled } };
  }
}

/** Pairs, drawn anew for each epoch. */
function pairFeed(
  config: SettledConfig,
  people: readonly Identity[],
  told: readonly Identity[],
  loader: Loader,
  count: number,
): Feed {
  const labelled = needsLabels(config.loss);
  const labels = new Map(told.flatMap(({ images }, label) => images.map(({ index }) => [index, label])));
  const pairsOf = (epoch: number) =>
    samplePairs(labelled ? told : people, { count, random: new Random(config.seed).fork("pairs", epoch) });
  // A dataset without possible pairs is refused here, before the engine starts.
  pairsOf(0);
  return {
    classes: labelled ? told.length : 0,
    batches: (epoch, start) =>
      asStepBatches(
        loader.pairBatches(pairsOf(epoch), batchOptions(config, epoch, start)),
        labelled ? labels : undefined,
      ),
  };
}

async function* asImageBatches(batches: AsyncIterable<LabelledBatch>): AsyncGenerator<StepBatch> {
  for await (const { images, labels, count } of batches) {
    yield { count, inputs: { [STEP_INPUTS.images]: images, [STEP_INPUTS.label]: Float32Array.from(labels) } };
  }
}

/** Photographs by people, drawn anew for each epoch. */
function peopleFeed(config: SettledConfig, told: readonly Identity[], loader: Loader, count: number): Feed {
  const { photosPerPerson: groupSize, mostPhotos, seed } = config;
  const imagesOf = (epoch: number) =>
    samplePhotoGroups(told, {
      count,
      groupSize,
      maxImagesPerId: mostPhotos,
      random: new Random(seed).fork("groups", epoch),
    });
  imagesOf(0);
  return {
    classes: needsLabels(config.loss) ? told.length : 0,
    batches: (epoch, start) =>
      asImageBatches(loader.labelledBatches(imagesOf(epoch), batchOptions(config, epoch, start))),
  };
}

/**
 * The batches of a run.
 * @param count pairs or images in an epoch.
 * @throws FaceError `DATASET_INVALID` when the people do not offer what is to be drawn.
 */
export function feedOf(
  config: SettledConfig,
  people: readonly Identity[],
  loader: Loader,
  count: number,
): Feed {
  const told = people.filter(({ images }) => images.length >= config.fewestPhotos);
  return config.sampling === "people"
    ? peopleFeed(config, told, loader, count)
    : pairFeed(config, people, told, loader, count);
}
