/** @file The threshold of a search among many: from the wanted false-positive identification rate and the number of faces. */
import type { CalibrationRecord, OperatingPoint } from "../artifact/calibration.ts";
import type { WeightType } from "../artifact/weights.ts";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";

/** The chance that a stranger's search names somebody, with its 95 % interval; each in [0, 1]. */
export interface IdentificationRate {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** The weights that it was measured with, where the version that answers has others (`faceid quantize`). */
  readonly weights?: WeightType;
}

export interface SearchThreshold {
  /** Similarities from here on are a match. */
  readonly threshold: number;
  readonly fpir: IdentificationRate;
  /** How many comparisons one search makes: the faces enrolled. */
  readonly comparisons: number;
  /** Whether so low a rate per comparison was not measured, so that the threshold continues the last two measured ones. */
  readonly extrapolated: boolean;
}

/**
 * The false accept rate per comparison at which a search of `comparisons` faces names a stranger with probability `fpir`:
 * m = 1 − (1 − FPIR)^(1/N), from FPIR = 1 − (1 − m)^N (ISO/IEC 19795-1 for independent comparisons). Photographs of one
 * person resemble each other, so the real rate is lower.
 */
export const ratePerComparison = (fpir: number, comparisons: number): number =>
  -Math.expm1(Math.log1p(-fpir) / comparisons);

/** The chance of at least one false match in `comparisons`; the inverse of `ratePerComparison`. */
export const ratePerSearch = (rate: number, comparisons: number): number =>
  rate >= 1 ? 1 : -Math.expm1(comparisons * Math.log1p(-rate));

/** Between points the threshold and the interval's ends follow the rate's logarithm. */
function interpolated(points: readonly OperatingPoint[], far: number) {
  const above = points.findIndex((point) => point.measuredFar.value >= far);
  // Past either end the nearest two points continue.
  const right = Math.min(Math.max(above === -1 ? points.length : above, 1), points.length - 1);
  const [a, b] = [points[right - 1]!, points[right]!];
  const [x, y] = [Math.log(a.measuredFar.value), Math.log(b.measuredFar.value)];
  const t = (Math.log(far) - x) / (y - x);
  const between = (from: number, to: number) => from + t * (to - from);
  const spread = (end: 0 | 1) => {
    const ratio = (point: OperatingPoint) => point.measuredFar.interval[end] / point.measuredFar.value;
    // A ratio outside the measured ones would be a guess.
    const share = Math.min(Math.max(t, 0), 1);
    return ratio(a) + share * (ratio(b) - ratio(a));
  };
  return {
    threshold: between(a.threshold, b.threshold),
    low: Math.min(far * spread(0), far),
    high: Math.max(Math.min(far * spread(1), 1), far),
  };
}

/**
 * The threshold at which a stranger, searched among `comparisons` enrolled faces, is named with probability `fpir`.
 * @param record measured on pairs of single photographs, with at least two false accept rates above 0.
 * @throws FaceError `CONFIG_INVALID` for a rate that is not between 0 and 1; `MODEL_UNSUPPORTED` without such a record.
 */
export function searchThreshold(
  record: CalibrationRecord | undefined,
  fpir: number,
  comparisons: number,
): SearchThreshold {
  if (!(fpir > 0 && fpir < 1)) {
    throw new FaceError("CONFIG_INVALID", `fpir: got ${fpir}, expected a rate between 0 and 1`, {
      hint: "pass the share of strangers that may be named wrongly, such as 0.01 for 1 in 100",
    });
  }
  // A gallery of nobody makes no comparisons.
  checkOptions("searchThreshold, the comparisons", given.whole, comparisons);
  const points = (record?.operatingPoints ?? [])
    .filter(({ measuredFar }) => measuredFar.value > 0)
    .toSorted((a, b) => a.measuredFar.value - b.measuredFar.value)
    .filter((point, i, all) => point.measuredFar.value !== all[i - 1]?.measuredFar.value);
  if (points.length < 2) {
    throw new FaceError("MODEL_UNSUPPORTED", "the model's calibration record has fewer than two rates", {
      hint: "measure the model on more people: faceid evaluate, or use the pack opencv-sface",
    });
  }
  const faces = Math.max(comparisons, 1);
  const rate = ratePerComparison(fpir, faces);
  const { threshold, low, high } = interpolated(points, rate);
  return {
    threshold,
    fpir: {
      estimate: fpir,
      low: ratePerSearch(low, faces),
      high: ratePerSearch(high, faces),
      ...(record?.weights === undefined ? {} : { weights: record.weights }),
    },
    comparisons: faces,
    extrapolated: rate < points[0]!.measuredFar.value || rate > points.at(-1)!.measuredFar.value,
  };
}
