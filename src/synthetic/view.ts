/** @file How the head is turned towards the camera. */
import type { Pose } from "./circumstances.ts";
import type { Vector } from "./egg.ts";

/** Turns what the picture sees into the head's own directions. */
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
