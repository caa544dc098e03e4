/** @file The decision that a model's calibration supports, or the reason why it supports none. */
import {
  type CalibrationRecord,
  type Decision,
  decisionFor,
  negativesNeeded,
} from "../artifact/calibration.ts";
import { FaceError } from "../base/errors.ts";

/**
 * The decision for a wanted false accept rate.
 * @param far when left out, the threshold with the most right decisions.
 * @returns `undefined` for a model without a calibration record when no rate is wanted.
 * @throws FaceError `CONFIG_INVALID` when `far` is not between 0 and 1, or is lower than the record supports.
 */
export function requireDecision(
  calibration: CalibrationRecord | undefined,
  far: number | undefined,
): Decision | undefined {
  const decision = decisionFor(calibration, far);
  if (decision !== undefined || far === undefined) return decision;
  const lowest = Math.min(...(calibration?.operatingPoints.map((each) => each.far) ?? []));
  const has = calibration?.data.negatives ?? 0;
  const supported = Number.isFinite(lowest) ? `the lowest that it supports is ${lowest}` : "it supports none";
  throw new FaceError(
    "CONFIG_INVALID",
    `the model is not calibrated for a false accept rate of ${far}: ${supported}`,
    {
      hint: `choose ${Number.isFinite(lowest) ? `a rate of ${lowest} or more` : "no rate"}; ${far} takes ${negativesNeeded(far)} pairs of different people, and the model was calibrated on ${has}`,
    },
  );
}
