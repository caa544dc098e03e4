/** @file The decision that a model's calibration supports, or the reason why it supports none. */

import {
  type CalibrationRecord,
  type Decision,
  decisionFor,
  negativesNeeded,
} from "../artifact/calibration.ts";
import { lowestFar, unsupportedFarText } from "../artifact/rates.ts";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";

/**
 * The decision for a wanted false accept rate.
 * @param far when left out, the usual rate, as `decisionFor` has it.
 * @returns `undefined` for a model without a calibration record when no rate is wanted.
 * @throws FaceError `CONFIG_INVALID` when `far` is not between 0 and 1, or is lower than the record supports.
 */
export function requireDecision(
  calibration: CalibrationRecord | undefined,
  far: number | undefined,
): Decision | undefined {
  const decision = decisionFor(calibration, far);
  if (decision !== undefined || far === undefined) return decision;
  const lowest = lowestFar(calibration);
  const [needed, has] = [negativesNeeded(far), calibration?.data.negatives ?? 0];
  const pairs = `${countText(needed)} pairs of different people`;
  throw new FaceError("CONFIG_INVALID", `the model ${unsupportedFarText(calibration, far)}`, {
    hint: [
      lowest === undefined ? "choose no rate" : `choose ${lowest} or more`,
      has < needed
        ? `${far} takes ${pairs}, and the model was calibrated on ${countText(has)}`
        : `or measure ${far} on people of your own, with at least ${pairs}: faceid calibrate MODEL --dataset-path PEOPLE --far ${far}`,
    ].join("; "),
  });
}
