/** @file Smooth random patterns in the plane: skin, hair, blurred backgrounds. */
import type { Random } from "../base/random.ts";

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
