/** @file Thresholds of the model pack opencv-sface; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_CALIBRATION: PackCalibration | undefined = undefined as PackCalibration | undefined;
