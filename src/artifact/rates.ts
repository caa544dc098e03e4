/** @file False accept rates: which one decides, and how answers give them. Imports types alone, as the page decides so too. */
import type { WeightType } from "./weights.ts";

/** The rates that thresholds were chosen for. */
export interface MeasuredPoints {
  readonly operatingPoints: readonly { readonly far: number }[];
}

/** The highest rate of the record that is not above the wanted one: that of the threshold that decides. */
export function usedFar(record: MeasuredPoints | undefined, far: number): number | undefined {
  const fars = record?.operatingPoints.map((each) => each.far).filter((each) => each <= far) ?? [];
  return fars.length === 0 ? undefined : Math.max(...fars);
}

/** A similarity or threshold as answers give it, and as they compare it: more digits are noise. */
export const roundedScore = (score: number): number => Number(score.toFixed(6));

/** Decimals of a threshold or similarity in a text, and the most that are used. */
const [DECIMALS, MOST_DECIMALS] = [3, 6] as const;

/**
 * A threshold or similarity as every text for people has it: three decimals, or as many as it takes not to be 0 or 1, which
 * everything or nothing reaches.
 */
export function scoreText(score: number): string {
  for (let decimals: number = DECIMALS; decimals < MOST_DECIMALS; decimals++) {
    const text = score.toFixed(decimals);
    if (Number(text) === score || !Number.isInteger(Number(text))) return text;
  }
  return score.toFixed(MOST_DECIMALS);
}

/** A false accept rate as it was measured, with its 95 % interval; each in [0, 1]. */
export interface FalseAcceptRate {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** The weights that it was measured with, where the version that answers has others (`faceid quantize`). */
  readonly weights?: WeightType;
}

/** Behind a rate, in words: with which version it was measured, where its weights are not those that answer. */
export const weightsText = (weights: WeightType | undefined): string =>
  weights === undefined ? "" : `, measured with the ${weights} version`;

/** A rate in percent: three digits, zeros too, so that a rate and its interval look alike. */
export const percentText = (rate: number): string => `${(100 * rate).toPrecision(3)} %`;

/** A rate as answers give it: four digits are more than its interval supports. */
export function falseAcceptRateOf(rate: number, [low, high]: readonly [number, number]): FalseAcceptRate {
  const rounded = (value: number) => Number(value.toPrecision(4));
  return { estimate: rounded(rate), low: rounded(low), high: rounded(high) };
}

/** The lowest rate of the record; `undefined` where it supports none. */
export function lowestFar(record: MeasuredPoints | undefined): number | undefined {
  const fars = record?.operatingPoints.map(({ far }) => far) ?? [];
  return fars.length === 0 ? undefined : Math.min(...fars);
}

/** What refuses a rate that the record does not support, behind the model's name. */
export function unsupportedFarText(record: MeasuredPoints | undefined, far: number): string {
  const lowest = lowestFar(record);
  return `is not calibrated for a false accept rate of ${far}: ${lowest === undefined ? "it supports none" : `the lowest that it supports is ${lowest}`}`;
}

/** One stranger in a thousand is accepted. */
const USUAL_FAR = 0.001;

/**
 * The false accept rate at which is decided unless another is wanted: 0.001, or the lowest that the record has. `undefined` for a record without operating points.
 */
export function usualFar(record: MeasuredPoints | undefined): number | undefined {
  const lowest = lowestFar(record);
  return lowest === undefined ? undefined : Math.max(USUAL_FAR, lowest);
}

/**
 * Which threshold decided and why, to follow its number.
 * @param used the rate of the record whose threshold it is; `undefined` for the one with the most right decisions.
 * @param wanted the rate that was asked for.
 */
export function thresholdText(used: number | undefined, wanted?: number | undefined): string {
  if (used === undefined)
    return "the one with the most right decisions: too few people to choose one by its rate";
  const text = `for a false accept rate of ${used}`;
  if (wanted !== undefined) return text;
  return `${text}, ${used === USUAL_FAR ? "the default" : "the lowest of this model"}`;
}
