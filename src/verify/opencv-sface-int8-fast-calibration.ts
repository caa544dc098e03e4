/** @file Thresholds of the model opencv-sface-int8-fast; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_FAST_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3690393269062042,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009207287352246384, 0.0010959019056607086],
    },
    measuredTar: {
      value: 0.995994438559322,
      interval: [0.9906409752261109, 0.9981362146885773],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21216648072004318,
        measuredFar: {
          value: 0.09999995151037722,
          interval: [0.0962862121372197, 0.10336558068007973],
        },
        measuredTar: {
          value: 0.9990510240112994,
          interval: [0.9970500920671903, 0.9998714542805724],
        },
      },
      {
        far: 0.01,
        threshold: 0.30285757780075073,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009440217426554801, 0.010584181105046685],
        },
        measuredTar: {
          value: 0.9981792902542372,
          interval: [0.9954587155963303, 0.9993218040013564],
        },
      },
      {
        far: 0.001,
        threshold: 0.3690393269062042,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009207287352246384, 0.0010959019056607086],
        },
        measuredTar: {
          value: 0.995994438559322,
          interval: [0.9906409752261109, 0.9981362146885773],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42420992255210876,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.0000865002215943043, 0.00011796912353418418],
        },
        measuredTar: {
          value: 0.991260593220339,
          interval: [0.9810570362272402, 0.9953938648330002],
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
