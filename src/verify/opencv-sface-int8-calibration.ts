/** @file Thresholds of the model opencv-sface-int8; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36990419030189514,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009182339408932086, 0.001103392672010487],
    },
    measuredTar: {
      value: 0.9947475282485876,
      interval: [0.9888345932701277, 0.9976221650337863],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21269024908542633,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09655489365448075, 0.10357020701848288],
        },
        measuredTar: {
          value: 0.9977158368644068,
          interval: [0.9938187784661519, 0.9996598883001575],
        },
      },
      {
        far: 0.01,
        threshold: 0.3033209443092346,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009457572153908786, 0.010579246809068634],
        },
        measuredTar: {
          value: 0.996877206920904,
          interval: [0.9926581391273874, 0.9990055419313727],
        },
      },
      {
        far: 0.001,
        threshold: 0.36990419030189514,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009182339408932086, 0.001103392672010487],
        },
        measuredTar: {
          value: 0.9947475282485876,
          interval: [0.9888345932701277, 0.9976221650337863],
        },
      },
      {
        far: 0.0001,
        threshold: 0.4255515784025192,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008470437973195505, 0.00012334799954101479],
        },
        measuredTar: {
          value: 0.9898591984463276,
          interval: [0.9799264298710545, 0.9945473230825626],
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
