/** @file Paints a face: skin, eyes, brows, lips, beard, marks and glasses, by position on the front of the head. */
import type { Expression, Glasses, HairVariation } from "./circumstances.ts";
import { hill, inside, mixRgb, type Noise, type Paint, type Rgb, scaleRgb, smooth } from "./paint.ts";
import type { Eyes, Person } from "./person.ts";

const PUPIL: Rgb = [0.004, 0.004, 0.005];
const EYE_WHITE: Rgb = [0.62, 0.58, 0.55];
const MOUTH_INSIDE: Rgb = [0.05, 0.012, 0.012];
const TEETH: Rgb = [0.66, 0.62, 0.52];
const LASHES: Rgb = [0.012, 0.01, 0.01];

/** Grid of marks and skin texture over the face, per head unit. */
const MAP_SIDE = 128;
const MAP_REACH = 1.1;

/** Paints the face; called once for every pixel of skin. */
export class Face {
  readonly #person: Person;
  readonly #expression: Expression;
  readonly #shaving: number;
  readonly #soft: number;
  readonly #marks: Float32Array;
  readonly #noise: Noise;
  readonly #browColour: Rgb;
  readonly #beardColour: Rgb;

  /** @param soft head units per pixel: the width of an edge */
  constructor(
    person: Person,
    expression: Expression,
    hairVariation: HairVariation,
    soft: number,
    noise: Noise,
  ) {
    this.#person = person;
    this.#expression = expression;
    this.#shaving = hairVariation.shaving;
    this.#soft = soft;
    this.#noise = noise;
    this.#marks = paintMarks(person);
    this.#browColour = mixRgb(scaleRgb(person.hair.colour, 0.7), person.skin.colour, 0.12);
    this.#beardColour = mixRgb(scaleRgb(person.hair.colour, 0.8), person.skin.colour, 0.1);
  }

  /** The colour of the skin before lighting at a point of the front of the head. */
  paint(x: number, y: number, out: Paint): void {
    out.set(this.#person.skin.colour);
    this.#complexion(x, y, out);
    this.#beard(x, y, out);
    this.#mouth(x, y, out);
    this.#nostrils(x, y, out);
    this.#brows(x, y, out);
    this.#eye(x, y, out);
  }

  #complexion(x: number, y: number, out: Paint): void {
    const { skin, eyes } = this.#person;
    const side = Math.abs(x);
    const cheek = hill(((side - 0.4) / 0.28) ** 2 + ((y - 0.12) / 0.24) ** 2);
    const redness = 0.25 * skin.flush * cheek;
    out.g *= 1 - redness;
    out.b *= 1 - redness;
    out.scale(1 + 0.06 * this.#noise.at(x * 9, y * 9));
    const below = hill(((side - eyes.x) / 0.19) ** 2 + ((y - eyes.y - 0.1) / 0.06) ** 2);
    out.scale(1 - 0.3 * eyes.bags * below);
    if (skin.age > 0.15) this.#wrinkles(side, y, out);
    const column = ((x + MAP_REACH) * MAP_SIDE) / (2 * MAP_REACH);
    const row = ((y + MAP_REACH) * MAP_SIDE) / (2 * MAP_REACH);
    if (column >= 0 && row >= 0 && column < MAP_SIDE && row < MAP_SIDE) {
      out.scale(1 - this.#marks[Math.floor(row) * MAP_SIDE + Math.floor(column)]!);
    }
  }

  /** Furrows of the forehead, crow's feet, and the folds from nose to mouth. */
  #wrinkles(side: number, y: number, out: Paint): void {
    const { skin, mouth, nose, eyes } = this.#person;
    const deep = skin.age * (0.6 + 0.4 * Math.max(0, this.#expression.smile));
    const foldX = nose.wingWidth + (mouth.halfWidth + 0.06 - nose.wingWidth) * smooth(nose.tipY, mouth.y, y);
    if (y > nose.tipY - 0.05 && y < mouth.y + 0.05) {
      out.scale(1 - 0.35 * deep * hill(((side - foldX) / 0.035) ** 2));
    }
    const forehead = hill((side / 0.5) ** 2) * hill(((y + 0.62) / 0.18) ** 2);
    const furrow = Math.sin((y + 0.62 + 0.06 * side * side) * 75);
    if (forehead > 0 && furrow > 0) out.scale(1 - 0.18 * skin.age * forehead * furrow * furrow);
    const corner = hill(((side - eyes.x - 0.25) / 0.09) ** 2 + ((y - eyes.y) / 0.1) ** 2);
    if (corner > 0) out.scale(1 - 0.2 * deep * corner * Math.max(0, Math.sin((y - eyes.y) * 90)));
  }

  #beard(x: number, y: number, out: Paint): void {
    const { skin, mouth, nose } = this.#person;
    const side = Math.abs(x);
    if (skin.beard <= 0 || y < -0.15) return;
    const edge = 0.28 + 0.3 * smooth(0.25, 0.62, side);
    const chin = smooth(mouth.y - 0.02 - edge * 0.4, mouth.y + 0.16, y + 0.6 * Math.max(0, side - 0.3));
    const lip =
      skin.moustache *
      hill((side / (mouth.halfWidth + 0.07)) ** 2) *
      smooth(nose.tipY + 0.05, nose.tipY + 0.12, y) *
      (1 - smooth(mouth.y - 0.03, mouth.y, y));
    const growth = Math.min(1, skin.beard * this.#shaving * 1.4);
    const grain = 0.75 + 0.35 * this.#noise.at(x * 34, y * 26);
    const cover = growth * growth * Math.min(1, Math.max(chin * skin.beard * 1.3, lip * 1.5)) * grain;
    out.cover(this.#beardColour, Math.max(0, Math.min(0.92, cover)));
  }

  #nostrils(x: number, y: number, out: Paint): void {
    const { nose } = this.#person;
    const dx = (Math.abs(x) - nose.wingWidth * 0.45) / (nose.wingWidth * 0.3);
    const dy = (y - nose.tipY - 0.055) / 0.028;
    out.scale(1 - 0.75 * hill((dx * dx + dy * dy) * 0.55));
    const wing = (Math.abs(x) - nose.wingWidth * 1.02) / 0.03;
    out.scale(1 - 0.2 * hill(wing * wing + ((y - nose.tipY) / 0.08) ** 2));
  }

  #brows(x: number, y: number, out: Paint): void {
    const { brows, eyes } = this.#person;
    const along = (Math.abs(x) - brows.gap - brows.halfWidth) / brows.halfWidth;
    if (along < -1.1 || along > 1.1) return;
    const centre =
      eyes.y -
      brows.above -
      this.#expression.browRaise -
      brows.slope * along * brows.halfWidth -
      brows.arch * (1 - (along - 0.25) ** 2);
    const half =
      0.5 * brows.thickness * (1 - 0.55 * smooth(0.1, 1, along)) * (1 - smooth(0.9, 1.1, Math.abs(along)));
    const cover = inside(Math.abs(y - centre) - half, this.#soft * 1.6) * brows.density;
    if (cover > 0) out.cover(this.#browColour, cover * (0.85 + 0.15 * this.#noise.at(x * 40, y * 30)));
  }

  #eye(x: number, y: number, out: Paint): void {
    const { eyes } = this.#person;
    const outward = Math.abs(x) - eyes.x;
    const along = outward / eyes.halfWidth;
    if (along < -1.3 || along > 1.3) return;
    const v = y - eyes.y + eyes.tilt * outward;
    if (v < -0.2 || v > 0.15) return;
    const soft = this.#soft;
    const open = Math.max(0.06, this.#expression.eyesOpen - 0.25 * Math.max(0, this.#expression.smile));
    const bow = Math.max(0, 1 - along * along);
    const upper = -eyes.upperLid * open * bow ** 0.75 * (1 - 0.18 * along);
    const lower = eyes.lowerLid * Math.min(1, open) * bow * (1 + 0.2 * along);
    const lidShade =
      hill((along / 1.25) ** 2) * smooth(-0.16, upper, v) * (1 - smooth(upper, upper + 0.03, v));
    out.scale(1 - 0.18 * lidShade);
    if (eyes.crease > 0) {
      const fold = Math.abs(v - upper + eyes.crease * (0.4 + 0.6 * bow)) - 0.004;
      out.scale(1 - 0.45 * inside(fold, soft * 1.5) * smooth(1.25, 0.9, Math.abs(along)));
    }
    const white = inside(Math.max(upper - v, v - lower), soft);
    if (white > 0 && along > -1 && along < 1) this.#eyeball(x, v, upper, white, out);
    const lash = inside(Math.abs(v - upper) - 0.013, soft) * smooth(1.15, 0.95, Math.abs(along));
    out.cover(LASHES, 0.85 * lash);
    const lowerLash = inside(Math.abs(v - lower) - 0.003, soft) * smooth(1.05, 0.8, Math.abs(along));
    out.cover(LASHES, 0.3 * lowerLash);
  }

  #eyeball(x: number, v: number, upper: number, white: number, out: Paint): void {
    const { eyes } = this.#person;
    const { gazeX, gazeY } = this.#expression;
    const shade = 0.55 + 0.45 * smooth(upper, upper + 0.06, v);
    out.coverScaled(EYE_WHITE, shade, white);
    const dx = x - Math.sign(x) * eyes.x - gazeX;
    const dy = v - gazeY + 0.008;
    const distance = Math.sqrt(dx * dx + dy * dy);
    const iris = white * inside(distance - eyes.irisRadius, this.#soft);
    if (iris === 0) return;
    const ring = 0.5 + 0.7 * (1 - smooth(0.4, 1, distance / eyes.irisRadius));
    out.coverScaled(eyes.irisColour, ring * shade, iris);
    out.cover(PUPIL, iris * inside(distance - eyes.irisRadius * 0.42, this.#soft));
  }

  #mouth(x: number, y: number, out: Paint): void {
    const { mouth } = this.#person;
    const { smile, mouthOpen } = this.#expression;
    const lift = Math.max(0, smile);
    const halfWidth = mouth.halfWidth * (1 + 0.2 * lift - 0.12 * mouthOpen);
    const along = Math.abs(x) / halfWidth;
    if (along > 1.15 || y < mouth.y - 0.25 || y > mouth.y + 0.4) return;
    const soft = this.#soft;
    const bow = Math.max(0, 1 - along * along);
    const line = mouth.y - (mouth.corners + 0.075 * smile) * along * along;
    const gap = (0.16 * mouthOpen + 0.05 * Math.max(0, lift - 0.35)) * bow ** 0.7;
    const dip = 1 - mouth.cupidsBow * hill((along / 0.22) ** 2) * 0.6;
    const top = line - mouth.upperLip * (1 - 0.35 * lift) * bow ** 0.6 * dip;
    const bottom = line + gap + mouth.lowerLip * (1 - 0.25 * lift) * bow ** 0.8;
    const lips = inside(Math.max(top - y, y - bottom), soft * 1.5);
    if (lips > 0) {
      out.cover(mouth.colour, lips * 0.9);
      if (gap > 0.004) this.#opening(y, line, gap, inside(Math.max(line - y, y - line - gap), soft), out);
    }
    const seam = inside(Math.abs(y - line) - 0.008, soft) * smooth(1.12, 0.98, along);
    if (gap < 0.02) out.cover(MOUTH_INSIDE, 0.75 * seam);
    out.scale(1 - 0.22 * hill(((along - 1.04) / 0.12) ** 2 + ((y - line) / 0.05) ** 2));
  }

  #opening(y: number, line: number, gap: number, cover: number, out: Paint): void {
    out.cover(MOUTH_INSIDE, cover);
    const teeth = inside(y - line - Math.min(gap * 0.7, 0.07), this.#soft);
    out.cover(TEETH, cover * teeth * 0.95);
  }
}

/** The marks of a person's skin as a map of darkening. */
function paintMarks({ skin }: Person): Float32Array {
  const map = new Float32Array(MAP_SIDE * MAP_SIDE);
  const scale = MAP_SIDE / (2 * MAP_REACH);
  for (const mark of skin.marks) {
    const atX = (mark.x + MAP_REACH) * scale;
    const atY = (mark.y + MAP_REACH) * scale;
    const radius = mark.radius * 1.6 * scale;
    for (let row = Math.max(0, Math.ceil(atY - radius)); row < Math.min(MAP_SIDE, atY + radius); row++) {
      for (
        let column = Math.max(0, Math.ceil(atX - radius));
        column < Math.min(MAP_SIDE, atX + radius);
        column++
      ) {
        const cover = hill(((column - atX) / radius) ** 2 + ((row - atY) / radius) ** 2);
        const at = row * MAP_SIDE + column;
        map[at] = map[at]! + (mark.strength - map[at]!) * cover;
      }
    }
  }
  return map;
}

const GLINT: Rgb = [0.8, 0.85, 0.9];

/**
 * Paints the glasses over a pixel.
 * @param x where the ray crosses the plane of the glasses
 * @param lit brightness of the light, for the rim
 */
export function paintGlasses(
  glasses: Glasses,
  eyes: Eyes,
  x: number,
  y: number,
  soft: number,
  lit: number,
  out: Paint,
): void {
  const { halfWidth, halfHeight, squareness, rim } = glasses;
  const side = Math.abs(x);
  const dy = y - eyes.y - 0.03;
  if (Math.abs(dy) > halfHeight + 0.1 || side > eyes.x + halfWidth + 0.1) return;
  const power = Math.abs((side - eyes.x) / halfWidth) ** squareness + Math.abs(dy / halfHeight) ** squareness;
  const distance = (power ** (1 / squareness) - 1) * halfHeight;
  const lens = inside(distance, soft);
  const glint = Math.max(0, 1 - Math.abs(side - eyes.x + dy - 0.03) / 0.04) * 0.12;
  out.cover(glasses.colour, lens * glasses.tint);
  out.cover(GLINT, lens * glint);
  const frame = inside(Math.abs(distance) - rim / 2, soft);
  const bridge = side < eyes.x - halfWidth * 0.9 ? inside(Math.abs(dy + 0.03) - rim / 2, soft) : 0;
  out.coverScaled(glasses.colour, lit, Math.max(frame, bridge));
}
