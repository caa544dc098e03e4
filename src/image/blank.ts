/** @file Pictures of one colour, which show no face: a network finds any two of them alike. */
import { FaceError } from "../base/errors.ts";

/**
 * Least standard deviation of a picture's luminance, from black (0) to white (1): two of 255 levels. LFW's photographs have at
 * least 0.1, and no face is found at much less than this contrast (docs/faces.md).
 */
const LEAST_DEVIATION = 2 / 255;

/**
 * Whether a picture is of one colour, or nearly so.
 * @param image RGB, eight-bit or in [0, 1].
 */
export function isOfOneColour(image: Uint8Array | Float32Array): boolean {
  const white = image instanceof Uint8Array ? 255 : 1;
  const count = image.length / 3;
  let [sum, squares] = [0, 0];
  for (let at = 0; at < image.length; at += 3) {
    const light = (0.299 * image[at]! + 0.587 * image[at + 1]! + 0.114 * image[at + 2]!) / white;
    sum += light;
    squares += light * light;
  }
  const variance = squares / count - (sum / count) ** 2;
  return variance < LEAST_DEVIATION ** 2;
}

/**
 * Makes sure that a picture shows something, where no face is looked for.
 * @param image RGB, eight-bit or in [0, 1].
 * @param what the picture's name, for the error.
 * @throws FaceError `FACE_NOT_FOUND` for a picture of one colour, or nearly so.
 */
export function requireContent(image: Uint8Array | Float32Array, what: string): void {
  if (!isOfOneColour(image)) return;
  throw new FaceError("FACE_NOT_FOUND", `${what} is of one colour, or nearly so: it shows no face`, {
    hint: "pass a picture of a face, cut out as the model reads it",
  });
}
