/** @file Opens a dataset, whatever its layout. */
import type { DatasetKind } from "./identity.ts";

export type { Dataset, DatasetKind, FileImage, Identity, ImageRef, SyntheticImage } from "./identity.ts";
export { countImages, DATASET_KINDS, imageName } from "./identity.ts";

export interface DatasetOptions {
  /** A layout, or the path of a user's module (`./my-dataset.js`). Found out from `path` when left out. */
  readonly dataset?: DatasetKind | string;
  /** The folder that holds the identities' folders (`DATASET_PATH`). Not needed for `synthetic`. */
  readonly path?: string;
  /** First identity, inclusive: the folder's number for `digiface`, else the position in name order, from 0. */
  readonly idFrom?: number;
  /** Last identity, inclusive. */
  readonly idTo?: number;
  /** At most so many images of each identity, the first in file order. */
  readonly imagesPerId?: number;
  /** For drawn faces only. */
  readonly synthetic?: SyntheticOptions;
}

export interface SyntheticOptions {
  /** How many people. Default 200. */
  readonly identities?: number;
  /** Photographs of each. Default 10. */
  readonly imagesPerIdentity?: number;
  /** Seed of the population. Default 0. */
  readonly seed?: number;
  /** How much photographs of one person vary, 0 to 2. Default 1. */
  readonly difficulty?: number;
}
