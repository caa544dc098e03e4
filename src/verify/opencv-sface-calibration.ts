/** @file Thresholds of the model pack opencv-sface; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3676254004240036,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009166181602113754, 0.0010970999664876955],
    },
    measuredTar: {
      value: 0.9766838806497176,
      interval: [0.9628809807594074, 0.9844902172844361],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21015515178442,
        measuredFar: {
          value: 0.09999998742861632,
          interval: [0.09669019923654795, 0.10334120681429017],
        },
        measuredTar: {
          value: 0.9796521892655368,
          interval: [0.9676376146788991, 0.9866103361945636],
        },
      },
      {
        far: 0.01,
        threshold: 0.30095523595809937,
        measuredFar: {
          value: 0.009999996946949677,
          interval: [0.009469262965243906, 0.010557741573256728],
        },
        measuredTar: {
          value: 0.9788356285310734,
          interval: [0.9663928882017586, 0.9859782358549495],
        },
      },
      {
        far: 0.001,
        threshold: 0.3676254004240036,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009166181602113754, 0.0010970999664876955],
        },
        measuredTar: {
          value: 0.9766838806497176,
          interval: [0.9628809807594074, 0.9844902172844361],
        },
      },
      {
        far: 0.0001,
        threshold: 0.42374488711357117,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008569994423756771, 0.00012085092474850387],
        },
        measuredTar: {
          value: 0.9718948622881356,
          interval: [0.9558585246894384, 0.9811570705472952],
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
