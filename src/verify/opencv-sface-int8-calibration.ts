/** @file Thresholds of the model opencv-sface-int8; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3704165816307068,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009171811827545126, 0.0010996048652274783],
    },
    measuredTar: {
      value: 0.9945930437853108,
      interval: [0.988364713348847, 0.9975388965059143],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21358828991651535,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.0963749083027146, 0.10357998289120166],
        },
        measuredTar: {
          value: 0.997704802259887,
          interval: [0.9938103451054981, 0.9996419876843763],
        },
      },
      {
        far: 0.01,
        threshold: 0.304057776927948,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009429328496417849, 0.010591692629140222],
        },
        measuredTar: {
          value: 0.996777895480226,
          interval: [0.9925596441568945, 0.9989343320952273],
        },
      },
      {
        far: 0.001,
        threshold: 0.3704165816307068,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009171811827545126, 0.0010996048652274783],
        },
        measuredTar: {
          value: 0.9945930437853108,
          interval: [0.988364713348847, 0.9975388965059143],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42578889429569244,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008561592737991444, 0.00012120734275562172],
        },
        measuredTar: {
          value: 0.989450918079096,
          interval: [0.9788140385267841, 0.9942437734021349],
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
