/** @file Counts the people, images and pairs of a dataset and finds files that cannot be decoded. */
import { FaceError } from "../base/errors.ts";
import { eachLimited } from "../base/limiter.ts";
import type { ImageSettings } from "../image/settings.ts";
import { countImages, type Dataset, type ImageRef, imageName, readPixels } from "./identity.ts";
import type { LeftOut } from "./left-out.ts";

/** Numbers of images per person. */
export interface Spread {
  readonly least: number;
  readonly median: number;
  readonly mean: number;
  readonly most: number;
}

export interface Survey {
  readonly name: string;
  readonly layout: string;
  readonly path: string | undefined;
  readonly identities: number;
  readonly images: number;
  readonly imagesPerIdentity: Spread;
  /** People with two or more images, who can form a pair of one person. */
  readonly pairable: number;
  /** Number of different pairs of one person. */
  readonly positivePairs: number;
  /** What the folder holds that is not used, by reason. */
  readonly leftOut: readonly LeftOut[];
  /** How the folder was read, where that may surprise. */
  readonly remarks: readonly string[];
}

/** A file that could not be decoded. */
export interface Unreadable {
  readonly path: string;
  readonly reason: string;
}

/** Counts people, images and pairs without reading files. */
export function surveyDataset(dataset: Dataset): Survey {
  const { name, kind, path, identities, leftOut = [], remarks = [] } = dataset;
  const counts = identities.map(({ images }) => images.length).sort((a, b) => a - b);
  const images = countImages(identities);
  const middle = Math.floor(counts.length / 2);
  const even = counts.length % 2 === 0;
  return {
    name,
    layout: kind,
    path,
    identities: counts.length,
    images,
    imagesPerIdentity: {
      least: counts[0] ?? 0,
      median: even ? ((counts[middle - 1] ?? 0) + (counts[middle] ?? 0)) / 2 : counts[middle]!,
      mean: images / Math.max(1, counts.length),
      most: counts.at(-1) ?? 0,
    },
    pairable: counts.filter((count) => count >= 2).length,
    positivePairs: counts.reduce((sum, count) => sum + (count * (count - 1)) / 2, 0),
    leftOut,
    remarks,
  };
}

/** Files decoded concurrently: the number of threads that decode. */
const CONCURRENCY = 4;
/** A small size is the fastest check. */
const TINY: ImageSettings = { height: 8, width: 8, channels: 3 };

/**
 * Decodes every file of a dataset and returns those that fail.
 * @param onProgress called with the number of files tried so far
 * @throws FaceError `INTERRUPTED` on the signal.
 */
export async function findUnreadable(
  dataset: Dataset,
  options: { readonly onProgress?: (tried: number) => void; readonly signal?: AbortSignal } = {},
): Promise<Unreadable[]> {
  const files = dataset.identities.flatMap(({ images }) => images.filter(({ kind }) => kind === "file"));
  const found: (Unreadable & { readonly index: number })[] = [];
  let tried = 0;
  await eachLimited(files, CONCURRENCY, async (image: ImageRef) => {
    if (options.signal?.aborted) throw new FaceError("INTERRUPTED", `stopped after ${tried} files`);
    try {
      await readPixels(image, TINY);
    } catch (error) {
      if (!(error instanceof FaceError)) throw error;
      const path = imageName(image);
      found.push({ path, reason: error.message.replace(`cannot read ${path}: `, ""), index: image.index });
    }
    options.onProgress?.(++tried);
  });
  return found.sort((a, b) => a.index - b.index).map(({ path, reason }) => ({ path, reason }));
}
