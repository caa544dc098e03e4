/** @file Thresholds of the model opencv-sface-int8-fast; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_FAST_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36904315650463104,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009199645442261122, 0.0010964186805532262],
    },
    measuredTar: {
      value: 0.995994438559322,
      interval: [0.99066719098178, 0.9981240330852347],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21214646846055984,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09627005853075815, 0.1033698058137599],
        },
        measuredTar: {
          value: 0.9989958509887006,
          interval: [0.9970024831500532, 0.9998134231666235],
        },
      },
      {
        far: 0.01,
        threshold: 0.30284057557582855,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009435265625303562, 0.010581115231366999],
        },
        measuredTar: {
          value: 0.9981682556497176,
          interval: [0.9953211009174312, 0.999309311596963],
        },
      },
      {
        far: 0.001,
        threshold: 0.36904315650463104,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009199645442261122, 0.0010964186805532262],
        },
        measuredTar: {
          value: 0.995994438559322,
          interval: [0.99066719098178, 0.9981240330852347],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42415039241313934,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008654765265977668, 0.00011774352797579283],
        },
        measuredTar: {
          value: 0.9912826624293786,
          interval: [0.981075884947412, 0.9954304795799557],
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
