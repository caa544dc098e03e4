/** @file Thresholds of the model opencv-sface; written by `npm run bench -- pack-calibration`. */
import type { PackCalibration } from "../artifact/calibration.ts";

export const OPENCV_SFACE_CALIBRATION: PackCalibration = {
  pack: "opencv-sface",
  sha256: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
  calibration: {
    threshold: 0.3678520768880844,
    measuredFar: {
      value: 0.0009999996946949677,
      interval: [0.0009154901821082735, 0.0010992399884371298],
    },
    measuredTar: {
      value: 0.9967558262711864,
      interval: [0.9921589324084895, 0.9985741412285692],
    },
    operatingPoints: [
      {
        far: 0.1,
        threshold: 0.21060560643672943,
        measuredFar: {
          value: 0.09999996946949677,
          interval: [0.09663646706907171, 0.10340149197420004],
        },
        measuredTar: {
          value: 0.9990068855932204,
          interval: [0.9970190490039261, 0.9997864961413083],
        },
      },
      {
        far: 0.01,
        threshold: 0.30131062865257263,
        measuredFar: {
          value: 0.009999978987830128,
          interval: [0.009451494174311605, 0.010573813238142325],
        },
        measuredTar: {
          value: 0.9983558439265536,
          interval: [0.9955816162200107, 0.9994457488940172],
        },
      },
      {
        far: 0.001,
        threshold: 0.3678520768880844,
        measuredFar: {
          value: 0.0009999996946949677,
          interval: [0.0009154901821082735, 0.0010992399884371298],
        },
        measuredTar: {
          value: 0.9967558262711864,
          interval: [0.9921589324084895, 0.9985741412285692],
        },
      },
      {
        far: 0.0001,
        threshold: 0.4234897941350937,
        measuredFar: {
          value: 0.00009999637764558708,
          interval: [0.0000855650085618618, 0.00012121570266805866],
        },
        measuredTar: {
          value: 0.9927502648305084,
          interval: [0.9836372887710559, 0.9963930202599836],
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
