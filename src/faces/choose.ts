/** @file Which of a photograph's faces is meant. */
import { FaceError } from "../base/errors.ts";
import type { Detection } from "./face.ts";

/** `largest`: the widest and highest box; `central`: nearest the photograph's centre; `only`: there must be just one. */
export const FACE_CHOICES = ["largest", "central", "only"] as const;
export type FaceChoice = (typeof FACE_CHOICES)[number];

const area = ({ box: [, , width, height] }: Detection) => width * height;

/**
 * Chooses a face; of several as good the one that comes first.
 * @param photograph its size in pixels.
 * @param what the photograph's name, for errors.
 * @throws FaceError `FACE_NOT_FOUND` when there is none, `SEVERAL_FACES` when `only` meets more than one.
 */
export function chooseFace<F extends Detection>(
  faces: readonly F[],
  choice: FaceChoice,
  photograph: { readonly width: number; readonly height: number },
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
  const better = (a: F, b: F) => (choice === "central" ? distance(a) < distance(b) : area(a) > area(b));
  return faces.reduce((best, face) => (better(face, best) ? face : best), first);
}
