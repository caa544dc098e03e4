/** @file Which of a photograph's faces is meant. */
import { FaceError } from "../base/errors.ts";
import type { Detection } from "./face.ts";

/** `largest`: the largest box, as far as it lies in the photograph; `central`: nearest its centre; `only`: there must be just one. */
export const FACE_CHOICES = ["largest", "central", "only"] as const;
export type FaceChoice = (typeof FACE_CHOICES)[number];
/** A choice, or a face's number in the list of the photograph's faces, the surest first, from 1. */
export type FacePick = FaceChoice | number;

/** A pick, or one for either of two photographs. */
export type FacePicks = FacePick | readonly [FacePick, FacePick];

/** What is meant in the first (0) or second (1) photograph. */
export const pickOf = (picks: FacePicks, i: 0 | 1): FacePick =>
  typeof picks === "object" ? picks[i] : picks;

/** Picks in a text, `largest`, `2` or `1,3`; whatever else it holds is left to be refused. */
export function facePicks(text: string): unknown {
  const picks = text.split(",").map((part) => (/^\d+$/.test(part.trim()) ? Number(part) : part.trim()));
  return picks.length === 1 ? picks[0] : picks;
}

export const isFacePick = (value: unknown): value is FacePick =>
  FACE_CHOICES.some((choice) => choice === value) || (Number.isSafeInteger(value) && (value as number) > 0);

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The part of a side from `start` on that lies between 0 and `end`. */
const within = (start: number, length: number, end: number) =>
  Math.max(0, Math.min(start + length, end) - Math.max(start, 0));

/** Square pixels of a face inside the photograph. */
const areaIn = (photograph: Size, { box: [x, y, width, height] }: Detection) =>
  within(x, width, photograph.width) * within(y, height, photograph.height);

/** A face of at least this fraction of the chosen one's area could be the person meant as well. */
const RIVAL_AREA = 0.5;

/**
 * Chooses a face; of several as good the one that comes first.
 * @param photograph its size in pixels.
 * @param what the photograph's name, for errors.
 * @throws FaceError `FACE_NOT_FOUND` when there is none, or none of the number, `SEVERAL_FACES` when `only` meets more than one.
 */
export function chooseFace<F extends Detection>(
  faces: readonly F[],
  choice: FacePick,
  photograph: Size,
  what = "the photograph",
): F {
  const [first] = faces;
  if (first === undefined) {
    throw new FaceError("FACE_NOT_FOUND", `no face was found in ${what}`, {
      hint: "use a photograph that shows the face from the front, sharp and at least 40 pixels wide",
    });
  }
  if (typeof choice === "number") {
    const numbered = faces[choice - 1];
    if (numbered !== undefined) return numbered;
    throw new FaceError(
      "FACE_NOT_FOUND",
      `there is no face ${choice} in ${what}: ${faces.length === 1 ? "1 face was" : `${faces.length} faces were`} found`,
      { hint: "number a face as faceid faces lists it, the surest first" },
    );
  }
  if (choice === "only" && faces.length > 1) {
    throw new FaceError("SEVERAL_FACES", `${faces.length} faces were found in ${what}, one was wanted`, {
      hint: "choose the one that you mean: largest, central, or its number as faceid faces lists it",
    });
  }
  const distance = ({ box: [x, y, width, height] }: Detection) =>
    Math.hypot(x + width / 2 - photograph.width / 2, y + height / 2 - photograph.height / 2);
  const better = (a: F, b: F) =>
    choice === "central" ? distance(a) < distance(b) : areaIn(photograph, a) > areaIn(photograph, b);
  return faces.reduce((best, face) => (better(face, best) ? face : best), first);
}

/**
 * Warns when another face of the photograph is about as large as the chosen one: the answer is about the chosen one only.
 * @returns `undefined` when the chosen face stands out, or was named by its number.
 */
export function rivalWarning(
  faces: readonly Detection[],
  chosen: Detection,
  choice: FacePick,
  photograph: Size,
): string | undefined {
  const enough = RIVAL_AREA * areaIn(photograph, chosen);
  const rivals = faces.filter((face) => face !== chosen && areaIn(photograph, face) >= enough).length;
  if (rivals === 0 || typeof choice === "number") return undefined;
  return `${rivals + 1} faces of about the same size were found; only face ${faces.indexOf(chosen) + 1} of ${faces.length}, the ${choice}, was taken`;
}
