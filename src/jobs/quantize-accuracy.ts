/** @file What 8 bits cost in accuracy: the same pairs through a model before and after. */
import type { Log } from "../base/log.ts";
import { accuracyAt, areaUnder, equalErrorRate, rocCurve } from "../evaluate/roc.ts";
import type { OnMeasureProgress } from "../evaluate/watched-verifier.ts";
import type { AnyVerifier } from "../model/verifier.ts";
import type { DataConfig } from "../train/people.ts";
import { measureFolds, measureHeldOut } from "./measure.ts";

/** Which pairs to measure on. */
export interface AccuracyOptions {
  /** LFW-style pairs.txt for its k-fold protocol; pairs of held-out people when left out. */
  readonly pairsFile?: string;
  /** Folds of that file, counted from 1; all when left out. */
  readonly folds?: readonly number[];
  /** Pairs of held-out people to draw. */
  readonly testPairs?: number;
  /** Settings of the data other than in training. */
  readonly data?: Partial<DataConfig>;
  readonly log?: Log;
  readonly onProgress?: OnMeasureProgress;
}

/** Figures of one model, shares in [0, 1]. */
export interface AccuracyFigures {
  readonly accuracy: number;
  readonly auc: number;
  readonly eer: number;
}

/** The same pairs before and after. */
export interface AccuracyReport {
  readonly pairs: number;
  /** Folds that were judged by the others' threshold; absent where one threshold judges all. */
  readonly folds?: number;
  readonly float: AccuracyFigures;
  readonly int8: AccuracyFigures;
}

/** Figures of one model, and what they were measured on. */
interface Measured extends AccuracyFigures {
  readonly pairs: number;
  readonly folds?: number;
}

async function figuresOf(
  verifier: AnyVerifier,
  config: DataConfig,
  threshold: number,
  { pairsFile, folds = [], testPairs, log, onProgress }: AccuracyOptions,
): Promise<Measured> {
  const options = {
    config,
    ...(log === undefined ? {} : { log }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
  if (pairsFile !== undefined) {
    const report = await measureFolds(verifier, pairsFile, { ...options, chosen: folds });
    const { pairs, accuracy, auc, eer } = report;
    return { pairs, folds: report.folds, accuracy: accuracy.mean, auc, eer };
  }
  const { scored } = await measureHeldOut(verifier, {
    ...options,
    ...(testPairs === undefined ? {} : { pairs: testPairs }),
  });
  const curve = rocCurve(scored);
  // Both versions are served with the threshold of the record that travels with them.
  return {
    pairs: scored.scores.length,
    accuracy: accuracyAt(scored, threshold),
    auc: areaUnder(curve),
    eer: equalErrorRate(curve),
  };
}

/**
 * Measures two verifiers on the same pairs.
 * @param config the data of the training, which `options.data` may change.
 * @param threshold that decides where there are no folds.
 */
export async function compareAccuracy(
  verifiers: { readonly float: AnyVerifier; readonly int8: AnyVerifier },
  config: DataConfig,
  threshold: number,
  options: AccuracyOptions,
): Promise<AccuracyReport> {
  const data = { ...config, ...options.data };
  const { pairs, folds, ...float } = await figuresOf(verifiers.float, data, threshold, options);
  const { accuracy, auc, eer } = await figuresOf(verifiers.int8, data, threshold, options);
  return { pairs, ...(folds === undefined ? {} : { folds }), float, int8: { accuracy, auc, eer } };
}
