/** @file Scores pairs of images: by embeddings, each image embedded once, or two images at a time. */

import { FaceError } from "../base/errors.ts";
import { eachLimited } from "../base/limiter.ts";
import type { ImageRef } from "../data/identity.ts";
import type { ImageBatch, Loader } from "../data/loader.ts";
import type { Pair } from "../data/pairs.ts";
import type { AnyVerifier, Embedder, PairVerifier, Verifier } from "../model/verifier.ts";
import { ABOVE_HALF, crossEntropy } from "./metrics.ts";
import { accuracyAt } from "./roc.ts";
import { scoredPairs } from "./scores.ts";

/** Images in one run of the backbone. */
const EMBED_BATCH = 16;
/** Pairs in one run of the head. */
const COMPARE_BATCH = 256;

export interface PairScores {
  /** Probability of the same person for each pair; NaN where an image is unreadable. */
  readonly scores: Float64Array;
  /** Positions of the pairs without a score. */
  readonly unreadable: readonly number[];
}

/** Rows of a matrix `[rows, size]`, in the given order. */
export function selectRows(values: Float32Array, size: number, rows: readonly number[]): Float32Array {
  const selected = new Float32Array(rows.length * size);
  rows.forEach((row, to) => {
    selected.set(values.subarray(row * size, (row + 1) * size), to * size);
  });
  return selected;
}

export interface Embeddings {
  /** `[images, size]` */
  readonly values: Float32Array;
  readonly size: number;
  /** 1 where the image could be read. */
  readonly present: Uint8Array;
}

/** Called with the number of images of each batch when it is done. */
type OnImages = (count: number) => void;

/** Embeds images, several batches at a time. */
export async function embedImages(
  verifier: Embedder,
  loader: Loader,
  images: readonly ImageRef[],
  onImages: OnImages = () => undefined,
): Promise<Embeddings> {
  const size = verifier.embeddingSize;
  const values = new Float32Array(images.length * size);
  const present = new Uint8Array(images.length);
  const batches = loader.imageBatches(images, { batchSize: EMBED_BATCH });
  await eachLimited(batches, verifier.concurrency * 2, async (batch) => {
    const rows = await verifier.embed(batch.images, batch.count);
    batch.positions.forEach((position, row) => {
      values.set(rows.subarray(row * size, (row + 1) * size), position * size);
      present[position] = 1;
    });
    onImages(batch.count);
  });
  return { values, size, present };
}

/** A model's answers, if they are finite. */
function checked(probabilities: Float32Array): Float32Array {
  if (probabilities.every(Number.isFinite)) return probabilities;
  throw new FaceError("MODEL_INVALID", "the model answers with numbers that are not finite", {
    hint: "its training has diverged; train again with a lower learning rate",
  });
}

/** Scores by embeddings: each image passes the network once, however many pairs it is in. */
async function scoreByEmbeddings(
  verifier: Verifier,
  loader: Loader,
  pairs: readonly Pair[],
  scores: Float64Array,
  onImages: OnImages,
): Promise<void> {
  const numbers = new Map<ImageRef, number>();
  for (const { left, right } of pairs) {
    for (const image of [left, right]) if (!numbers.has(image)) numbers.set(image, numbers.size);
  }
  const { values, size, present } = await embedImages(verifier, loader, [...numbers.keys()], onImages);
  const rowOf = (image: ImageRef) => numbers.get(image)!;
  const readable = pairs.flatMap(({ left, right }, i) =>
    present[rowOf(left)] && present[rowOf(right)] ? [i] : [],
  );
  for (let from = 0; from < readable.length; from += COMPARE_BATCH) {
    const part = readable.slice(from, from + COMPARE_BATCH);
    const gather = (side: "left" | "right") =>
      selectRows(
        values,
        size,
        part.map((pair) => rowOf(pairs[pair]![side])),
      );
    const probabilities = checked(await verifier.compare(gather("left"), gather("right"), part.length));
    part.forEach((pair, i) => {
      scores[pair] = probabilities[i]!;
    });
  }
}

/** The pairs of a batch of alternating left and right images of which both are readable. */
function wholePairs({ images, positions }: ImageBatch, size: number) {
  const rows = new Map([...positions].map((position, row) => [position, row]));
  const pairs = [...rows.keys()].filter((position) => position % 2 === 0 && rows.has(position + 1));
  const side = (offset: 0 | 1) =>
    selectRows(
      images,
      size,
      pairs.map((position) => rows.get(position + offset)!),
    );
  return { pairs: pairs.map((position) => position / 2), left: side(0), right: side(1) };
}

/** Scores by a model that takes two images at once. */
async function scoreByImages(
  verifier: PairVerifier,
  loader: Loader,
  list: readonly Pair[],
  scores: Float64Array,
  onImages: OnImages,
): Promise<void> {
  const size = verifier.image.height * verifier.image.width * 3;
  const images = list.flatMap(({ left, right }) => [left, right]);
  const batches = loader.imageBatches(images, { batchSize: EMBED_BATCH });
  await eachLimited(batches, verifier.concurrency * 2, async (batch) => {
    const { pairs, left, right } = wholePairs(batch, size);
    if (pairs.length === 0) return;
    const probabilities = checked(await verifier.score(left, right, pairs.length));
    pairs.forEach((pair, i) => {
      scores[pair] = probabilities[i]!;
    });
    onImages(2 * pairs.length);
  });
}

/** Progress of a measurement. */
export interface MeasureProgress {
  readonly images: number;
  readonly totalImages: number;
}

export type OnMeasureProgress = (progress: MeasureProgress) => void;

/** Images that a verifier takes for some pairs: one that embeds takes each once. */
const countImages = (verifier: AnyVerifier, pairs: readonly Pair[]) =>
  "score" in verifier ? 2 * pairs.length : new Set(pairs.flatMap(({ left, right }) => [left, right])).size;

/** Scores several lists of pairs one after the other, with progress over all of them after each batch. */
export async function scoreLists(
  verifier: AnyVerifier,
  loader: Loader,
  lists: readonly (readonly Pair[])[],
  onProgress: OnMeasureProgress = () => undefined,
): Promise<PairScores[]> {
  const totalImages = lists.reduce((sum, pairs) => sum + countImages(verifier, pairs), 0);
  let images = 0;
  const results: PairScores[] = [];
  for (const pairs of lists) {
    const done = (count: number) => {
      images += count;
      onProgress({ images, totalImages });
    };
    results.push(await scorePairs(verifier, loader, pairs, done));
  }
  // Unreadable images never reach the verifier.
  if (images < totalImages) onProgress({ images: totalImages, totalImages });
  return results;
}

/**
 * Scores pairs.
 * @throws FaceError `MODEL_INVALID` when the model answers with NaN or infinity.
 */
export async function scorePairs(
  verifier: AnyVerifier,
  loader: Loader,
  pairs: readonly Pair[],
  onImages: OnImages = () => undefined,
): Promise<PairScores> {
  const scores = new Float64Array(pairs.length).fill(Number.NaN);
  if ("score" in verifier) await scoreByImages(verifier, loader, pairs, scores, onImages);
  else await scoreByEmbeddings(verifier, loader, pairs, scores, onImages);
  return { scores, unreadable: pairs.flatMap((_, i) => (Number.isNaN(scores[i]) ? [i] : [])) };
}

/** Binary cross-entropy and accuracy at probability 0.5, over the pairs with a score. */
export function lossAndAccuracy(
  pairs: readonly Pair[],
  { scores }: PairScores,
): { loss: number; accuracy: number } {
  const scored = scoredPairs(
    scores,
    pairs.map(({ same }) => same),
  );
  return { loss: crossEntropy(scored), accuracy: accuracyAt(scored, ABOVE_HALF) };
}
