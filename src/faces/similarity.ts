/** @file Similarities of the plane: turning, scaling and shifting without changing the shape. */
import type { Point } from "./face.ts";

/** Maps (x, y) to (a·x − b·y + x0, b·x + a·y + y0). */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly x0: number;
  readonly y0: number;
}

export const IDENTITY: Similarity = { a: 1, b: 0, x0: 0, y0: 0 };

export function applySimilarity({ a, b, x0, y0 }: Similarity, [x, y]: Point): Point {
  return [a * x - b * y + x0, b * x + a * y + y0];
}

/** Lengths grow by this factor. */
export const scaleOf = ({ a, b }: Similarity): number => Math.hypot(a, b);

/** Clockwise, as y points down, in radians. */
export const angleOf = ({ a, b }: Similarity): number => Math.atan2(b, a);

/** A turn about the origin (clockwise, in radians) and a growth by `scale`, then the shift that takes `from` to `to`. */
export function similarityAbout(from: Point, to: Point, scale: number, angle: number): Similarity {
  const [a, b] = [scale * Math.cos(angle), scale * Math.sin(angle)];
  return { a, b, x0: to[0] - a * from[0] + b * from[1], y0: to[1] - b * from[0] - a * from[1] };
}

/** The similarity that undoes another. */
export function invert({ a, b, x0, y0 }: Similarity): Similarity {
  const square = a * a + b * b;
  const [c, d] = [a / square, -b / square];
  return { a: c, b: d, x0: -(c * x0 - d * y0), y0: -(d * x0 + c * y0) };
}

/** First `first`, then `second`. */
export function compose(first: Similarity, second: Similarity): Similarity {
  const [x0, y0] = applySimilarity(second, [first.x0, first.y0]);
  return {
    a: second.a * first.a - second.b * first.b,
    b: second.b * first.a + second.a * first.b,
    x0,
    y0,
  };
}

const meanOf = (points: readonly Point[]): Point => [
  points.reduce((sum, [x]) => sum + x, 0) / points.length,
  points.reduce((sum, [, y]) => sum + y, 0) / points.length,
];

/**
 * The similarity that takes one list of points closest to another by least squares, reflections excluded (Umeyama, 1991,
 * whose singular value decomposition has this closed form in the plane).
 * @returns undefined when all points of `from` are the same, or both lists are opposed so that no scale above 0 fits best.
 */
export function fitSimilarity(from: readonly Point[], to: readonly Point[]): Similarity | undefined {
  const [centre, target] = [meanOf(from), meanOf(to)];
  let [along, across, square] = [0, 0, 0];
  for (const [i, [px, py]] of from.entries()) {
    const [x, y] = [px - centre[0], py - centre[1]];
    const [u, v] = [to[i]![0] - target[0], to[i]![1] - target[1]];
    along += x * u + y * v;
    across += x * v - y * u;
    square += x * x + y * y;
  }
  const [a, b] = [along / square, across / square];
  if (!(Math.hypot(a, b) > 0) || !Number.isFinite(a + b)) return undefined;
  return {
    a,
    b,
    x0: target[0] - a * centre[0] + b * centre[1],
    y0: target[1] - b * centre[0] - a * centre[1],
  };
}
