/** @file A drawn head, turned as wanted. */
import { Random } from "../../src/base/random.ts";
import { sampleCircumstances } from "../../src/synthetic/circumstances.ts";
import { takePicture } from "../../src/synthetic/draw.ts";
import { samplePerson } from "../../src/synthetic/person.ts";
import { Scene } from "../../src/synthetic/scene.ts";

/** How the head is turned, in degrees. */
export interface Turn {
  /** To the image's right. */
  readonly yaw: number;
  /** Down. */
  readonly pitch: number;
}

/** Eight-bit RGB `[side, side, 3]`. The same person, light and surroundings in every turn. */
export function drawHead(identity: number, { yaw, pitch }: Turn, side: number): Uint8Array {
  const population = new Random(0);
  const person = samplePerson(population.fork("person", identity));
  const what = sampleCircumstances(population.fork("photo", identity, 0), 0);
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const pose = { ...what.pose, yaw: radians(yaw), pitch: radians(pitch) };
  const unit = (2 * pose.reach) / side;
  const scene = new Scene(person, { ...what, pose }, population.fork("texture", identity), unit);
  const light = new Float32Array(side * side * 3);
  for (let row = 0, at = 0; row < side; row++) {
    const y = (row + 0.5 - side / 2) * unit - pose.shiftY * pose.reach;
    for (let column = 0; column < side; column++, at += 3) {
      scene.trace((column + 0.5 - side / 2) * unit - pose.shiftX * pose.reach, y);
      light[at] = scene.seen.r;
      light[at + 1] = scene.seen.g;
      light[at + 2] = scene.seen.b;
    }
  }
  return takePicture(light, side, side, what.camera);
}
