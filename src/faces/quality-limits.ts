/** @file Which faces are good enough to be compared: limits on the quality numbers, and what lies beyond them. */
import { FaceError } from "../base/errors.ts";
import type { FaceQuality } from "./face.ts";

/** Limits on `FaceQuality`; the angles on their absolute values. docs/faces.md shows how each was chosen. */
export interface QualityLimits {
  readonly minScore: number;
  /** Pixels. */
  readonly minEyeDistance: number;
  /** Degrees. */
  readonly maxYaw: number;
  /** Degrees. */
  readonly maxPitch: number;
  readonly minSharpness: number;
  readonly minBrightness: number;
  readonly maxBrightness: number;
  readonly minContrast: number;
  readonly minInside: number;
}

export const DEFAULT_QUALITY_LIMITS: QualityLimits = {
  minScore: 0.85,
  minEyeDistance: 12,
  maxYaw: 50,
  maxPitch: 30,
  minSharpness: 0.17,
  minBrightness: 0.08,
  maxBrightness: 0.8,
  minContrast: 0.04,
  minInside: 0.65,
};

/** A quality number beyond its limit. */
export interface QualityWarning {
  /** The limit's name. */
  readonly limit: keyof QualityLimits;
  readonly value: number;
  readonly bound: number;
  /** In words, with both numbers. */
  readonly message: string;
}

interface Rule {
  readonly measure: (quality: FaceQuality) => number;
  readonly words: string;
  readonly unit: string;
}

const RULES: Readonly<Record<keyof QualityLimits, Rule>> = {
  minScore: { measure: ({ score }) => score, words: "the detector is unsure of the face", unit: "" },
  minEyeDistance: {
    measure: ({ eyeDistance }) => eyeDistance,
    words: "the face is small",
    unit: " px between the eyes",
  },
  maxYaw: { measure: ({ yaw }) => Math.abs(yaw), words: "the head is turned aside", unit: "°" },
  maxPitch: { measure: ({ pitch }) => Math.abs(pitch), words: "the head is bent up or down", unit: "°" },
  minSharpness: { measure: ({ sharpness }) => sharpness, words: "the face is blurred", unit: " sharpness" },
  minBrightness: { measure: ({ brightness }) => brightness, words: "the face is dark", unit: " brightness" },
  maxBrightness: {
    measure: ({ brightness }) => brightness,
    words: "the face is overexposed",
    unit: " brightness",
  },
  minContrast: {
    measure: ({ contrast }) => contrast,
    words: "the face has little contrast",
    unit: " contrast",
  },
  minInside: {
    measure: ({ inside }) => inside,
    words: "the face is cut off",
    unit: " of its crop is in the photograph",
  },
};

const LIMITS = Object.keys(RULES) as (keyof QualityLimits)[];

/** A value with two decimals, or as many as it takes to differ from its bound. */
function unlike(value: number, bound: number): string {
  for (let digits = 2; digits < 12; digits++) {
    if (Number(value.toFixed(digits)) !== bound) return value.toFixed(digits);
  }
  return String(value);
}

/** What of a face lies beyond the limits; empty for a face fit to be compared. */
export function qualityWarnings(
  quality: FaceQuality,
  limits: QualityLimits = DEFAULT_QUALITY_LIMITS,
): QualityWarning[] {
  return LIMITS.flatMap((limit) => {
    const { measure, words, unit } = RULES[limit];
    const [value, bound] = [measure(quality), limits[limit]];
    const least = limit.startsWith("min");
    if (least ? value >= bound : value <= bound) return [];
    const message = `${words}: ${unlike(value, bound)}${unit}, ${least ? "at least" : "at most"} ${bound} is wanted`;
    return [{ limit, value, bound, message }];
  });
}

/**
 * Makes sure that a face is fit to be compared.
 * @throws FaceError `FACE_UNFIT` naming all that lies beyond the limits.
 */
export function requireQuality(warnings: readonly QualityWarning[], what = "the photograph"): void {
  if (warnings.length === 0) return;
  throw new FaceError("FACE_UNFIT", `${what}: ${warnings.map(({ message }) => message).join("; ")}`, {
    hint: "use a better photograph, or leave out strict",
  });
}
