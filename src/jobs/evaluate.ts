/** @file Measures a model by its path: on held-out people, or by the folds of a pairs file. */
import type { Log } from "../base/log.ts";
import type { FoldReport } from "../evaluate/folds.ts";
import type { OnMeasureProgress } from "../evaluate/watched-verifier.ts";
import type { DataConfig } from "../train/people.ts";
import { openModel } from "../verify/open-model.ts";
import { type Measurement, measureFolds, measureHeldOut } from "./measure.ts";

/** What to measure on. */
export interface EvaluateOptions {
  /** Settings of the data other than those of the training, which are taken when left out. */
  readonly data?: Partial<DataConfig>;
  /** Pairs to draw of each group of held-out people, half of them of one person. Default 4000. */
  readonly pairs?: number;
  /** Where unreadable images and the like are told. Default: nowhere. */
  readonly log?: Log;
  /** Told after each batch of images. */
  readonly onProgress?: OnMeasureProgress;
}

/**
 * Measures a model on people it was not trained on, with thresholds chosen on the validation people.
 * @param model as for `loadModel`.
 * @throws FaceError as `loadModel` and `openDataset` do; `DATASET_INVALID` when there are no people to measure on.
 */
export async function evaluate(
  model: string,
  { data = {}, ...options }: EvaluateOptions = {},
): Promise<Measurement> {
  const { verifier, config } = await openModel(model);
  await using opened = verifier;
  return await measureHeldOut(opened, { config: { ...config, ...data }, ...options });
}

/**
 * Measures a model by the k-fold protocol of an LFW-style `pairs.txt`: each fold is judged by the others' threshold.
 * @throws FaceError as `evaluate`; `FILE_INVALID` for a damaged pairs file.
 */
export async function evaluateFolds(
  model: string,
  pairsFile: string,
  { data = {}, ...options }: Omit<EvaluateOptions, "pairs"> = {},
): Promise<FoldReport> {
  const { verifier, config } = await openModel(model);
  await using opened = verifier;
  return await measureFolds(opened, pairsFile, { config: { ...config, ...data }, ...options });
}
