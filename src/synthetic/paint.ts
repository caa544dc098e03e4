/** @file Colours in linear light, layers of paint, and smooth random patterns. */
import type { Random } from "../base/random.ts";

/** Red, green and blue in linear light, 0 to 1. */
export type Rgb = readonly [number, number, number];

/** Interpolates between two colours. */
export function mixRgb(a: Rgb, b: Rgb, share: number): Rgb {
  return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share];
}

export function scaleRgb(colour: Rgb, factor: number): Rgb {
  return [colour[0] * factor, colour[1] * factor, colour[2] * factor];
}

/** A mutable colour, reused for all pixels so that drawing does not allocate. */
export class Paint {
  r = 0;
  g = 0;
  b = 0;

  set(colour: Rgb): void {
    this.r = colour[0];
    this.g = colour[1];
    this.b = colour[2];
  }

  /** Lays a colour over this one; `cover` from 0, nothing, to 1, opaque. */
  cover(colour: Rgb, cover: number): void {
    this.r += (colour[0] - this.r) * cover;
    this.g += (colour[1] - this.g) * cover;
    this.b += (colour[2] - this.b) * cover;
  }

  /** Lays another paint over this one. */
  coverWith(paint: Paint, cover: number): void {
    this.r += (paint.r - this.r) * cover;
    this.g += (paint.g - this.g) * cover;
    this.b += (paint.b - this.b) * cover;
  }

  /** Lays a colour over this one, darkened or lightened by a factor. */
  coverScaled(colour: Rgb, factor: number, cover: number): void {
    this.r += (colour[0] * factor - this.r) * cover;
    this.g += (colour[1] * factor - this.g) * cover;
    this.b += (colour[2] * factor - this.b) * cover;
  }

  /** Darkens (below 1) or lightens. */
  scale(factor: number): void {
    this.r *= factor;
    this.g *= factor;
    this.b *= factor;
  }
}

/** From 0 to 1 as `value` goes from `low` to `high`, smoothly. */
export function smooth(low: number, high: number, value: number): number {
  const share = Math.max(0, Math.min(1, (value - low) / (high - low)));
  return share * share * (3 - 2 * share);
}

/** 1 inside, 0 outside, with an edge as wide as `soft`; the distance is negative inside. */
export function inside(distance: number, soft: number): number {
  return Math.max(0, Math.min(1, 0.5 - distance / soft));
}

/** A hill of height 1 at 0 that ends at distance 1, from the squared distance: smooth and cheap. */
export function hill(squaredDistance: number): number {
  if (squaredDistance >= 1) return 0;
  const inside = 1 - squaredDistance;
  return inside * inside;
}

const SIDE = 64;

/** Value noise: random numbers at whole coordinates, smooth between them, repeating every 64. */
export class Noise {
  readonly #values = new Float32Array(SIDE * SIDE);

  constructor(random: Random) {
    for (let i = 0; i < this.#values.length; i++) this.#values[i] = random.between(-1, 1);
  }

  /** The pattern's value at a point, from -1 to 1. */
  at(x: number, y: number): number {
    const column = Math.floor(x);
    const row = Math.floor(y);
    const fx = x - column;
    const fy = y - row;
    const sx = fx * fx * (3 - 2 * fx);
    const sy = fy * fy * (3 - 2 * fy);
    const left = column & (SIDE - 1);
    const right = (column + 1) & (SIDE - 1);
    const top = (row & (SIDE - 1)) * SIDE;
    const bottom = ((row + 1) & (SIDE - 1)) * SIDE;
    const values = this.#values;
    const above = values[top + left]! + (values[top + right]! - values[top + left]!) * sx;
    const below = values[bottom + left]! + (values[bottom + right]! - values[bottom + left]!) * sx;
    return above + (below - above) * sy;
  }
}
