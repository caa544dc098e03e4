/** @file The metrics of a verifier on held-out people. */
import type { CalibrationRecord, Rate } from "../artifact/calibration.ts";
import { type Interval, wilson } from "../artifact/wilson.ts";
import type { LeftOutPhoto } from "../data/dataset-faces.ts";
import { bootstrap, withFewErrors } from "./intervals.ts";
import {
  accuracyAt,
  areaUnder,
  bestThreshold,
  equalErrorRate,
  pointAtFar,
  type RocPoint,
  rocCurve,
} from "./roc.ts";
import { countPairs, type ScoredPairs } from "./scores.ts";
import { FAR_TARGETS, ratesAt, supportsFar } from "./thresholds.ts";

/** A measure with its 95 % interval. */
export interface Measured {
  readonly value: number;
  readonly interval: Interval;
}

/** True accept rate at a false accept rate; `tar` is absent with too few pairs of different people. */
export interface TarAtFar {
  readonly far: number;
  /** Whether there are enough pairs of different people for an estimate to rely on: ten false accepts are expected. */
  readonly supported: boolean;
  readonly tar?: Measured;
}

/** Photographs of a measurement that could not be used, for models that read faces of whole photographs. */
export interface FaceCounts {
  /** Photographs without the face that is meant; their pairs count as different people. */
  readonly facesNotFound: number;
  /** These photographs. */
  readonly withoutFace: readonly LeftOutPhoto[];
  /** Files that could not be decoded; their pairs are left out. */
  readonly unreadable: readonly LeftOutPhoto[];
}

/** Whose pairs were measured. */
export interface MeasuredPeople {
  /** The folder's or dataset's name. */
  readonly dataset: string;
  /** Whether the model was certainly trained on none of them; otherwise nobody knows. */
  readonly heldOut: boolean;
}

/** The machine-readable result. */
export interface EvaluationReport extends Partial<FaceCounts> {
  readonly protocol: "held-out people" | "people of a dataset";
  readonly people?: MeasuredPeople;
  /** What a score is. */
  readonly measure: Measure;
  readonly pairs: number;
  readonly positives: number;
  readonly negatives: number;
  /** Pairs that could not be scored. */
  readonly missing: number;
  /** Mean binary cross-entropy; absent for cosines. */
  readonly loss?: number;
  /** Accuracy at probability 0.5; for cosines at the threshold of `calibrated`. */
  readonly accuracy: Measured;
  readonly auc: Measured;
  readonly eer: Measured;
  readonly tarAtFar: readonly TarAtFar[];
  /** Metrics at the threshold chosen on validation people; absent without any. */
  readonly calibrated?: {
    readonly threshold: number;
    /** Where it comes from, if not from the validation people. */
    readonly source?: string;
    readonly accuracy: Measured;
    readonly far: Rate;
    readonly tar: Rate;
  };
}

/** Keras clips probabilities this far from 0 and 1 before the logarithm. */
const KERAS_EPSILON = 1e-7;

/** Mean binary cross-entropy of probabilities. */
export function crossEntropy({ scores, same }: ScoredPairs): number {
  let sum = 0;
  scores.forEach((score, i) => {
    const probability = Math.min(Math.max(score, KERAS_EPSILON), 1 - KERAS_EPSILON);
    sum -= Math.log(same[i] === 1 ? probability : 1 - probability);
  });
  return sum / scores.length;
}

function measuredAccuracy(pairs: ScoredPairs, threshold: number): Measured {
  const value = accuracyAt(pairs, threshold);
  return { value, interval: wilson(Math.round(value * pairs.scores.length), pairs.scores.length) };
}

/** Pairs of a kind below which resampling says too little about the area under the curve. */
const FEW_PAIRS = 30;

/**
 * Area, equal error rate and true accept rates, with intervals from one bootstrap; where few pairs are wrong, with exact
 * ones, so that none of 9 is not "0 % to 0 %".
 * @param least false accepts that must be expected at a rate for it to be estimated.
 */
export function curveFigures(
  pairs: ScoredPairs,
  seed: number,
  least?: number,
): Pick<EvaluationReport, "auc" | "eer" | "tarAtFar"> {
  const { positives, negatives } = countPairs(pairs);
  const fewer = Math.min(positives, negatives);
  const supported = FAR_TARGETS.filter((far) => supportsFar(negatives, far, least));
  const figures = (curve: readonly RocPoint[]) => [
    areaUnder(curve),
    equalErrorRate(curve),
    ...supported.map((far) => pointAtFar(curve, far).tar),
  ];
  const intervals = bootstrap(pairs, figures, seed);
  // The area is a mean of shares over the pairs of either kind; resampling tells its spread unless all pairs are in order.
  const isOrdered = intervals[0]![0] === intervals[0]![1];
  const trials = [
    isOrdered || fewer < FEW_PAIRS ? fewer : undefined,
    fewer,
    ...supported.map(() => positives),
  ];
  const [auc, eer, ...tars] = figures(rocCurve(pairs)).map((value, i) => ({
    value,
    interval: trials[i] === undefined ? intervals[i]! : withFewErrors(value, trials[i], intervals[i]!),
  }));
  return {
    auc: auc!,
    eer: eer!,
    tarAtFar: FAR_TARGETS.map((far) => {
      const tar = tars[supported.indexOf(far)];
      return { far, supported: supportsFar(negatives, far), ...(tar === undefined ? {} : { tar }) };
    }),
  };
}

function atCalibrated(pairs: ScoredPairs, threshold: number): NonNullable<EvaluationReport["calibrated"]> {
  return { threshold, accuracy: measuredAccuracy(pairs, threshold), ...ratesAt(pairs, threshold) };
}

/** What a score is: the probability of one person, or the cosine of two embeddings. */
export type Measure = "probability" | "cosine";

/** The score of a pair without a face: below every threshold. */
export const LOWEST_SCORE: Readonly<Record<Measure, number>> = { probability: 0, cosine: -1 };

/** Accuracy counts a probability of exactly 0.5 as different people, as training does. */
export const ABOVE_HALF = 0.5 + Number.EPSILON;

/**
 * Computes all metrics of scored pairs.
 * @param calibration thresholds chosen on other people's pairs.
 * @param seed of the bootstrap.
 * @throws FaceError `DATASET_INVALID` when one kind of pairs is missing.
 */
export function measure(
  pairs: ScoredPairs,
  {
    calibration,
    seed,
    missing = 0,
    measure: kind = "probability",
    people,
    source,
  }: {
    calibration?: CalibrationRecord | undefined;
    seed: number;
    missing?: number;
    measure?: Measure;
    people?: MeasuredPeople;
    /** Where the thresholds come from, if not from the validation people. */
    source?: string | undefined;
  },
): EvaluationReport {
  const isCosine = kind === "cosine";
  return {
    protocol: people?.heldOut === false ? "people of a dataset" : "held-out people",
    ...(people === undefined ? {} : { people }),
    measure: kind,
    pairs: pairs.scores.length,
    ...countPairs(pairs),
    missing,
    ...(isCosine ? {} : { loss: crossEntropy(pairs) }),
    accuracy: measuredAccuracy(
      pairs,
      isCosine ? (calibration?.threshold ?? bestThreshold(pairs)) : ABOVE_HALF,
    ),
    ...curveFigures(pairs, seed),
    ...(calibration === undefined
      ? {}
      : {
          calibrated: {
            ...atCalibrated(pairs, calibration.threshold),
            ...(source === undefined ? {} : { source }),
          },
        }),
  };
}
