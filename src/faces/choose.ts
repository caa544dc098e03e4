/** @file Which of a photograph's faces is meant. */
import { FaceError } from "../base/errors.ts";
import type { Detection } from "./face.ts";

/** `largest`: the largest box, as far as it lies in the photograph; `central`: nearest its centre; `only`: there must be just one. */
export const FACE_CHOICES = ["largest", "central", "only"] as const;
export type FaceChoice = (typeof FACE_CHOICES)[number];

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
 * @throws FaceError `FACE_NOT_FOUND` when there is none, `SEVERAL_FACES` when `only` meets more than one.
 */
export function chooseFace<F extends Detection>(
  faces: readonly F[],
  choice: FaceChoice,
  photograph: Size,
  what = "the photograph",
): F {
  const [first] = faces;
  if (first === undefined) {
    throw new FaceError("FACE_NOT_FOUND", `no face was found in ${what}`, {
      hint: "use a photograph that shows the face from the front, sharp and at least 40 pixels wide",
    });
  }
  if (choice === "only" && faces.length > 1) {
    throw new FaceError("SEVERAL_FACES", `${faces.length} faces were found in ${what}, one was wanted`, {
      hint: "cut out the face that you mean, or choose it: largest or central",
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
 * @returns `undefined` when the chosen face stands out.
 */
export function rivalWarning(
  faces: readonly Detection[],
  chosen: Detection,
  photograph: Size,
): string | undefined {
  const enough = RIVAL_AREA * areaIn(photograph, chosen);
  const rivals = faces.filter((face) => face !== chosen && areaIn(photograph, face) >= enough).length;
  if (rivals === 0) return undefined;
  return `${rivals + 1} faces of about the same size were found; only one of them was compared`;
}
