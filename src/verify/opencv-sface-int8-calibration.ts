/** @file Thresholds of the model opencv-sface-int8; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36999745666980743,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009210973135524496, 0.0010998863728506054],
    },
    measuredTar: {
      value: 0.9945047669491526,
      interval: [0.9882733378344764, 0.9975181705371388],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21313051134347916,
        measuredFar: {
          value: 0.09999996946949677,
          interval: [0.09633000562734322, 0.10351027448644569],
        },
        measuredTar: {
          value: 0.9976275600282486,
          interval: [0.9937904029287055, 0.9995429377350606],
        },
      },
      {
        far: 0.01,
        threshold: 0.30368533730506897,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009443542180667995, 0.010582411658048442],
        },
        measuredTar: {
          value: 0.9967668608757062,
          interval: [0.9923777816716314, 0.998991083358329],
        },
      },
      {
        far: 0.001,
        threshold: 0.36999745666980743,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009210973135524496, 0.0010998863728506054],
        },
        measuredTar: {
          value: 0.9945047669491526,
          interval: [0.9882733378344764, 0.9975181705371388],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42543403804302216,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008566670768172534, 0.00011961764294102743],
        },
        measuredTar: {
          value: 0.989064706920904,
          interval: [0.9784446793124548, 0.9940203555493361],
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
