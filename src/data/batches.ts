/** @file Batches of prepared pixels, loaded ahead of the training engine with bounded memory. */

import type { Log } from "../base/log.ts";
import type { AugmentSettings } from "../image/augment.ts";
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

/** Single images with the number of the person on each, for classification losses. */
export interface LabelledBatch extends ImageBatch {
  /** Index into the list of identities. */
  readonly labels: Int32Array;
}

export interface LoaderOptions {
  readonly settings: ImageSettings;
  /** Worker threads that decode and augment. Default 1. */
  readonly workers?: number;
  /** Batches loaded ahead of the one in use. Default 4. */
  readonly prefetch?: number;
  /** Room for decoded pixels, so that an image is decoded once: 37.6 kB for each of 112×112. Default 512. */
  readonly cacheMegabytes?: number;
  /** Makes an unreadable image an error instead of a report. */
  readonly strict?: boolean;
  readonly log?: Log;
}

export interface PairBatchOptions {
  readonly batchSize: number;
  /** Seed of the augmentation; the caller derives it from run seed and epoch. */
  readonly seed: number;
  readonly augment?: AugmentSettings;
  /** First batch to yield, to go on in the middle of an epoch. */
  readonly start?: number;
  /** Leaves out a last batch that is not full. */
  readonly dropLast?: boolean;
}

export interface ImageBatchOptions {
  readonly batchSize: number;
  /** First batch to yield. */
  readonly start?: number;
}

export type { ImageRef, Pair };
