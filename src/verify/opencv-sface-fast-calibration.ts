/** @file Thresholds of the model opencv-sface-fast; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_FAST_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36795978248119354,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009214982244105012, 0.00109585030193265],
    },
    measuredTar: {
      value: 0.9963144420903954,
      interval: [0.9914522855845067, 0.9983048914902513],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.2109093740582466,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09655633701969325, 0.10334128907780521],
        },
        measuredTar: {
          value: 0.9990399894067796,
          interval: [0.9970208309088793, 0.9998644853832429],
        },
      },
      {
        far: 0.01,
        threshold: 0.3017352968454361,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009457953196073855, 0.010572159030757783],
        },
        measuredTar: {
          value: 0.9983006709039548,
          interval: [0.9956862346118629, 0.9993913625653198],
        },
      },
      {
        far: 0.001,
        threshold: 0.36795978248119354,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009214982244105012, 0.00109585030193265],
        },
        measuredTar: {
          value: 0.9963144420903954,
          interval: [0.9914522855845067, 0.9983048914902513],
        },
      },
      {
        far: 0.0001,
        threshold: 0.4233224391937256,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008577189871068011, 0.00011935891406107736],
        },
        measuredTar: {
          value: 0.9919006002824858,
          interval: [0.9820595138532927, 0.9957335195483151],
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
