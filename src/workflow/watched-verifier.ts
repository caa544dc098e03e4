/** @file Watches a verifier at work: how many of the images to be embedded are done. */
import type { Pair } from "../data/pairs.ts";
import type { Verifier } from "../model/verifier.ts";

/** How far a measurement is. */
export interface MeasureProgress {
  readonly images: number;
  readonly totalImages: number;
}

export type OnMeasureProgress = (progress: MeasureProgress) => void;

/** A verifier under watch. */
export interface WatchedVerifier extends Verifier {
  /** Tells that nothing more is to come: images that could not be read never reach the verifier. */
  finish(): void;
}

const countImages = (pairs: readonly Pair[]) =>
  new Set(pairs.flatMap(({ left, right }) => [left, right])).size;

/**
 * The same verifier, telling after each batch how many images are embedded.
 * @param lists each is scored by itself, so an image in two of them counts twice.
 */
export function watchedVerifier(
  verifier: Verifier,
  lists: readonly (readonly Pair[])[],
  onProgress: OnMeasureProgress,
): WatchedVerifier {
  const totalImages = lists.reduce((sum, pairs) => sum + countImages(pairs), 0);
  let images = 0;
  return {
    image: verifier.image,
    embeddingSize: verifier.embeddingSize,
    lanes: verifier.lanes,
    async embed(pixels, count) {
      const embeddings = await verifier.embed(pixels, count);
      images += count;
      onProgress({ images, totalImages });
      return embeddings;
    },
    compare: (anchors, verifications, count) => verifier.compare(anchors, verifications, count),
    finish() {
      if (images < totalImages) onProgress({ images: totalImages, totalImages });
    },
    [Symbol.asyncDispose]: () => verifier[Symbol.asyncDispose](),
  };
}
