/** @file The calibration record: thresholds, the error rates measured at them, and the decision they support. */

import { z } from "zod";
import { FaceError } from "../base/errors.ts";
import { type FalseAcceptRate, falseAcceptRateOf, roundedScore, usedFar, usualFar } from "./rates.ts";
import { WEIGHT_TYPES, type WeightType } from "./weights.ts";

const share = z.number().min(0).max(1);

const rateSchema = z.object({
  value: share,
  /** 95 % confidence. */
  interval: z.tuple([share, share]).refine(([low, high]) => low <= high, "the lower end first"),
});

/** A threshold may lie just above the highest score, where no pair was to be accepted, and a cosine is rounded. */
const ABOVE = 1e-6;

/** The least of the scores that a record is about; the highest is 1. */
const LEAST = { probability: 0, cosine: -1 } as const;

const operatingPointOf = (threshold: z.ZodNumber) =>
  z.object({
    /** The rate that was aimed at. */
    far: share,
    /** Pairs at or above this score count as one person: a probability, or a cosine for a model pack. */
    threshold,
    /** False accept rate and true accept rate on the pairs it was measured on. */
    measuredFar: rateSchema,
    measuredTar: rateSchema,
  });

/** A lower rate cannot have a lower threshold. */
function refuseDisorder(
  points: readonly { readonly far: number; readonly threshold: number }[],
  context: z.RefinementCtx,
): void {
  for (const [i, { far, threshold }] of points.entries()) {
    const other = points.find((each) => each.far > far && each.threshold > threshold);
    if (other === undefined) continue;
    context.addIssue({
      code: "custom",
      path: [i, "threshold"],
      message: `at least ${other.threshold}, the threshold for the higher rate ${other.far}`,
    });
  }
}

/** @param score what the thresholds are compared with: a probability in [0, 1], or a pack's cosine in [-1, 1]. */
export function calibrationSchema(score: keyof typeof LEAST) {
  const least = LEAST[score];
  const threshold = z
    .number()
    // At the least of all scores everybody would be the same person.
    .refine((value) => value > least && value <= 1 + ABOVE, `a ${score} above ${least}, to 1`);
  return z.object({
    /** The weights that its rates were measured with, where this version has others, which answer with other scores. */
    weights: z.enum(WEIGHT_TYPES).optional(),
    /** The threshold with the most right decisions on the calibration pairs. */
    threshold,
    /** False accept rate and true accept rate at that threshold, on the same pairs; absent in older records. */
    measuredFar: rateSchema.optional(),
    measuredTar: rateSchema.optional(),
    operatingPoints: z.array(operatingPointOf(threshold)).superRefine(refuseDisorder),
    data: z.object({
      dataset: z.string(),
      /** Which people; never those trained on. */
      people: z.string(),
      positives: z.number().int().nonnegative(),
      negatives: z.number().int().nonnegative(),
    }),
  });
}

export type Rate = z.infer<typeof rateSchema>;
export type OperatingPoint = z.infer<ReturnType<typeof operatingPointOf>>;
/** Part of an exported model's description: it turns a probability into a decision. */
export type CalibrationRecord = z.infer<ReturnType<typeof calibrationSchema>>;

/** What is known about the thresholds of a model pack, whose scores are cosines in [-1, 1]. */
export interface PackCalibration {
  readonly pack: string;
  /** SHA-256 of the embedding's file that was measured. */
  readonly sha256: string;
  readonly calibration: CalibrationRecord;
  /** How the intervals were computed. */
  readonly intervals: string;
  readonly photographs: number;
  /** Photographs in which no face was found; they are in no pair. */
  readonly withoutFace: readonly string[];
  /** What must be known about the people. */
  readonly note: string;
}

/** How a probability becomes a decision. */
export interface Decision {
  /** Pairs at or above this score count as one person. */
  readonly threshold: number;
  /** The rate of the record whose threshold it is; absent for the threshold with the most right decisions. */
  readonly usedFar?: number;
  /** The false accept rate measured at the threshold; absent in older records. */
  readonly far?: number;
  /** 95 % confidence. */
  readonly farInterval?: readonly [number, number];
  /** The weights that the rate was measured with, where the version that decides has others. */
  readonly weights?: WeightType;
}

/**
 * The decision that a calibration record supports.
 * @param far the highest false accept rate wanted, between 0 and 1; when left out, `usualFar`, or the threshold with the most
 *   right decisions of a record without rates.
 * @returns `undefined` without a record, or when the record has no operating point with so low a rate.
 * @throws FaceError `CONFIG_INVALID` for a rate that is not between 0 and 1.
 */
export function decisionFor(
  record: CalibrationRecord | undefined,
  far?: number | undefined,
): Decision | undefined {
  if (far !== undefined && !(far > 0 && far < 1)) {
    throw new FaceError("CONFIG_INVALID", `far: got ${far}, expected a rate between 0 and 1`, {
      hint: "pass the highest false accept rate you accept, such as 0.001 for 1 in 1,000",
    });
  }
  const wanted = far ?? usualFar(record);
  const used = wanted === undefined ? undefined : usedFar(record, wanted);
  const point = wanted === undefined ? record : record?.operatingPoints.find((each) => each.far === used);
  if (point === undefined) return undefined;
  const { threshold, measuredFar: rate } = point;
  const chosen = used === undefined ? {} : { usedFar: used };
  if (rate === undefined) return { threshold, ...chosen };
  const weights = record?.weights;
  return {
    threshold,
    ...chosen,
    far: rate.value,
    farInterval: rate.interval,
    ...(weights === undefined ? {} : { weights }),
  };
}

/** The measured rate of a decision as answers give it; empty where none was measured. */
export function answeredRate({ far, farInterval, weights }: Decision): { falseAcceptRate?: FalseAcceptRate } {
  if (far === undefined || farInterval === undefined) return {};
  const rate = falseAcceptRateOf(far, farInterval);
  return { falseAcceptRate: weights === undefined ? rate : { ...rate, weights } };
}

/**
 * Expected false accepts that a rate needs before it is reported. With fewer, its interval spans more than a factor of two
 * either way; below 3/N there is no estimate at all (rule of three).
 */
const FALSE_ACCEPTS_NEEDED = 10;

/** Pairs of different people that a rate needs. */
export const negativesNeeded = (far: number, accepts = FALSE_ACCEPTS_NEEDED): number =>
  Math.ceil(accepts / far);

/** The operating points of a record with their rates as answers give them. */
export const calibrationPoints = ({ operatingPoints }: CalibrationRecord) =>
  operatingPoints.map(({ far, threshold, measuredFar, measuredTar }) => ({
    far,
    threshold: roundedScore(threshold),
    measuredFar: falseAcceptRateOf(measuredFar.value, measuredFar.interval),
    measuredTar: falseAcceptRateOf(measuredTar.value, measuredTar.interval),
  }));
