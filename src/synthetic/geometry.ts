/** @file Vectors, the intersection of a ray with an ellipsoid, and the rotation of the head. */
import type { Pose } from "./circumstances.ts";

/** A direction or a point: x to the viewer's right, y down, z towards the viewer. */
export interface Vector {
  x: number;
  y: number;
  z: number;
}

export const vector = (): Vector => ({ x: 0, y: 0, z: 0 });

/** Normalises a vector. */
export function normalise(v: Vector): void {
  const length = Math.sqrt(v.x * v.x + v.y * v.y + v.z * v.z);
  v.x /= length;
  v.y /= length;
  v.z /= length;
}

export class Ellipsoid {
  readonly #centre: Vector;
  readonly #radii: Vector;
  /** The point that `meet` found. */
  readonly point = vector();
  readonly #normal = vector();

  constructor(centre: Vector, radii: Vector) {
    this.#centre = centre;
    this.#radii = radii;
  }

  /**
   * The `t` at which the ray `from + t · along` meets the ellipsoid, on the viewer's side or the far one; NaN without an intersection.
   * @param along towards the viewer
   */
  reach(from: Vector, along: Vector, far: boolean): number {
    const radii = this.#radii;
    const centre = this.#centre;
    const ax = along.x / radii.x;
    const ay = along.y / radii.y;
    const az = along.z / radii.z;
    const ox = (from.x - centre.x) / radii.x;
    const oy = (from.y - centre.y) / radii.y;
    const oz = (from.z - centre.z) / radii.z;
    const a = ax * ax + ay * ay + az * az;
    const b = ax * ox + ay * oy + az * oz;
    // Without an intersection this is the square root of a negative number, NaN.
    const half = Math.sqrt(b * b - a * (ox * ox + oy * oy + oz * oz - 1));
    return ((far ? -half : half) - b) / a;
  }

  /** Whether the ray meets the ellipsoid; sets `point`. */
  meet(from: Vector, along: Vector, far: boolean): boolean {
    const t = this.reach(from, along, far);
    if (Number.isNaN(t)) return false;
    this.point.x = from.x + t * along.x;
    this.point.y = from.y + t * along.y;
    this.point.z = from.z + t * along.z;
    return true;
  }

  /** The unit normal at `point`. */
  face(): Vector {
    const point = this.point;
    const normal = this.#normal;
    const centre = this.#centre;
    const radii = this.#radii;
    normal.x = (point.x - centre.x) / (radii.x * radii.x);
    normal.y = (point.y - centre.y) / (radii.y * radii.y);
    normal.z = (point.z - centre.z) / (radii.z * radii.z);
    normalise(normal);
    return normal;
  }
}

/** Converts directions of the image to directions of the head. */
export class View {
  readonly #columns: readonly [Vector, Vector, Vector];

  /** The head is turned, then nodded, then tilted. */
  constructor({ yaw, pitch, roll }: Pose) {
    const [cy, sy] = [Math.cos(yaw), Math.sin(yaw)];
    const [cp, sp] = [Math.cos(pitch), Math.sin(pitch)];
    const [cr, sr] = [Math.cos(roll), Math.sin(roll)];
    this.#columns = [
      { x: cr * cy - sr * sp * sy, y: -sr * cp, z: cr * sy + sr * sp * cy },
      { x: sr * cy + cr * sp * sy, y: cr * cp, z: sr * sy - cr * sp * cy },
      { x: -cp * sy, y: sp, z: cp * cy },
    ];
  }

  toHead(x: number, y: number, z: number, out: Vector): Vector {
    const [a, b, c] = this.#columns;
    out.x = a.x * x + b.x * y + c.x * z;
    out.y = a.y * x + b.y * y + c.y * z;
    out.z = a.z * x + b.z * y + c.z * z;
    return out;
  }
}
