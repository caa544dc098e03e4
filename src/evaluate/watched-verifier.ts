/** @file Watches a verifier at work: how many of the images are done. */
import type { Pair } from "../data/pairs.ts";
import type { AnyVerifier, PairVerifier, Verifier } from "../model/verifier.ts";

/** How far a measurement is. */
export interface MeasureProgress {
  readonly images: number;
  readonly totalImages: number;
}

export type OnMeasureProgress = (progress: MeasureProgress) => void;

/** A verifier under watch. */
interface Watched {
  /** Tells that nothing more is to come: images that could not be read never reach the verifier. */
  finish(): void;
}

/** Images that a verifier sees of some pairs: one that embeds sees each once. */
const countImages = (verifier: AnyVerifier, pairs: readonly Pair[]) =>
  "score" in verifier ? 2 * pairs.length : new Set(pairs.flatMap(({ left, right }) => [left, right])).size;

/**
 * The same verifier, telling after each batch how many images are done.
 * @param lists each is scored by itself, so an image in two of them counts twice.
 */
export function watchedVerifier<V extends AnyVerifier>(
  verifier: V,
  lists: readonly (readonly Pair[])[],
  onProgress: OnMeasureProgress,
): (V extends PairVerifier ? PairVerifier : Verifier) & Watched;
export function watchedVerifier(
  verifier: AnyVerifier,
  lists: readonly (readonly Pair[])[],
  onProgress: OnMeasureProgress,
): AnyVerifier & Watched {
  const totalImages = lists.reduce((sum, pairs) => sum + countImages(verifier, pairs), 0);
  let images = 0;
  const done = (count: number) => {
    images += count;
    onProgress({ images, totalImages });
  };
  const { image, concurrency } = verifier;
  const common = {
    image,
    concurrency,
    finish() {
      if (images < totalImages) onProgress({ images: totalImages, totalImages });
    },
    [Symbol.asyncDispose]: () => verifier[Symbol.asyncDispose](),
  };
  if ("score" in verifier) {
    return {
      ...common,
      async score(anchors, verifications, count) {
        const scores = await verifier.score(anchors, verifications, count);
        done(2 * count);
        return scores;
      },
    };
  }
  return {
    ...common,
    embeddingSize: verifier.embeddingSize,
    async embed(pixels, count) {
      const embeddings = await verifier.embed(pixels, count);
      done(count);
      return embeddings;
    },
    compare: (anchors, verifications, count) => verifier.compare(anchors, verifications, count),
  };
}
