/** @file Thresholds of the model pack opencv-sface in int8; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.37035055458545685,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009179474312313429, 0.001098534762795467],
    },
    measuredTar: {
      value: 0.994582009180791,
      interval: [0.9883621761842152, 0.9975615212527964],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21356786042451859,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09635495269460513, 0.1035755550716449],
        },
        measuredTar: {
          value: 0.9977489406779662,
          interval: [0.9938587017843614, 0.999671732288026],
        },
      },
      {
        far: 0.01,
        threshold: 0.3039845675230026,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009427939901245899, 0.0105823341716656],
        },
        measuredTar: {
          value: 0.9968882415254238,
          interval: [0.9927708192547657, 0.9990531230613511],
        },
      },
      {
        far: 0.001,
        threshold: 0.37035055458545685,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009179474312313429, 0.001098534762795467],
        },
        measuredTar: {
          value: 0.994582009180791,
          interval: [0.9883621761842152, 0.9975615212527964],
        },
      },
      {
        far: 0.0001,
        threshold: 0.425782710313797,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008553406114412603, 0.00012230767549624248],
        },
        measuredTar: {
          value: 0.9893405720338984,
          interval: [0.9787993234319609, 0.9941276999405242],
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
