/** @file The heights of nose, lips, cheeks and eye sockets above a plain head, as a grid. */

import type { Expression } from "./circumstances.ts";
import { hill, smooth } from "./colour.ts";
import type { Person } from "./person.ts";

/** Grid points along each side, over x and y from -REACH to REACH. */
const SIDE = 96;
const REACH = 1.2;
const STEP = (2 * REACH) / (SIDE - 1);

/** A round or oval hill somewhere on the face. */
function bump(x: number, y: number, atX: number, atY: number, radiusX: number, radiusY: number): number {
  const dx = (x - atX) / radiusX;
  const dy = (y - atY) / radiusY;
  return hill(dx * dx + dy * dy);
}

function noseHeight({ nose, eyes }: Person, x: number, y: number): number {
  const top = eyes.y - 0.08;
  const end = nose.tipY + 0.07;
  if (y < top || y > end) return 0;
  const along = (y - top) / (nose.tipY - top);
  const width = nose.bridgeWidth + (nose.tipWidth - nose.bridgeWidth) * Math.min(1, along) ** 2;
  const ridge = nose.bridgeHeight + (nose.tipHeight - nose.bridgeHeight) * Math.min(1, along) ** 1.6;
  const hump = nose.hump * hill(((along - 0.45) / 0.35) ** 2);
  const rise = smooth(top, top + 0.12, y) * (1 - smooth(nose.tipY, end, y));
  const centre = nose.bend * Math.sin(Math.min(1, along) * Math.PI);
  return (ridge + hump) * rise * hill(((x - centre) / (width * 1.5)) ** 2);
}

/** Height at a point of the face; left and right are alike but for the nose's bend. */
function heightAt(person: Person, expression: Expression, x: number, y: number): number {
  const { head, eyes, nose, mouth } = person;
  const side = Math.abs(x);
  const lift = Math.max(0, expression.smile);
  const mouthWidth = mouth.halfWidth * (1 + 0.18 * lift);
  const wings = 0.09 * bump(side, y, nose.wingWidth * 0.72, nose.tipY + 0.01, 0.1, 0.085);
  return (
    Math.max(noseHeight(person, x, y), wings) +
    head.browRelief * bump(side, y, 0.3, eyes.y - 0.16, 0.34, 0.13) -
    eyes.socketDepth * bump(side, y, eyes.x - 0.03, eyes.y, 0.27, 0.18) +
    0.045 * bump(side, y, eyes.x, eyes.y, 0.17, 0.1) +
    (head.cheekRelief + 0.03 * lift) * bump(side, y, 0.42, 0.08 - 0.04 * lift, 0.3, 0.26) -
    0.02 * lift * bump(side, y, mouthWidth + 0.09, mouth.y - 0.02, 0.07, 0.2) +
    0.05 * bump(x, y, 0, mouth.y, 0.42, 0.25) +
    0.035 * bump(x, y, 0, mouth.y - 0.035, mouthWidth, 0.05 + mouth.upperLip) +
    0.045 *
      bump(x, y, 0, mouth.y + 0.06 + 0.12 * expression.mouthOpen, mouthWidth * 0.85, 0.05 + mouth.lowerLip) -
    0.02 * bump(x, y, 0, mouth.y - 0.14, 0.045, 0.09) -
    0.045 * bump(x, y, 0, mouth.y + 0.19, 0.22, 0.09) +
    head.chinRelief * bump(x, y, 0, head.chinY - 0.13, 0.24, 0.18) -
    0.03 * head.cleft * bump(x, y, 0, head.chinY - 0.12, 0.05, 0.1)
  );
}

/** Height and slope of a face's relief, looked up between grid points. */
export class Relief {
  readonly #heights = new Float32Array(SIDE * SIDE);
  readonly #slopesX = new Float32Array(SIDE * SIDE);
  readonly #slopesY = new Float32Array(SIDE * SIDE);
  #at = 0;
  #fx = 0;
  #fy = 0;
  /** What `look` found. */
  height = 0;
  slopeX = 0;
  slopeY = 0;

  constructor(person: Person, expression: Expression) {
    for (let row = 0, at = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++, at++) {
        this.#heights[at] = heightAt(person, expression, column * STEP - REACH, row * STEP - REACH);
      }
    }
    for (let row = 1; row < SIDE - 1; row++) {
      for (let column = 1; column < SIDE - 1; column++) {
        const at = row * SIDE + column;
        this.#slopesX[at] = (this.#heights[at + 1]! - this.#heights[at - 1]!) / (2 * STEP);
        this.#slopesY[at] = (this.#heights[at + SIDE]! - this.#heights[at - SIDE]!) / (2 * STEP);
      }
    }
  }

  /** The height alone at a point; flat outside the grid. */
  heightAt(x: number, y: number): number {
    return this.#place(x, y) ? this.#mix(this.#heights) : 0;
  }

  /** Finds height and slopes at a point. */
  look(x: number, y: number): void {
    const inside = this.#place(x, y);
    this.height = inside ? this.#mix(this.#heights) : 0;
    this.slopeX = inside ? this.#mix(this.#slopesX) : 0;
    this.slopeY = inside ? this.#mix(this.#slopesY) : 0;
  }

  /** Finds the four grid points around a place and their shares; false outside the grid. */
  #place(x: number, y: number): boolean {
    const column = (x + REACH) / STEP;
    const row = (y + REACH) / STEP;
    if (!(column >= 0 && row >= 0 && column < SIDE - 1 && row < SIDE - 1)) return false;
    const left = Math.floor(column);
    const top = Math.floor(row);
    this.#at = top * SIDE + left;
    this.#fx = column - left;
    this.#fy = row - top;
    return true;
  }

  #mix(grid: Float32Array): number {
    const at = this.#at;
    const above = grid[at]! + (grid[at + 1]! - grid[at]!) * this.#fx;
    const below = grid[at + SIDE]! + (grid[at + SIDE + 1]! - grid[at + SIDE]!) * this.#fx;
    return above + (below - above) * this.#fy;
  }
}
