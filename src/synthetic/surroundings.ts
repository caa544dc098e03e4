/** @file What is around the head: background, neck and clothes. */
import type { Surroundings } from "./circumstances.ts";
import { type Paint, type Rgb, smooth } from "./colour.ts";
import type { Noise } from "./noise.ts";

const NECK_RADIUS = 0.4;

/** Background colour at a place of the picture, in head units from its middle. */
export function paintBackground(around: Surroundings, noise: Noise, x: number, y: number, out: Paint): void {
  const blotch = noise.at(x * 1.4 + around.seed, y * 1.4);
  const share = Math.max(0, Math.min(1, 0.5 + 0.4 * y + 0.5 * blotch));
  out.set(around.top);
  out.cover(around.bottom, share);
  // Edges of doors, shelves and trees, out of focus.
  const shape = noise.at(x * 2.3 + 17, y * 0.9 + around.seed);
  out.scale(1 + 0.45 * smooth(0.1, 0.2, shape) - 0.35 * smooth(0.25, 0.35, -shape));
}

/** Neck and clothes below the head. */
export class Body {
  readonly #around: Surroundings;
  readonly #skin: Rgb;
  readonly #noise: Noise;
  readonly #chinY: number;
  readonly normal = { x: 0, y: 0, z: 1 };

  constructor(around: Surroundings, skin: Rgb, chinY: number, noise: Noise) {
    this.#around = around;
    this.#skin = skin;
    this.#chinY = chinY;
    this.#noise = noise;
  }

  /**
   * Paints the body where there is one.
   * @param x head units from the neck's middle
   * @returns how much of the background it covers
   */
  paint(x: number, y: number, soft: number, out: Paint): number {
    const side = Math.abs(x);
    const beyond = Math.max(0, side - NECK_RADIUS);
    const shoulder = this.#around.collar + 0.5 * beyond * Math.sqrt(beyond);
    const neckline = this.#around.neckline * Math.max(0, 1 - side / NECK_RADIUS);
    const cloth = Math.max(0, Math.min(1, 0.5 + (y - shoulder - neckline) / soft));
    const neck = Math.max(0, Math.min(1, 0.5 + (NECK_RADIUS - side) / soft)) * smooth(0, 0.02, y);
    if (cloth === 0 && neck === 0) return 0;
    const bend = Math.max(-0.98, Math.min(0.98, x / (cloth > 0.5 ? 1.3 : NECK_RADIUS)));
    this.normal.x = bend;
    this.normal.z = Math.sqrt(1 - bend * bend);
    out.set(this.#skin);
    out.scale(0.55 + 0.35 * smooth(this.#chinY, this.#chinY + 0.35, y));
    const weave = 1 + 0.15 * this.#noise.at(x * 5 + this.#around.seed, y * 5);
    out.coverScaled(this.#around.clothes, weave, cloth);
    return Math.max(neck, cloth);
  }
}
