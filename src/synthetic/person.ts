/** @file The attributes of a drawn person that all photographs share: proportions, features, colours and marks. */
import type { Random } from "../base/random.ts";
import { mixRgb, type Rgb } from "./paint.ts";

/**
 * Lengths are in head units: the face is about two units high and its origin lies at the root of the nose's tip, x to
 * the viewer's right, y down, z towards the viewer. Proportions are of an adult head; every value varies around them.
 */
export interface Person {
  readonly head: HeadShape;
  readonly eyes: Eyes;
  readonly brows: Brows;
  readonly nose: Nose;
  readonly mouth: Mouth;
  readonly skin: Skin;
  readonly hair: HairStyle;
}

export interface HeadShape {
  /** Half widths of the head at the crown, the temples, the cheekbones, the corners of the jaw and the chin. */
  readonly crown: number;
  readonly temples: number;
  readonly cheekbones: number;
  readonly jaw: number;
  readonly chin: number;
  /** Lowest point of the chin. */
  readonly chinY: number;
  /** 2 is round, 5 square. */
  readonly chinSquareness: number;
  readonly depth: number;
  /** How far cheekbones, chin and brow ridge stand out. */
  readonly cheekHeight: number;
  readonly chinHeight: number;
  readonly browHeight: number;
  /** Dimple in the chin, 0 to 1. */
  readonly cleft: number;
  /** Half the height of the ears, and how far they stand off. */
  readonly earSize: number;
  readonly earSpread: number;
}

export interface Eyes {
  /** Distance of each from the middle. */
  readonly x: number;
  readonly y: number;
  readonly halfWidth: number;
  readonly upperLid: number;
  readonly lowerLid: number;
  /** Outer corner above (positive) or below the inner one, as a slope. */
  readonly tilt: number;
  /** Distance of the fold above the upper lid; 0 for none. */
  readonly crease: number;
  readonly irisRadius: number;
  readonly irisColour: Rgb;
  readonly socketDepth: number;
  /** Darkness below the eyes, 0 to 1. */
  readonly bags: number;
}

export interface Brows {
  /** Distance above the eyes. */
  readonly above: number;
  readonly halfWidth: number;
  readonly thickness: number;
  readonly arch: number;
  readonly slope: number;
  /** Distance of the inner ends from the middle. */
  readonly gap: number;
  readonly density: number;
}

export interface Nose {
  readonly bridgeWidth: number;
  readonly bridgeHeight: number;
  readonly tipWidth: number;
  readonly tipHeight: number;
  readonly tipY: number;
  readonly wingWidth: number;
  /** Sideways bend of the bridge. */
  readonly bend: number;
  /** Bump halfway down the bridge. */
  readonly hump: number;
}

export interface Mouth {
  readonly y: number;
  readonly halfWidth: number;
  readonly upperLip: number;
  readonly lowerLip: number;
  readonly cupidsBow: number;
  /** Corners up (positive) or down at rest. */
  readonly corners: number;
  readonly colour: Rgb;
}

/** A round spot on the skin. */
export interface Mark {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** Positive darkens, negative lightens (a scar). */
  readonly strength: number;
}

export interface Skin {
  readonly colour: Rgb;
  readonly marks: readonly Mark[];
  /** Wrinkles, 0 to 1. */
  readonly age: number;
  /** Redness of the cheeks, 0 to 1. */
  readonly flush: number;
  /** How much beard grows, 0 for none. */
  readonly beard: number;
  readonly moustache: number;
}

export interface HairStyle {
  readonly colour: Rgb;
  /** Height of the hairline on the forehead. */
  readonly hairline: number;
  /** How far it recedes at the temples. */
  readonly recession: number;
  /** Usual length: lowest point of the hair. */
  readonly length: number;
  readonly volume: number;
  readonly curl: number;
  /** Bald on top. */
  readonly bald: boolean;
}

/** A normal draw around a mean, limited to three deviations. */
function around(random: Random, mean: number, deviation: number): number {
  return mean + deviation * Math.max(-3, Math.min(3, random.normal()));
}

/** The lightest and darkest skin (linear light). */
const PALEST: Rgb = [0.72, 0.48, 0.38];
const TAN: Rgb = [0.42, 0.23, 0.14];
const DARKEST: Rgb = [0.09, 0.045, 0.028];

const IRIS_COLOURS: readonly Rgb[] = [
  [0.06, 0.03, 0.015],
  [0.12, 0.06, 0.025],
  [0.16, 0.13, 0.05],
  [0.1, 0.19, 0.13],
  [0.14, 0.26, 0.4],
  [0.26, 0.32, 0.36],
];

const HAIR_COLOURS: readonly Rgb[] = [
  [0.012, 0.01, 0.01],
  [0.035, 0.02, 0.012],
  [0.09, 0.045, 0.02],
  [0.2, 0.1, 0.04],
  [0.42, 0.28, 0.12],
  [0.26, 0.07, 0.025],
  [0.05, 0.03, 0.02],
  [0.02, 0.015, 0.02],
  [0.14, 0.08, 0.045],
  [0.45, 0.44, 0.42],
];

function sampleHead(random: Random): HeadShape {
  const width = around(random, 0.72, 0.042);
  return {
    crown: width * around(random, 0.93, 0.03),
    temples: width * around(random, 0.97, 0.03),
    cheekbones: width,
    jaw: width * around(random, 0.83, 0.07),
    chin: width * around(random, 0.62, 0.09),
    chinY: around(random, 0.97, 0.07),
    chinSquareness: random.between(3, 7),
    depth: around(random, 0.84, 0.04),
    cheekHeight: around(random, 0.05, 0.025),
    chinHeight: around(random, 0.07, 0.03),
    browHeight: around(random, 0.045, 0.02),
    cleft: random.chance(0.2) ? random.between(0.4, 1) : 0,
    earSize: around(random, 0.2, 0.025),
    earSpread: random.between(0.01, 0.075),
  };
}

function sampleEyes(random: Random): Eyes {
  return {
    x: around(random, 0.32, 0.028),
    y: around(random, -0.25, 0.036),
    halfWidth: around(random, 0.16, 0.017),
    upperLid: around(random, 0.072, 0.014),
    lowerLid: around(random, 0.042, 0.008),
    tilt: around(random, 0.06, 0.09),
    crease: random.chance(0.3) ? 0 : random.between(0.03, 0.075),
    irisRadius: around(random, 0.068, 0.004),
    irisColour: random.pick(IRIS_COLOURS),
    socketDepth: around(random, 0.075, 0.03),
    bags: random.uniform() ** 2,
  };
}

function sampleBrows(random: Random): Brows {
  return {
    above: around(random, 0.165, 0.03),
    halfWidth: around(random, 0.19, 0.02),
    thickness: around(random, 0.045, 0.016),
    arch: around(random, 0.035, 0.025),
    slope: around(random, 0, 0.12),
    gap: around(random, 0.12, 0.03),
    density: random.between(0.35, 0.95),
  };
}

function sampleNose(random: Random): Nose {
  return {
    bridgeWidth: around(random, 0.1, 0.016),
    bridgeHeight: around(random, 0.08, 0.035),
    tipWidth: around(random, 0.145, 0.03),
    tipHeight: around(random, 0.25, 0.05),
    tipY: around(random, 0.17, 0.06),
    wingWidth: around(random, 0.165, 0.028),
    bend: around(random, 0, 0.012),
    hump: around(random, 0, 0.025),
  };
}

function sampleMouth(random: Random, skin: Rgb): Mouth {
  const red = random.between(0.45, 1);
  return {
    y: around(random, 0.5, 0.04),
    halfWidth: around(random, 0.25, 0.036),
    upperLip: around(random, 0.06, 0.018),
    lowerLip: around(random, 0.085, 0.02),
    cupidsBow: random.between(0.1, 0.7),
    corners: around(random, 0, 0.02),
    colour: [skin[0] * (1 - 0.1 * red), skin[1] * (1 - 0.5 * red), skin[2] * (1 - 0.38 * red)],
  };
}

/** Moles and scars, which are few and distinct, and freckles, which are many and faint. */
function sampleMarks(random: Random): Mark[] {
  const marks: Mark[] = [];
  const place = () => ({ x: random.between(-0.6, 0.6), y: random.between(-0.75, 0.8) });
  for (let moles = random.integer(4); moles > 0; moles--) {
    marks.push({ ...place(), radius: random.between(0.018, 0.04), strength: random.between(0.5, 0.9) });
  }
  if (random.chance(0.15)) {
    const { x, y } = place();
    const [dx, dy] = [random.between(-0.016, 0.016), random.between(-0.016, 0.016)];
    for (let i = 0; i < 8; i++) marks.push({ x: x + i * dx, y: y + i * dy, radius: 0.022, strength: -0.35 });
  }
  const freckles = random.chance(0.25) ? 20 + random.integer(60) : 0;
  for (let i = 0; i < freckles; i++) {
    const x = around(random, 0, 0.28);
    const y = around(random, 0.05, 0.16);
    marks.push({ x, y, radius: random.between(0.01, 0.022), strength: random.between(0.15, 0.45) });
  }
  return marks;
}

function sampleSkin(random: Random, bearded: boolean): Skin {
  const tone = random.uniform() ** 1.3;
  const base = tone < 0.5 ? mixRgb(PALEST, TAN, tone * 2) : mixRgb(TAN, DARKEST, tone * 2 - 1);
  return {
    colour: [base[0], base[1] * random.between(0.92, 1.06), base[2] * random.between(0.85, 1.12)],
    marks: sampleMarks(random),
    age: random.uniform() ** 2,
    flush: random.uniform(),
    beard: bearded ? random.uniform() : 0,
    moustache: bearded ? random.uniform() : 0,
  };
}

function sampleHair(random: Random, bearded: boolean): HairStyle {
  return {
    colour: random.pick(HAIR_COLOURS),
    hairline: around(random, -0.72, 0.07),
    recession: bearded ? random.between(0, 0.3) : random.between(0, 0.1),
    length: bearded ? random.between(-0.35, 0.05) : random.between(0.1, 1.4),
    volume: random.between(0.05, 0.17),
    curl: random.uniform() ** 2,
    bald: bearded && random.chance(0.12),
  };
}

/** Draws a person from a random stream. */
export function samplePerson(random: Random): Person {
  // Beards, short hair and receding hair are correlated.
  const bearded = random.chance(0.5);
  const skin = sampleSkin(random.fork("skin"), bearded);
  return {
    skin,
    head: sampleHead(random.fork("head")),
    eyes: sampleEyes(random.fork("eyes")),
    brows: sampleBrows(random.fork("brows")),
    nose: sampleNose(random.fork("nose")),
    mouth: sampleMouth(random.fork("mouth"), skin.colour),
    hair: sampleHair(random.fork("hair"), bearded),
  };
}
