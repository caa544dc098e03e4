/** @file What was measured of each model pack, in each precision. */
import type { CalibrationRecord } from "../artifact/calibration.ts";
import type { Precision } from "../faces/precision.ts";
import { OPENCV_SFACE_CALIBRATION } from "./opencv-sface-calibration.ts";
import { OPENCV_SFACE_INT8_CALIBRATION } from "./opencv-sface-int8-calibration.ts";

const RECORDS = {
  "opencv-sface": { float32: OPENCV_SFACE_CALIBRATION, int8: OPENCV_SFACE_INT8_CALIBRATION },
} as const;

/** The thresholds of a pack; undefined for one that was not measured. */
export function packCalibration(pack: string, precision: Precision): CalibrationRecord | undefined {
  return Object.hasOwn(RECORDS, pack)
    ? RECORDS[pack as keyof typeof RECORDS][precision].calibration
    : undefined;
}
