/** @file The head as a solid: its height map, and the intersection of rays with skin and ears. */
import type { Expression } from "./circumstances.ts";
import { Ellipsoid, normalise, type Vector, vector } from "./geometry.ts";
import { hill, type Paint, type Rgb, smooth } from "./paint.ts";
import type { HeadShape, Person } from "./person.ts";

/** Grid points along each side, over x and y from -REACH to REACH. */
const SIDE = 96;
const REACH = 1.2;
const STEP = (2 * REACH) / (SIDE - 1);

/** A round or oval hill on the face. */
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

/** Height at a point of the face; symmetric except for the bend of the nose. */
function heightAt(person: Person, expression: Expression, x: number, y: number): number {
  const { head, eyes, nose, mouth } = person;
  const side = Math.abs(x);
  const lift = Math.max(0, expression.smile);
  const mouthWidth = mouth.halfWidth * (1 + 0.18 * lift);
  const wings = 0.09 * bump(side, y, nose.wingWidth * 0.72, nose.tipY + 0.01, 0.1, 0.085);
  return (
    Math.max(noseHeight(person, x, y), wings) +
    head.browHeight * bump(side, y, 0.3, eyes.y - 0.16, 0.34, 0.13) -
    eyes.socketDepth * bump(side, y, eyes.x - 0.03, eyes.y, 0.27, 0.18) +
    0.045 * bump(side, y, eyes.x, eyes.y, 0.17, 0.1) +
    (head.cheekHeight + 0.03 * lift) * bump(side, y, 0.42, 0.08 - 0.04 * lift, 0.3, 0.26) -
    0.02 * lift * bump(side, y, mouthWidth + 0.09, mouth.y - 0.02, 0.07, 0.2) +
    0.05 * bump(x, y, 0, mouth.y, 0.42, 0.25) +
    0.035 * bump(x, y, 0, mouth.y - 0.035, mouthWidth, 0.05 + mouth.upperLip) +
    0.045 *
      bump(x, y, 0, mouth.y + 0.06 + 0.12 * expression.mouthOpen, mouthWidth * 0.85, 0.05 + mouth.lowerLip) -
    0.02 * bump(x, y, 0, mouth.y - 0.14, 0.045, 0.09) -
    0.045 * bump(x, y, 0, mouth.y + 0.19, 0.22, 0.09) +
    head.chinHeight * bump(x, y, 0, head.chinY - 0.13, 0.24, 0.18) -
    0.03 * head.cleft * bump(x, y, 0, head.chinY - 0.12, 0.05, 0.1)
  );
}

/** Height and slope of the face, interpolated between grid points. */
export class HeightMap {
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

  /** The height at a point; flat outside the grid. */
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

  /** Finds the four grid points around a point and their weights; false outside the grid. */
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

/** Heights of the given half widths. */
const WIDTH_Y = [-1.1, -0.6, -0.1, 0.5, 0.9] as const;
/** Height at which the head is deepest, and its extent above that. */
const MIDDLE_Y = -0.15;
const TOP_REACH = 1.02;
const TOP_ROUNDNESS = 2.2;

const TABLE_FROM = -1.4;
const TABLE_STEP = 0.02;
const TABLE_SIZE = 140;

/** Sphere tracing: most steps, step length per unit of the equation's value, and tolerance. */
const STEPS = 40;
const STRIDE = 0.3;
const NEAR = 0.004;

/** How far from zero the head's equation may end for the ray to count as a hit. */
const MISS = 0.02;
/** A ray without a hit up to this depth has missed. */
const BEHIND = -0.3;
/** How far the nose protrudes from the bounding ellipsoid, and the margin of that ellipsoid around the rest. */
const NOSE = 0.25;
const BOUND = 1.06;

/** Half the usual radius of the head: times facing squared, it gives the distance from the outline. */
const ROUNDING = 0.35;

/** Half width at any height: a Catmull-Rom spline (1974) through the given ones. */
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
 * A head: at each height an ellipse of the width there, closed at crown and chin, with the heights of the face on its
 * front. Points satisfy (x / w(y))² + ((z − heights) / depth)² + cap(y) = 1.
 */
export class Head {
  readonly #heights: HeightMap;
  readonly #depth: number;
  readonly #bound: Ellipsoid;
  readonly #widths = new Float32Array(TABLE_SIZE);
  readonly #caps = new Float32Array(TABLE_SIZE);
  /** The point that `meet` found, and the surface's unit normal there. */
  readonly point = vector();
  readonly normal = vector();
  /** Distance from the outline, in head units, as far as it matters for a soft edge. */
  rim = 0;

  constructor(head: HeadShape, heights: HeightMap) {
    this.#heights = heights;
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
    this.#bound = new Ellipsoid(
      { x: 0, y: MIDDLE_Y - TOP_REACH + height, z: 0 },
      { x: Math.max(...widths) * BOUND, y: height * BOUND, z: (head.depth + NOSE) * BOUND },
    );
  }

  /**
   * Traces a ray `from + t · along` from the viewer's side to the skin.
   * @param along unit vector towards the viewer
   * @returns whether the ray meets the head; sets `point`, `normal` and `rim`
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
    const deep = (z - this.#heights.heightAt(x, y)) / this.#depth;
    return across * across + deep * deep + caps[i]! + share * (caps[i + 1]! - caps[i]!) - 1;
  }

  /** The gradient of the head's equation: the outward normal of the skin. */
  #gradient({ x, y, z }: Vector, out: Vector): void {
    const heights = this.#heights;
    heights.look(x, y);
    const row = Math.max(0, Math.min(TABLE_SIZE - 1.001, (y - TABLE_FROM) / TABLE_STEP));
    const i = Math.floor(row);
    const widening = this.#widths[i + 1]! - this.#widths[i]!;
    const width = this.#widths[i]! + (row - i) * widening;
    const across = x / width;
    const pull = (2 * (z - heights.height)) / (this.#depth * this.#depth);
    const closing = this.#caps[i + 1]! - this.#caps[i]!;
    out.x = (2 * across) / width - pull * heights.slopeX;
    out.y = (closing - (2 * across * across * widening) / width) / TABLE_STEP - pull * heights.slopeY;
    out.z = pull;
  }
}

const EAR_Y = -0.08;
const EAR_Z = -0.08;

/** One ear. */
export class Ear {
  readonly #ellipsoid: Ellipsoid;
  readonly #centre: Vector;
  readonly #size: number;
  readonly #colour: Rgb;

  /** @param side 1 for the one at the viewer's right, -1 for the other */
  constructor(head: HeadShape, colour: Rgb, side: number) {
    this.#size = head.earSize;
    this.#colour = colour;
    this.#centre = { x: side * (head.cheekbones * 0.985 + head.earSpread), y: EAR_Y, z: EAR_Z };
    this.#ellipsoid = new Ellipsoid(this.#centre, {
      x: 0.035 + head.earSpread,
      y: head.earSize,
      z: head.earSize * 0.62,
    });
  }

  get normal(): Vector {
    return this.#ellipsoid.face();
  }

  /** Whether the ray meets the ear. */
  meet(from: Vector, along: Vector): boolean {
    return this.#ellipsoid.meet(from, along, false);
  }

  /** The colour of the ear before lighting: redder than the face, darker in its hollow. */
  paint(out: Paint): void {
    const { y, z } = this.#ellipsoid.point;
    const dy = (y - this.#centre.y) / this.#size;
    const dz = (z - this.#centre.z - 0.02) / (this.#size * 0.62);
    out.set(this.#colour);
    out.g *= 0.88;
    out.b *= 0.86;
    out.scale(1 - 0.5 * hill((dy * dy + dz * dz) * 2.6));
  }
}
