/** @file Thresholds of the model opencv-sface; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3678499162197113,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009153538846191104, 0.0010991798960048105],
    },
    measuredTar: {
      value: 0.9967116878531074,
      interval: [0.9920510385266549, 0.9985409229809219],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21060249209403992,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09662223225305554, 0.1033860745700635],
        },
        measuredTar: {
          value: 0.9990289548022598,
          interval: [0.9970917551257816, 0.99978717134344],
        },
      },
      {
        far: 0.01,
        threshold: 0.3013078272342682,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009453683196583875, 0.010574699329992419],
        },
        measuredTar: {
          value: 0.9983448093220338,
          interval: [0.9955609695668333, 0.9994406711945665],
        },
      },
      {
        far: 0.001,
        threshold: 0.3678499162197113,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009153538846191104, 0.0010991798960048105],
        },
        measuredTar: {
          value: 0.9967116878531074,
          interval: [0.9920510385266549, 0.9985409229809219],
        },
      },
      {
        far: 0.0001,
        threshold: 0.4234704077243805,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008550059066506131, 0.000121051552604259],
        },
        measuredTar: {
          value: 0.9926840572033898,
          interval: [0.9834623789354412, 0.9963312023550606],
        },
      },
    ],
    data: {
      dataset: "lfw",
      people: "all 4859 of LFW, the face nearest the centre of each photograph",
      positives: 90624,
      negatives: 55682017,
    },
  },
  intervals:
    "95 %: percentiles of 1000 resamples of the people (vertex bootstrap; Snijders and Borgatti, 1999), at the thresholds found",
  photographs: 10562,
  withoutFace: [],
  note: "SFace's makers do not say which photographs it learned from, so some of these people may be among them; then error rates among strangers are higher",
};
