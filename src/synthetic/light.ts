/** @file How light falls on skin, hair and cloth. */
import type { Light } from "./circumstances.ts";
import type { Paint } from "./colour.ts";
import type { Vector } from "./egg.ts";

/** Light that creeps around an edge, as skin lets it. */
const WRAP = 0.12;

/** The light of a photograph, as seen from the turned head. */
export class Lamp {
  readonly #light: Light;
  /** Unit vector towards the light. */
  readonly towards: Vector;
  /** Halfway between light and viewer. */
  readonly #half: Vector;

  constructor(light: Light, towards: Vector, viewer: Vector) {
    this.#light = light;
    this.towards = towards;
    const [x, y, z] = [towards.x + viewer.x, towards.y + viewer.y, towards.z + viewer.z];
    const length = Math.hypot(x, y, z);
    this.#half = { x: x / length, y: y / length, z: z / length };
  }

  /**
   * Turns a surface's own colour into the light that reaches the camera.
   * @param lit 1 in full light, 0 in the shadow of something
   * @param open 1 under the open sky, less in a hollow
   * @param gloss how much it shines
   */
  shine(paint: Paint, normal: Vector, lit: number, open: number, gloss: number): void {
    const { towards } = this;
    const { colour, ambient } = this.#light;
    const facing = normal.x * towards.x + normal.y * towards.y + normal.z * towards.z;
    const direct = (Math.max(0, facing + WRAP) / (1 + WRAP)) * lit;
    const half = this.#half;
    const mirror = Math.max(0, normal.x * half.x + normal.y * half.y + normal.z * half.z);
    const squared = mirror * mirror;
    const fourth = squared * squared;
    const glint = gloss * lit * fourth * fourth * fourth * fourth;
    paint.r = paint.r * (direct * colour[0] + ambient[0] * open) + glint * colour[0];
    paint.g = paint.g * (direct * colour[1] + ambient[1] * open) + glint * colour[1];
    paint.b = paint.b * (direct * colour[2] + ambient[2] * open) + glint * colour[2];
  }
}
