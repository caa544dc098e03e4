/** @file The head as a solid: where a ray of sight meets it, and which way the skin faces there. */
import { Egg, normalise, type Vector, vector } from "./egg.ts";
import type { HeadShape } from "./person.ts";
import type { Relief } from "./relief.ts";

/** Half widths are given at these heights. */
const WIDTH_Y = [-1.1, -0.6, -0.1, 0.5, 0.9] as const;
/** Where the head is widest from back to front, and how far it reaches above that. */
const MIDDLE_Y = -0.15;
const TOP_REACH = 1.02;
const TOP_ROUNDNESS = 2.2;

const TABLE_FROM = -1.4;
const TABLE_STEP = 0.02;
const TABLE_SIZE = 140;

/** Steps towards the surface at most, how long they are for the equation's value, and when to stop. */
const STEPS = 40;
const STRIDE = 0.3;
const NEAR = 0.004;

/** How far from zero the head's equation may end for the ray to count as a hit. */
const MISS = 0.02;
/** Behind this a ray that has met nothing has passed by. */
const BEHIND = -0.3;
/** How far the nose stands out of the egg around the head, and the room that egg leaves around all else. */
const NOSE = 0.25;
const BOUND = 1.06;

/** Half the head's usual radius: with it, facing squared is the distance from the outline. */
const ROUNDING = 0.35;

/** Half width at any height, smoothly through the given ones (Catmull and Rom, 1974). */
function widthAt(widths: readonly number[], y: number): number {
  let i = 0;
  while (i < WIDTH_Y.length - 2 && y > WIDTH_Y[i + 1]!) i++;
  const span = WIDTH_Y[i + 1]! - WIDTH_Y[i]!;
  const t = Math.max(0, Math.min(1, (y - WIDTH_Y[i]!) / span));
  const at = (index: number) => widths[Math.max(0, Math.min(widths.length - 1, index))]!;
  const [a, b, c, d] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
  return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

/**
 * A head: at each height an ellipse of the width there, closed at crown and chin, with the relief of the face on its
 * front. Points satisfy (x / w(y))² + ((z − relief) / depth)² + cap(y) = 1.
 */
export class Head {
  readonly #relief: Relief;
  readonly #depth: number;
  readonly #bound: Egg;
  readonly #widths = new Float32Array(TABLE_SIZE);
  readonly #caps = new Float32Array(TABLE_SIZE);
  /** The point that `meet` found, and the surface's unit normal there. */
  readonly point = vector();
  readonly normal = vector();
  /** Distance from the outline, in head units, as far as it matters for a soft edge. */
  rim = 0;

  constructor(head: HeadShape, relief: Relief) {
    this.#relief = relief;
    this.#depth = head.depth;
    const widths = [head.crown, head.temples, head.cheekbones, head.jaw, head.chin];
    for (let i = 0; i < TABLE_SIZE; i++) {
      const y = TABLE_FROM + i * TABLE_STEP;
      this.#widths[i] = widthAt(widths, y);
      this.#caps[i] =
        y < MIDDLE_Y
          ? ((MIDDLE_Y - y) / TOP_REACH) ** TOP_ROUNDNESS
          : ((y - MIDDLE_Y) / (head.chinY - MIDDLE_Y)) ** head.chinSquareness;
    }
    const height = (head.chinY - MIDDLE_Y + TOP_REACH) / 2;
    this.#bound = new Egg(
      { x: 0, y: MIDDLE_Y - TOP_REACH + height, z: 0 },
      { x: Math.max(...widths) * BOUND, y: height * BOUND, z: (head.depth + NOSE) * BOUND },
    );
  }

  /**
   * Follows a ray `from + t · along` from the viewer's side to the skin.
   * @param along unit vector towards the viewer
   * @returns whether the ray meets the head; `point`, `normal` and `rim` tell where
   */
  meet(from: Vector, along: Vector): boolean {
    let t = this.#bound.reach(from, along, false);
    if (Number.isNaN(t)) return false;
    const { point, normal } = this;
    let value = 1;
    // The equation's value grows with the distance at twice one over the depth at most, so no step jumps over the nose.
    for (let step = 0; step < STEPS && value > NEAR; step++) {
      point.x = from.x + t * along.x;
      point.y = from.y + t * along.y;
      point.z = from.z + t * along.z;
      value = this.#value(point.x, point.y, point.z);
      t -= STRIDE * value;
      if (point.z < BEHIND) return false;
    }
    if (value > MISS) return false;
    this.#gradient(point, normal);
    normalise(normal);
    const facing = normal.x * along.x + normal.y * along.y + normal.z * along.z;
    this.rim = ROUNDING * facing * facing;
    return true;
  }

  /** The head's equation at a point: below 0 inside, above outside. */
  #value(x: number, y: number, z: number): number {
    const row = Math.max(0, Math.min(TABLE_SIZE - 1.001, (y - TABLE_FROM) / TABLE_STEP));
    const i = Math.floor(row);
    const share = row - i;
    const widths = this.#widths;
    const caps = this.#caps;
    const across = x / (widths[i]! + share * (widths[i + 1]! - widths[i]!));
    const deep = (z - this.#relief.heightAt(x, y)) / this.#depth;
    return across * across + deep * deep + caps[i]! + share * (caps[i + 1]! - caps[i]!) - 1;
  }

  /** The gradient of the head's equation: the direction that points straight out of the skin. */
  #gradient({ x, y, z }: Vector, out: Vector): void {
    const relief = this.#relief;
    relief.look(x, y);
    const row = Math.max(0, Math.min(TABLE_SIZE - 1.001, (y - TABLE_FROM) / TABLE_STEP));
    const i = Math.floor(row);
    const widening = this.#widths[i + 1]! - this.#widths[i]!;
    const width = this.#widths[i]! + (row - i) * widening;
    const across = x / width;
    const pull = (2 * (z - relief.height)) / (this.#depth * this.#depth);
    const closing = this.#caps[i + 1]! - this.#caps[i]!;
    out.x = (2 * across) / width - pull * relief.slopeX;
    out.y = (closing - (2 * across * across * widening) / width) / TABLE_STEP - pull * relief.slopeY;
    out.z = pull;
  }
}
