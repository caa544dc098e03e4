/** @file The calibration record beside a model: at which probability two photographs count as one person. */
import { z } from "zod";

const rateSchema = z.object({ value: z.number(), interval: z.tuple([z.number(), z.number()]) });

const calibrationSchema = z.object({
  calibration: z.object({
    /** The threshold with the most right decisions, where nobody asks for an error rate. */
    threshold: z.number(),
    /** Older records do not tell it. */
    measuredFar: rateSchema.optional(),
    operatingPoints: z.array(z.object({ far: z.number(), threshold: z.number(), measuredFar: rateSchema })),
  }),
});

/** How a similarity becomes a decision. */
export interface Decision {
  /** Pairs at or above this probability count as one person. */
  readonly threshold: number;
  /** The share of pairs of different people that it let through when it was measured, where that is known. */
  readonly far?: number;
  /** 95 % confidence. */
  readonly farInterval?: readonly [number, number];
}

const decisionAt = (threshold: number, far: z.infer<typeof rateSchema> | undefined): Decision =>
  far === undefined ? { threshold } : { threshold, far: far.value, farInterval: far.interval };

/**
 * The decision that a model's description supports.
 * @param far the highest false accept rate wanted; left out, the threshold with the most right decisions.
 * @returns `undefined` where the model was not calibrated, or not for so low a rate.
 */
export function decisionOf(description: unknown, far: number | undefined): Decision | undefined {
  const parsed = calibrationSchema.safeParse(description);
  if (!parsed.success) return undefined;
  const { threshold, measuredFar, operatingPoints } = parsed.data.calibration;
  if (far === undefined) return decisionAt(threshold, measuredFar);
  const point = operatingPoints
    .filter((each) => each.far <= far)
    .toSorted((a, b) => a.far - b.far)
    .at(-1);
  return point && decisionAt(point.threshold, point.measuredFar);
}
