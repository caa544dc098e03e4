/** @file Colours in linear light, and how a surface mixes them. */

/** Red, green and blue in linear light, 0 to 1. */
export type Rgb = readonly [number, number, number];

/** Colours part way from one to another. */
export function mixRgb(a: Rgb, b: Rgb, share: number): Rgb {
  return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share];
}

export function scaleRgb(colour: Rgb, factor: number): Rgb {
  return [colour[0] * factor, colour[1] * factor, colour[2] * factor];
}

/** A colour that is painted over, reused from pixel to pixel so that drawing allocates nothing. */
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

/** From 0 to 1 as `value` goes from `low` to `high`, without corners. */
export function smooth(low: number, high: number, value: number): number {
  const share = Math.max(0, Math.min(1, (value - low) / (high - low)));
  return share * share * (3 - 2 * share);
}

/** A hill of height 1 at 0 that ends at distance 1, from the squared distance: smooth and cheap. */
export function hill(squaredDistance: number): number {
  if (squaredDistance >= 1) return 0;
  const inside = 1 - squaredDistance;
  return inside * inside;
}
