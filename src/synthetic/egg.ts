/** @file An egg in space (an ellipsoid along the axes) and where a ray of sight meets it. */

/** A direction or a point: x to the viewer's right, y down, z towards the viewer. */
export interface Vector {
  x: number;
  y: number;
  z: number;
}

export const vector = (): Vector => ({ x: 0, y: 0, z: 0 });

/** Makes a vector one unit long. */
export function normalise(v: Vector): void {
  const length = Math.sqrt(v.x * v.x + v.y * v.y + v.z * v.z);
  v.x /= length;
  v.y /= length;
  v.z /= length;
}

export class Egg {
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
   * The `t` at which the ray `from + t · along` meets the egg, on the viewer's side or the far one; NaN when it misses.
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
    // The square root of a negative number, NaN, is the miss.
    const half = Math.sqrt(b * b - a * (ox * ox + oy * oy + oz * oz - 1));
    return ((far ? -half : half) - b) / a;
  }

  /** Whether the ray meets the egg; `point` tells where. */
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
