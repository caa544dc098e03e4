/** @file Thresholds of the model opencv-sface-fast; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_FAST_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3679318130016327,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009195528752310036, 0.0010970999664876955],
    },
    measuredTar: {
      value: 0.9963144420903954,
      interval: [0.9913696989717967, 0.9983261301312722],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.2108398675918579,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09656706695161144, 0.10344143110749168],
        },
        measuredTar: {
          value: 0.9989848163841808,
          interval: [0.9969452091288518, 0.9998121680924816],
        },
      },
      {
        far: 0.01,
        threshold: 0.3016618937253952,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009456808130258414, 0.010581689350350173],
        },
        measuredTar: {
          value: 0.998289636299435,
          interval: [0.9955831796553058, 0.9994001199760048],
        },
      },
      {
        far: 0.001,
        threshold: 0.3679318130016327,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009195528752310036, 0.0010970999664876955],
        },
        measuredTar: {
          value: 0.9963144420903954,
          interval: [0.9913696989717967, 0.9983261301312722],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42321455478668213,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008583960807070325, 0.00011943205729507738],
        },
        measuredTar: {
          value: 0.9920771539548022,
          interval: [0.98257209917177, 0.9958538559895892],
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
