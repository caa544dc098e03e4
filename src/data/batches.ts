/** @file Batches of prepared pixels: what they hold, and how they are asked for. */
import type { Log } from "../base/log.ts";
import type { AugmentSettings } from "../image/augment-settings.ts";
import type { ImageSettings } from "../image/settings.ts";
import type { ImageRef } from "./identity.ts";
import type { Pair } from "./pairs.ts";

/** Pairs ready for the network. */
export interface PairBatch {
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly left: Float32Array;
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly right: Float32Array;
  /** Float32 [count]: 1 for one person, 0 for two. */
  readonly same: Float32Array;
  readonly count: number;
  /** What is in the batch, in order. */
  readonly pairs: readonly Pair[];
}

/** Single images ready for the network. */
export interface ImageBatch {
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly images: Float32Array;
  readonly count: number;
  /** Position of each in the list that was asked for; unreadable images are left out. */
  readonly positions: Int32Array;
}

/** An image and the number of the person on it. */
export interface LabelledImage {
  readonly image: ImageRef;
  /** Index into the list of identities. */
  readonly label: number;
}

/** Single images with the number of the person on each, for classification losses. */
export interface LabelledBatch {
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly images: Float32Array;
  /** Int32 [count]. */
  readonly labels: Int32Array;
  readonly count: number;
}

export interface LoaderOptions {
  readonly settings: ImageSettings;
  /** Threads that decode and augment. Default 1. */
  readonly workers?: number;
  /** Batches loaded ahead of the one in use: what bounds memory. Default 4. */
  readonly prefetch?: number;
  /** Folder of the cache of decoded pixels; `false` for no cache. Default: `defaultCacheFolder()`. */
  readonly cacheFolder?: string | false;
  /** Disk space for decoded pixels: 37.6 kB for each image of 112×112. Default 2048, some 57,000 of those. */
  readonly cacheMegabytes?: number;
  /** Makes an unreadable image an error instead of a report. */
  readonly strict?: boolean;
  readonly log?: Log;
}

export interface ImageBatchOptions {
  readonly batchSize: number;
  /** First batch to yield, to go on in the middle. Default 0. */
  readonly start?: number;
}

export interface TrainingBatchOptions extends ImageBatchOptions {
  /** Seed of the augmentation; the caller derives it from run seed and epoch. */
  readonly seed: number;
  readonly augment?: AugmentSettings;
  /** Leaves out a last batch that is not full. */
  readonly dropLast?: boolean;
}
