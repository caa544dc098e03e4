/** @file Hair as an ellipsoid-shaped shell around the head, with a hairline in front and ends below. */
import type { HairVariation } from "./circumstances.ts";
import { Ellipsoid, type Vector } from "./geometry.ts";
import { hill, inside, type Noise, type Paint, smooth } from "./paint.ts";
import type { Person } from "./person.ts";

const CENTRE_Y = -0.2;
const CENTRE_Z = -0.06;
/** The ends of short hair are below this height. */
const LONG_HAIR_Y = 0.3;

/** The hair of a photograph. */
export class Hair {
  readonly #person: Person;
  readonly #variation: HairVariation;
  readonly #noise: Noise;
  /** Half an ellipsoid above the centre, and a longer half below. */
  readonly #upper: Ellipsoid;
  readonly #lower: Ellipsoid;
  readonly #ends: number;
  #met: Ellipsoid;

  constructor(person: Person, variation: HairVariation, noise: Noise) {
    const { head, hair } = person;
    const volume = Math.max(0.02, hair.volume + variation.fuller);
    this.#person = person;
    this.#variation = variation;
    this.#noise = noise;
    this.#ends = hair.length + variation.longer;
    const centre = { x: 0, y: CENTRE_Y, z: CENTRE_Z };
    const radii = { x: head.cheekbones + volume * 0.75, z: head.depth + volume };
    this.#upper = new Ellipsoid(centre, { ...radii, y: 0.97 + volume });
    this.#lower = new Ellipsoid(centre, { ...radii, y: this.#ends > LONG_HAIR_Y ? 2.2 : 1.25 });
    this.#met = this.#upper;
  }

  /** The unit normal where `meet` found hair. */
  get normal(): Vector {
    return this.#met.face();
  }

  /**
   * Intersects a ray with the hair.
   * @param far the far side of the head instead of the near one
   * @returns coverage by hair, 0 to 1
   */
  meet(from: Vector, along: Vector, far: boolean, soft: number): number {
    this.#met = this.#upper;
    if (this.#upper.meet(from, along, far) && this.#upper.point.y <= CENTRE_Y) return this.#cover(soft);
    this.#met = this.#lower;
    if (this.#lower.meet(from, along, far) && this.#lower.point.y > CENTRE_Y) return this.#cover(soft);
    return 0;
  }

  /** Whether hair grows at the point of the shell: above the hairline in front, above the ends elsewhere. */
  #cover(soft: number): number {
    const { hair } = this.#person;
    const { x, y, z } = this.#met.point;
    const around = Math.sqrt(x * x + z * z) + 1e-6;
    const front = z / around;
    const turn = x / around;
    const strands = this.#noise.at(turn * 14 + this.#variation.seed, y * (1 + 4 * hair.curl));
    const wave = hair.curl * this.#noise.at(turn * 7 + 5, y * 7 + this.#variation.seed);
    const temples = hill(((Math.abs(x) - 0.45) / 0.25) ** 2);
    const line =
      hair.hairline +
      this.#variation.fringe * (1 - 0.4 * turn * turn) -
      hair.recession * temples +
      0.12 * this.#variation.parting * x +
      (0.02 + this.#variation.fringe * 0.2) * strands;
    const ends = this.#ends + 0.06 * strands + 0.08 * wave;
    const border = line + (ends - line) * smooth(0.66, 0.4, front);
    const cover = inside(y - border, soft * 2.5);
    if (!hair.bald) return cover;
    return cover * smooth(-0.6, -0.45, y) * smooth(0.6, 0.3, front);
  }

  /** The colour of the hair before lighting at the point of intersection. */
  paint(out: Paint): void {
    const { colour, curl } = this.#person.hair;
    const { x, y, z } = this.#met.point;
    const turn = x / (Math.sqrt(x * x + z * z) + 1e-6);
    const lock = this.#noise.at(turn * 22 + this.#variation.seed, y * (1.5 + 9 * curl));
    const strand = this.#noise.at(turn * 60, y * (2 + 12 * curl) + 9);
    out.set(colour);
    out.scale(1 + 0.3 * lock + 0.22 * strand);
  }
}
