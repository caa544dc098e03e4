/** @file The face of a photograph that is meant, as it is judged and answered. Without imports of Node, as the page answers so too. */
import { chooseFace, type FacePick, rivalWarning } from "./choose.ts";
import { type Face, roundedFace } from "./face.ts";
import type { FoundFaces } from "./found-faces.ts";
import { qualityWarnings, requireQuality } from "./quality-limits.ts";

/** Which face of a photograph is meant. */
export interface FaceWish {
  readonly choice: FacePick;
  /** Whether a face beyond the limits on quality is an error. */
  readonly strict: boolean;
}

/** A face with what makes it unfit to be compared, in words. */
export interface JudgedFace extends Face {
  readonly warnings: readonly string[];
}

/** The face that was meant, its number among the photograph's faces, from 1, and how many there are. */
export interface MeantFace {
  readonly face: JudgedFace;
  readonly number: number;
  readonly found: number;
}

/** The faces that are meant where a request does not say. */
export const DEFAULT_WISH: FaceWish = { choice: "largest", strict: false };

/** A face with its warnings. */
export const judged = (face: Face): JudgedFace => ({
  ...face,
  warnings: qualityWarnings(face.quality).map(({ message }) => message),
});

/**
 * The face that is meant.
 * @param what the photograph's name, for errors.
 * @throws FaceError as `chooseFace`, and with `strict` as `requireQuality`.
 */
export function meantFace(
  { photograph, faces }: FoundFaces,
  what: string,
  { choice, strict }: FaceWish,
): MeantFace {
  const size = photograph.size;
  const chosen = chooseFace(faces, choice, size, what);
  if (strict) requireQuality(qualityWarnings(chosen.quality), what);
  const face = judged(chosen);
  const rival = rivalWarning(faces, chosen, choice, size);
  const warnings = rival === undefined ? face.warnings : [...face.warnings, rival];
  return { face: { ...face, warnings }, number: faces.indexOf(chosen) + 1, found: faces.length };
}

/** A face as an answer describes it. */
export function faceAnswer({ face, number, found }: MeantFace) {
  return { ...describeFace(face), number, found };
}

/** A face with its numbers, in the order in which answers have them. */
export function describeFace({ warnings, ...face }: JudgedFace) {
  return { ...roundedFace(face), warnings };
}
