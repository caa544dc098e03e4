/** @file Draws a photograph: who, under which circumstances, seen ray by ray, taken by a camera. */
import { Random } from "../base/random.ts";
import type { ImageSettings } from "../image/settings.ts";
import { takePicture } from "./camera.ts";
import { sampleCircumstances } from "./circumstances.ts";
import { samplePerson } from "./person.ts";
import type { SyntheticPhoto } from "./photo.ts";
import { Scene } from "./scene.ts";

/**
 * Draws one photograph of a person who does not exist. The same photo and size give the same pixels.
 * @returns eight-bit RGB, `[settings.height, settings.width, 3]`
 */
export function drawPhoto(photo: SyntheticPhoto, { height, width }: ImageSettings): Uint8Array {
  const population = new Random(photo.seed);
  const person = samplePerson(population.fork("person", photo.identity));
  const taking = population.fork("photo", photo.identity, photo.number);
  const what = sampleCircumstances(taking, photo.difficulty);
  const { reach, shiftX, shiftY } = what.pose;
  const unit = (2 * reach) / Math.min(height, width);
  const scene = new Scene(person, what, population.fork("texture", photo.identity), unit);
  const light = new Float32Array(height * width * 3);
  for (let row = 0, at = 0; row < height; row++) {
    const y = (row + 0.5 - height / 2) * unit - shiftY * reach;
    for (let column = 0; column < width; column++, at += 3) {
      scene.trace((column + 0.5 - width / 2) * unit - shiftX * reach, y);
      light[at] = scene.seen.r;
      light[at + 1] = scene.seen.g;
      light[at + 2] = scene.seen.b;
    }
  }
  return takePicture(light, width, height, what.camera);
}
