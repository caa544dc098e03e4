/** @file Thresholds of the model pack opencv-sface; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3679109960794449,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009167984048891035, 0.0011003802546828173],
    },
    measuredTar: {
      value: 0.9967337570621468,
      interval: [0.9920835375278019, 0.9985861426779674],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21061771363019943,
        measuredFar: {
          value: 0.09999995151037722,
          interval: [0.09661803224588329, 0.10337129607735514],
        },
        measuredTar: {
          value: 0.9990289548022598,
          interval: [0.9970794853579604, 0.9997888935801427],
        },
      },
      {
        far: 0.01,
        threshold: 0.30130407214164734,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009459211794485854, 0.01057391306855331],
        },
        measuredTar: {
          value: 0.998388947740113,
          interval: [0.9956642028327208, 0.9994645842039281],
        },
      },
      {
        far: 0.001,
        threshold: 0.3679109960794449,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009167984048891035, 0.0011003802546828173],
        },
        measuredTar: {
          value: 0.9967337570621468,
          interval: [0.9920835375278019, 0.9985861426779674],
        },
      },
      {
        far: 0.0001,
        threshold: 0.4235432595014572,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008539908398564124, 0.00012127041935599188],
        },
        measuredTar: {
          value: 0.992573711158192,
          interval: [0.9833159261937281, 0.9962535356832027],
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
