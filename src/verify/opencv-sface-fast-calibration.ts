/** @file Thresholds of the model opencv-sface-fast; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_FAST_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3679748475551605,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009208239983108773, 0.001095984919339103],
    },
    measuredTar: {
      value: 0.9962703036723164,
      interval: [0.9913390362011221, 0.9982561612943158],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21089815348386765,
        measuredFar: {
          value: 0.09999991559213812,
          interval: [0.09652619360841704, 0.10337329446947592],
        },
        measuredTar: {
          value: 0.9989848163841808,
          interval: [0.9969690166142793, 0.9998050872234675],
        },
      },
      {
        far: 0.01,
        threshold: 0.3017285615205765,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009459754350951753, 0.010573427089343846],
        },
        measuredTar: {
          value: 0.9982675670903954,
          interval: [0.9955148783097694, 0.9993652781038336],
        },
      },
      {
        far: 0.001,
        threshold: 0.3679748475551605,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009208239983108773, 0.001095984919339103],
        },
        measuredTar: {
          value: 0.9962703036723164,
          interval: [0.9913390362011221, 0.9982561612943158],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42330434918403625,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008583960807070325, 0.0001192260582633925],
        },
        measuredTar: {
          value: 0.9918895656779662,
          interval: [0.9820560183963509, 0.9957435813751088],
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
