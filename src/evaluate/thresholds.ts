/** @file The calibration record: thresholds, the error rates measured at them, and how sure they are. */
import { z } from "zod";
import { clopperPearson } from "./intervals.ts";
import { bestThreshold, pointAtFar, rocCurve, thresholdAt } from "./roc.ts";
import { countPairs, type ScoredPairs } from "./scores.ts";

/** The false accept rates that reports list. */
export const FAR_TARGETS = [1e-1, 1e-2, 1e-3] as const;

/**
 * Expected false accepts that a rate needs before it is reported. With fewer, its interval spans more than a factor of two
 * either way; below 3/N there is no estimate at all (rule of three).
 */
const FALSE_ACCEPTS_NEEDED = 10;

/** Whether the number of pairs of different people supports a rate. */
export const supportsFar = (negatives: number, far: number): boolean =>
  negatives * far >= FALSE_ACCEPTS_NEEDED;

/** Why a rate is not reported. */
export const unsupportedText = (far: number, negatives: number): string =>
  `n/a: needs at least ${Math.ceil(FALSE_ACCEPTS_NEEDED / far)} negative pairs, has ${negatives}`;

const intervalSchema = z.tuple([z.number(), z.number()]);

const rateSchema = z.strictObject({
  value: z.number(),
  /** 95 % confidence. */
  interval: intervalSchema,
});

export const operatingPointSchema = z.strictObject({
  /** The rate that was aimed at. */
  far: z.number(),
  /** Pairs at or above this probability count as one person. */
  threshold: z.number(),
  /** False accept rate and true accept rate on the pairs it was measured on. */
  measuredFar: rateSchema,
  measuredTar: rateSchema,
});

export const calibrationSchema = z.strictObject({
  /** The threshold with the most right decisions on the calibration pairs. */
  threshold: z.number(),
  /** False accept rate and true accept rate at that threshold, on the same pairs; absent in older records. */
  measuredFar: rateSchema.optional(),
  measuredTar: rateSchema.optional(),
  operatingPoints: z.array(operatingPointSchema),
  data: z.strictObject({
    dataset: z.string(),
    /** Which people: never those trained on. */
    people: z.string(),
    positives: z.number().int(),
    negatives: z.number().int(),
  }),
});

export type Rate = z.infer<typeof rateSchema>;
export type OperatingPoint = z.infer<typeof operatingPointSchema>;
/** What travels in an exported model's description, so that a score can be turned into a decision. */
export type CalibrationRecord = z.infer<typeof calibrationSchema>;

/** A rate with its exact interval. */
export function rate(hits: number, trials: number): Rate {
  return { value: trials === 0 ? 0 : hits / trials, interval: [...clopperPearson(hits, trials)] };
}

/** False accept rate and true accept rate when pairs at or above a threshold count as one person. */
export function ratesAt(pairs: ScoredPairs, threshold: number): { far: Rate; tar: Rate } {
  const { positives, negatives } = countPairs(pairs);
  const accepted = (kind: 0 | 1) =>
    pairs.scores.reduce((sum, score, i) => sum + (pairs.same[i] === kind && score >= threshold ? 1 : 0), 0);
  return { far: rate(accepted(0), negatives), tar: rate(accepted(1), positives) };
}

/** The lowest thresholds that keep to each supported false accept rate. */
export function operatingPoints(pairs: ScoredPairs): OperatingPoint[] {
  const curve = rocCurve(pairs);
  const { positives, negatives } = countPairs(pairs);
  return FAR_TARGETS.filter((far) => supportsFar(negatives, far)).map((far) => {
    const point = pointAtFar(curve, far);
    return {
      far,
      threshold: thresholdAt(curve, point),
      measuredFar: rate(Math.round(point.far * negatives), negatives),
      measuredTar: rate(Math.round(point.tar * positives), positives),
    };
  });
}

/** Chooses thresholds on calibration pairs, whose people must be neither in training nor in the test. */
export function calibrate(pairs: ScoredPairs, data: { dataset: string; people: string }): CalibrationRecord {
  const threshold = bestThreshold(pairs);
  const { far, tar } = ratesAt(pairs, threshold);
  return {
    threshold,
    measuredFar: far,
    measuredTar: tar,
    operatingPoints: operatingPoints(pairs),
    data: { ...data, ...countPairs(pairs) },
  };
}
