/** @file Thresholds of the model opencv-sface-int8; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36990050971508026,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009178369117225869, 0.0011023492893195955],
    },
    measuredTar: {
      value: 0.9945930437853108,
      interval: [0.9885974190818702, 0.9974944071588366],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21266558021306992,
        measuredFar: {
          value: 0.09999993355125768,
          interval: [0.09658562221883943, 0.10354952629307239],
        },
        measuredTar: {
          value: 0.9977158368644068,
          interval: [0.9938187784661519, 0.9996598883001575],
        },
      },
      {
        far: 0.01,
        threshold: 0.30330537259578705,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009457442641018743, 0.010576090954320124],
        },
        measuredTar: {
          value: 0.9968661723163842,
          interval: [0.9926497848127791, 0.9989958869986676],
        },
      },
      {
        far: 0.001,
        threshold: 0.36990050971508026,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009178369117225869, 0.0011023492893195955],
        },
        measuredTar: {
          value: 0.9945930437853108,
          interval: [0.9885974190818702, 0.9974944071588366],
        },
      },
      {
        far: 0.0001,
        threshold: 0.425539031624794,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008498863247934893, 0.00012296502114684724],
        },
        measuredTar: {
          value: 0.9892964336158192,
          interval: [0.9794178964149941, 0.9941665886039838],
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
