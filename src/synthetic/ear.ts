/** @file The ears, at the sides of the head. */
import { hill, type Paint, type Rgb } from "./colour.ts";
import { Egg, type Vector } from "./egg.ts";
import type { HeadShape } from "./person.ts";

const EAR_Y = -0.08;
const EAR_Z = -0.08;

/** One ear. */
export class Ear {
  readonly #egg: Egg;
  readonly #centre: Vector;
  readonly #size: number;
  readonly #colour: Rgb;

  /** @param side 1 for the one at the viewer's right, -1 for the other */
  constructor(head: HeadShape, colour: Rgb, side: number) {
    this.#size = head.earSize;
    this.#colour = colour;
    this.#centre = { x: side * (head.cheekbones * 0.985 + head.earSpread), y: EAR_Y, z: EAR_Z };
    this.#egg = new Egg(this.#centre, { x: 0.035 + head.earSpread, y: head.earSize, z: head.earSize * 0.62 });
  }

  get normal(): Vector {
    return this.#egg.face();
  }

  /** Whether the ray meets the ear. */
  meet(from: Vector, along: Vector): boolean {
    return this.#egg.meet(from, along, false);
  }

  /** The ear's own colour where it was met: redder than the face, darker in its hollow. */
  paint(out: Paint): void {
    const { y, z } = this.#egg.point;
    const dy = (y - this.#centre.y) / this.#size;
    const dz = (z - this.#centre.z - 0.02) / (this.#size * 0.62);
    out.set(this.#colour);
    out.g *= 0.88;
    out.b *= 0.86;
    out.scale(1 - 0.5 * hill((dy * dy + dz * dz) * 2.6));
  }
}
