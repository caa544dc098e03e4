/** @file Thresholds of the model opencv-sface-int8-fast; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_INT8_FAST_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.36860162019729614,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.000918567226241095, 0.00109806395954584],
    },
    measuredTar: {
      value: 0.996292372881356,
      interval: [0.9914237548896054, 0.9982983249135868],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21136202663183212,
        measuredFar: {
          value: 0.09999996946949677,
          interval: [0.09646357364469131, 0.10337320262425548],
        },
        measuredTar: {
          value: 0.9990179201977402,
          interval: [0.996980729952935, 0.9998242359144615],
        },
      },
      {
        far: 0.01,
        threshold: 0.30223552882671356,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009471369442498588, 0.010572739958349012],
        },
        measuredTar: {
          value: 0.9983337747175142,
          interval: [0.9956409003795423, 0.9994069755754347],
        },
      },
      {
        far: 0.001,
        threshold: 0.36860162019729614,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.000918567226241095, 0.00109806395954584],
        },
        measuredTar: {
          value: 0.996292372881356,
          interval: [0.9914237548896054, 0.9982983249135868],
        },
      },
      {
        far: 0.0001,
        threshold: 0.423771008849144,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.00008598673474844474, 0.00011999822852971422],
        },
        measuredTar: {
          value: 0.9918564618644068,
          interval: [0.9823575979191013, 0.9957638164754953],
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
