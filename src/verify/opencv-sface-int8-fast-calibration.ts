/** @file Thresholds of the model opencv-sface-int8-fast; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_FAST_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36865636706352234,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009192381584780573, 0.001098526659437495],
    },
    measuredTar: {
      value: 0.9962592690677966,
      interval: [0.9914030334705719, 0.9982398936338599],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21142318099737167,
        measuredFar: {
          value: 0.09999995151037722,
          interval: [0.09649146542768564, 0.103364126087919],
        },
        measuredTar: {
          value: 0.9990179201977402,
          interval: [0.9970251459362371, 0.9998325980778321],
        },
      },
      {
        far: 0.01,
        threshold: 0.3022988736629486,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009463095789252566, 0.010576716819236652],
        },
        measuredTar: {
          value: 0.9983006709039548,
          interval: [0.9955840455840456, 0.9993648976857151],
        },
      },
      {
        far: 0.001,
        threshold: 0.36865636706352234,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009192381584780573, 0.001098526659437495],
        },
        measuredTar: {
          value: 0.9962592690677966,
          interval: [0.9914030334705719, 0.9982398936338599],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42389924824237823,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.0000856785806865977, 0.00012049072688183937],
        },
        measuredTar: {
          value: 0.991646804378531,
          interval: [0.9818965748105299, 0.9955915844665597],
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
