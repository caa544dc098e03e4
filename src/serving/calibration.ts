/** @file The calibration record beside a model: at which probability two photographs count as one person. */
import { z } from "zod";

/** The error rates measured at one threshold. */
const operatingPointSchema = z.object({
  /** The false accept rate that was aimed at. */
  far: z.number().min(0).max(1),
  /** Pairs at or above this probability count as one person. */
  threshold: z.number(),
});

const descriptionSchema = z.object({
  calibration: z.object({ operatingPoints: z.array(operatingPointSchema).min(1) }),
});

/** A threshold and the share of different people it is estimated to let through. */
export type OperatingPoint = z.infer<typeof operatingPointSchema>;

/** The rate used when a request asks for none. */
export const DEFAULT_FAR = 0.01;

/** The operating points of a model's description; empty where it was not calibrated. */
export function operatingPoints(description: unknown): readonly OperatingPoint[] {
  const parsed = descriptionSchema.safeParse(description);
  return parsed.success ? parsed.data.calibration.operatingPoints : [];
}

/** The point whose rate comes nearest to `far` without being higher, or else the strictest there is. */
export function chooseOperatingPoint(
  points: readonly OperatingPoint[],
  far: number,
): OperatingPoint | undefined {
  const strictestFirst = points.toSorted((a, b) => a.far - b.far);
  return strictestFirst.findLast((point) => point.far <= far) ?? strictestFirst[0];
}
