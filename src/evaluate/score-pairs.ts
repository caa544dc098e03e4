/** @file Scores of pairs of images: each image embedded once, however many pairs it is in, then compared. */

import { FaceError } from "../base/errors.ts";
import type { ImageRef } from "../data/identity.ts";
import type { Loader } from "../data/loader.ts";
import type { Pair } from "../data/pairs.ts";
import type { Verifier } from "../model/verifier.ts";
import { ABOVE_HALF, crossEntropy } from "./metrics.ts";
import { accuracyAt } from "./roc.ts";
import { scoredPairs } from "./scores.ts";

/** Images in one run of the tower. */
const EMBED_BATCH = 16;
/** Pairs in one run of the head. */
const COMPARE_BATCH = 256;

export interface PairScores {
  /** Probability that both are one person, for each pair in order; NaN where an image could not be read. */
  readonly scores: Float64Array;
  /** Numbers of the pairs without a score. */
  readonly unreadable: readonly number[];
}

interface Embeddings {
  /** `[images, size]` */
  readonly values: Float32Array;
  readonly size: number;
  /** 1 where the image could be read. */
  readonly present: Uint8Array;
}

/** Embeds images, as many batches at a time as the verifier can do side by side. */
export async function embedImages(
  verifier: Verifier,
  loader: Loader,
  images: readonly ImageRef[],
): Promise<Embeddings> {
  const size = verifier.embeddingSize;
  const values = new Float32Array(images.length * size);
  const present = new Uint8Array(images.length);
  const underWay = new Set<Promise<void>>();
  for await (const batch of loader.imageBatches(images, { batchSize: EMBED_BATCH })) {
    const work = verifier.embed(batch.images, batch.count).then((rows) => {
      batch.positions.forEach((position, row) => {
        values.set(rows.subarray(row * size, (row + 1) * size), position * size);
        present[position] = 1;
      });
      underWay.delete(work);
    });
    underWay.add(work);
    // A failure is thrown below, where the work is awaited; until then it must not count as overlooked.
    work.catch(() => undefined);
    if (underWay.size >= verifier.lanes * 2) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return { values, size, present };
}

/**
 * Scores pairs.
 * @throws FaceError `MODEL_INVALID` when the model answers with NaN or infinity.
 */
export async function scorePairs(
  verifier: Verifier,
  loader: Loader,
  pairs: readonly Pair[],
): Promise<PairScores> {
  const numbers = new Map<ImageRef, number>();
  for (const { left, right } of pairs) {
    for (const image of [left, right]) if (!numbers.has(image)) numbers.set(image, numbers.size);
  }
  const { values, size, present } = await embedImages(verifier, loader, [...numbers.keys()]);
  const scores = new Float64Array(pairs.length).fill(Number.NaN);
  const rowOf = (image: ImageRef) => numbers.get(image)!;
  const readable = pairs.flatMap(({ left, right }, i) =>
    present[rowOf(left)] && present[rowOf(right)] ? [i] : [],
  );
  for (let from = 0; from < readable.length; from += COMPARE_BATCH) {
    const part = readable.slice(from, from + COMPARE_BATCH);
    const gather = (side: "left" | "right") => {
      const rows = new Float32Array(part.length * size);
      part.forEach((pair, i) => {
        const row = rowOf(pairs[pair]![side]);
        rows.set(values.subarray(row * size, (row + 1) * size), i * size);
      });
      return rows;
    };
    const probabilities = await verifier.compare(gather("left"), gather("right"), part.length);
    if (!probabilities.every(Number.isFinite)) {
      throw new FaceError("MODEL_INVALID", "the model answers with numbers that are not finite", {
        hint: "its training has diverged; train again with a lower learning rate",
      });
    }
    part.forEach((pair, i) => {
      scores[pair] = probabilities[i]!;
    });
  }
  return { scores, unreadable: pairs.flatMap((_, i) => (Number.isNaN(scores[i]) ? [i] : [])) };
}

/** Binary cross-entropy and share of right decisions at probability 0.5, over the pairs that have a score. */
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
