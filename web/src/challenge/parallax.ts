/**
 * @file How far the tip of the nose has moved against the plane of eyes and mouth. On a flat photograph it stays in place however
 * that is moved, turned, tilted or scaled; on a head it stands before that plane, and moves as the head turns.
 */
import type { Landmarks, Point } from "../../../src/faces/face.ts";

/** Movement of the nose in distances between the eyes: to the image's right, and down. */
export interface Parallax {
  readonly x: number;
  readonly y: number;
}

/** x' = a·x + b·y + c, and the same for y'. */
interface Affine {
  readonly x: readonly [a: number, b: number, c: number];
  readonly y: readonly [a: number, b: number, c: number];
}

const planeOf = ([left, right, , mouthLeft, mouthRight]: Landmarks): Point[] => [
  left,
  right,
  mouthLeft,
  mouthRight,
];

/** The affine map that takes points closest to others, by least squares; undefined where the points lie on a line. */
function fitAffine(from: readonly Point[], to: readonly Point[]): Affine | undefined {
  const mean = (points: readonly Point[], axis: 0 | 1) =>
    points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [fx, fy, tx, ty] = [mean(from, 0), mean(from, 1), mean(to, 0), mean(to, 1)];
  let [xx, xy, yy] = [0, 0, 0];
  const sums = { x: [0, 0] as [number, number], y: [0, 0] as [number, number] };
  from.forEach(([px, py], i) => {
    const [x, y] = [px - fx, py - fy];
    const [u, v] = [to[i]![0] - tx, to[i]![1] - ty];
    xx += x * x;
    xy += x * y;
    yy += y * y;
    sums.x = [sums.x[0] + x * u, sums.x[1] + y * u];
    sums.y = [sums.y[0] + x * v, sums.y[1] + y * v];
  });
  const determinant = xx * yy - xy * xy;
  if (!(determinant > 1e-9 * (xx + yy) ** 2)) return undefined;
  const row = ([p, q]: readonly [number, number], centre: number): [number, number, number] => {
    const [a, b] = [(yy * p - xy * q) / determinant, (xx * q - xy * p) / determinant];
    return [a, b, centre - a * fx - b * fy];
  };
  return { x: row(sums.x, tx), y: row(sums.y, ty) };
}

const distance = ([ax, ay]: Point, [bx, by]: Point) => Math.hypot(ax - bx, ay - by);

/** A face this much narrower or lower than it was shows the nose too inexactly. */
const MOST_SQUEEZED = 0.65;

/** How much wider than high the eyes and the mouth lie, against the reference. */
function squeeze(reference: Landmarks, now: Landmarks): number {
  const middle = (a: Point, b: Point): Point => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const shape = ([left, right, , mouthLeft, mouthRight]: Landmarks) =>
    distance(left, right) / distance(middle(left, right), middle(mouthLeft, mouthRight));
  const change = shape(now) / shape(reference);
  return Math.min(change, 1 / change);
}

/**
 * The movement of the nose between two views of a face.
 * @param reference the face from the front.
 * @returns undefined for a view that is squeezed too much to tell.
 */
export function parallaxOf(reference: Landmarks, now: Landmarks): Parallax | undefined {
  if (!(squeeze(reference, now) > MOST_SQUEEZED)) return undefined;
  // Into the reference, so that the size of the face now does not matter.
  const back = fitAffine(planeOf(now), planeOf(reference));
  if (back === undefined) return undefined;
  const [x, y] = now[2];
  const place = ([a, b, c]: readonly [number, number, number]) => a * x + b * y + c;
  const eyes = distance(reference[0], reference[1]);
  return { x: (place(back.x) - reference[2][0]) / eyes, y: (place(back.y) - reference[2][1]) / eyes };
}
