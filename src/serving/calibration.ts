/** @file The calibration record beside a model: at which probability two photographs count as one person. */
import { z } from "zod";

const calibrationSchema = z.object({
  calibration: z.object({
    /** The threshold with the most right decisions, where nobody asks for an error rate. */
    threshold: z.number(),
    operatingPoints: z.array(
      z.object({
        far: z.number(),
        threshold: z.number(),
        measuredFar: z.object({ value: z.number(), interval: z.tuple([z.number(), z.number()]) }),
      }),
    ),
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

/**
 * The decision that a model's description supports.
 * @param far the highest false accept rate wanted; left out, the threshold with the most right decisions.
 * @returns `undefined` where the model was not calibrated, or not for so low a rate.
 */
export function decisionOf(description: unknown, far: number | undefined): Decision | undefined {
  const parsed = calibrationSchema.safeParse(description);
  if (!parsed.success) return undefined;
  const { threshold, operatingPoints } = parsed.data.calibration;
  if (far === undefined) return { threshold };
  const point = operatingPoints
    .filter((each) => each.far <= far)
    .toSorted((a, b) => a.far - b.far)
    .at(-1);
  if (point === undefined) return undefined;
  const { value, interval } = point.measuredFar;
  return { threshold: point.threshold, far: value, farInterval: interval };
}
