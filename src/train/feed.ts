/** @file The batches of the training loop: pairs, or images by people, drawn anew for each epoch. */
import { Random } from "../base/random.ts";
import type { Identity } from "../data/identity.ts";
import type { LabelledBatch, Loader, PairBatch, TrainingBatchOptions } from "../data/loader.ts";
import { samplePairs } from "../data/pairs.ts";
import { samplePhotoGroups } from "../data/photo-groups.ts";
import { augmentSettings } from "../image/augment-settings.ts";
import type { SettledConfig } from "./config.ts";
import type { Lessons, TaughtBatch } from "./lessons.ts";
import { epochSeed } from "./loop.ts";
import type { StepBatch } from "./replica.ts";
import { STEP_INPUTS } from "./step.ts";
import { needsLabels } from "./step-losses.ts";

/** The batches of a run. */
export interface Feed {
  /** Number of people for losses with labels; 0 for losses of pairs. */
  readonly classes: number;
  /** Those of an epoch, from the step `start` on. */
  batches(epoch: number, start: number): AsyncIterable<StepBatch>;
}

/** How an epoch's images are loaded and augmented. */
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
        : { [STEP_INPUTS.anchorLabel]: labelsOf("left"), [STEP_INPUTS.verificationLabel]: labelsOf("right") };
    const images = { [STEP_INPUTS.anchor]: left, [STEP_INPUTS.verification]: right };
    yield { count, inputs: { ...images, [STEP_INPUTS.same]: same, ...labelled } };
  }
}

/** Pairs, drawn anew for each epoch. */
function pairFeed(
  config: SettledConfig,
  people: readonly Identity[],
  eligible: readonly Identity[],
  loader: Loader,
  count: number,
): Feed {
  const labelled = needsLabels(config.loss);
  const labels = new Map(eligible.flatMap(({ images }, label) => images.map(({ index }) => [index, label])));
  const pairsOf = (epoch: number) =>
    samplePairs(labelled ? eligible : people, {
      count,
      random: new Random(config.seed).fork("pairs", epoch),
    });
  // Fails before the engine starts if the dataset offers no pairs.
  pairsOf(0);
  return {
    classes: labelled ? eligible.length : 0,
    batches: (epoch, start) =>
      asStepBatches(
        loader.pairBatches(pairsOf(epoch), batchOptions(config, epoch, start)),
        labelled ? labels : undefined,
      ),
  };
}

async function* asImageBatches(
  batches: AsyncIterable<LabelledBatch>,
  lessons: Lessons | undefined,
): AsyncGenerator<StepBatch> {
  const taught: AsyncIterable<LabelledBatch & Partial<TaughtBatch>> = lessons?.teach(batches) ?? batches;
  for await (const { images, labels, count, embeddings } of taught) {
    const inputs = { [STEP_INPUTS.images]: images, [STEP_INPUTS.label]: Float32Array.from(labels) };
    yield { count, inputs: { ...inputs, ...(embeddings && { [STEP_INPUTS.teacher]: embeddings }) } };
  }
}

/** Images by people, drawn anew for each epoch. */
function peopleFeed(
  config: SettledConfig,
  eligible: readonly Identity[],
  loader: Loader,
  count: number,
  lessons: Lessons | undefined,
): Feed {
  const { photosPerPerson: groupSize, maxImagesPerId, seed } = config;
  const imagesOf = (epoch: number) => {
    const drawn = samplePhotoGroups(eligible, {
      count,
      groupSize,
      maxImagesPerId,
      random: new Random(seed).fork("groups", epoch),
    });
    return lessons === undefined ? drawn : lessons.mix(drawn, new Random(seed).fork("mix", epoch));
  };
  imagesOf(0);
  return {
    classes: needsLabels(config.loss) ? eligible.length : 0,
    batches: (epoch, start) =>
      asImageBatches(loader.labelledBatches(imagesOf(epoch), batchOptions(config, epoch, start)), lessons),
  };
}

/**
 * The batches of a run.
 * @param count pairs or images in an epoch.
 * @param lessons adds a teacher's embeddings to batches of images.
 * @throws FaceError `DATASET_INVALID` when the dataset has too few people or images.
 */
export function feedOf(
  config: SettledConfig,
  people: readonly Identity[],
  loader: Loader,
  count: number,
  lessons?: Lessons,
): Feed {
  const eligible = people.filter(({ images }) => images.length >= config.minImagesPerId);
  return config.sampling === "people"
    ? peopleFeed(config, eligible, loader, count, lessons)
    : pairFeed(config, people, eligible, loader, count);
}
