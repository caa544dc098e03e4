/** @file Thresholds of the model opencv-sface; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36776189506053925,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009199712767475512, 0.0010980727020840264],
    },
    measuredTar: {
      value: 0.9967558262711864,
      interval: [0.992021852012116, 0.9986192332683561],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21051151305437088,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09670077264596509, 0.10335064866117265],
        },
        measuredTar: {
          value: 0.998973781779661,
          interval: [0.9969331981302402, 0.999766613715585],
        },
      },
      {
        far: 0.01,
        threshold: 0.30118513107299805,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009468413770160703, 0.010570182716847442],
        },
        measuredTar: {
          value: 0.9983227401129944,
          interval: [0.9955376454249482, 0.9994366565155981],
        },
      },
      {
        far: 0.001,
        threshold: 0.36776189506053925,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009199712767475512, 0.0010980727020840264],
        },
        measuredTar: {
          value: 0.9967558262711864,
          interval: [0.992021852012116, 0.9986192332683561],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42294809222221375,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008488661448113687, 0.00012166265285518892],
        },
        measuredTar: {
          value: 0.9928937146892656,
          interval: [0.9834355828220859, 0.9965221522456785],
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
