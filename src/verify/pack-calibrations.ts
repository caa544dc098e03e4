/** @file What was measured of each model pack, in each mode. */
import type { CalibrationRecord, PackCalibration } from "../artifact/calibration.ts";
import { type PackModel, packModelName } from "../faces/packs/catalogue.ts";
import { OPENCV_SFACE_CALIBRATION } from "./opencv-sface-calibration.ts";
import { OPENCV_SFACE_FAST_CALIBRATION } from "./opencv-sface-fast-calibration.ts";
import { OPENCV_SFACE_INT8_CALIBRATION } from "./opencv-sface-int8-calibration.ts";
import { OPENCV_SFACE_INT8_FAST_CALIBRATION } from "./opencv-sface-int8-fast-calibration.ts";

const RECORDS: ReadonlyMap<string, PackCalibration> = new Map([
  ["opencv-sface", OPENCV_SFACE_CALIBRATION],
  ["opencv-sface-int8", OPENCV_SFACE_INT8_CALIBRATION],
  ["opencv-sface-fast", OPENCV_SFACE_FAST_CALIBRATION],
  ["opencv-sface-int8-fast", OPENCV_SFACE_INT8_FAST_CALIBRATION],
]);

/** The thresholds of a pack in a mode; undefined for one that was not measured. */
export const packCalibration = (model: PackModel): CalibrationRecord | undefined =>
  RECORDS.get(packModelName(model))?.calibration;
