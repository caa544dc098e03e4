/** @file The attributes of a drawn person that all photographs share: proportions, features, colours and marks. */
import type { Random } from "../base/random.ts";
import { mixRgb, type Rgb } from "./paint.ts";

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

function sampleHead(random: Random) {
  const width = around(random, 0.72, 0.042);
  return {
    /** Half widths of the head at the crown, the temples, the cheekbones, the corners of the jaw and the chin. */
    crown: width * around(random, 0.93, 0.03),
    temples: width * around(random, 0.97, 0.03),
    cheekbones: width,
    jaw: width * around(random, 0.83, 0.07),
    chin: width * around(random, 0.62, 0.09),
    /** Lowest point of the chin. */
    chinY: around(random, 0.97, 0.07),
    /** 2 is round, 5 square. */
    chinSquareness: random.between(3, 7),
    depth: around(random, 0.84, 0.04),
    /** How far cheekbones, chin and brow ridge stand out. */
    cheekHeight: around(random, 0.05, 0.025),
    chinHeight: around(random, 0.07, 0.03),
    browHeight: around(random, 0.045, 0.02),
    /** Dimple in the chin, 0 to 1. */
    cleft: random.chance(0.2) ? random.between(0.4, 1) : 0,
    /** Half the height of the ears, and how far they stand off. */
    earSize: around(random, 0.2, 0.025),
    earSpread: random.between(0.01, 0.075),
  };
}

function sampleEyes(random: Random) {
  return {
    /** Distance of each from the middle. */
    x: around(random, 0.32, 0.028),
    y: around(random, -0.25, 0.036),
    halfWidth: around(random, 0.16, 0.017),
    upperLid: around(random, 0.072, 0.014),
    lowerLid: around(random, 0.042, 0.008),
    /** Outer corner above (positive) or below the inner one, as a slope. */
    tilt: around(random, 0.06, 0.09),
    /** Distance of the fold above the upper lid; 0 for none. */
    crease: random.chance(0.3) ? 0 : random.between(0.03, 0.075),
    irisRadius: around(random, 0.068, 0.004),
    irisColour: random.pick(IRIS_COLOURS),
    socketDepth: around(random, 0.075, 0.03),
    /** Darkness below the eyes, 0 to 1. */
    bags: random.uniform() ** 2,
  };
}

function sampleBrows(random: Random) {
  return {
    /** Distance above the eyes. */
    above: around(random, 0.165, 0.03),
    halfWidth: around(random, 0.19, 0.02),
    thickness: around(random, 0.045, 0.016),
    arch: around(random, 0.035, 0.025),
    slope: around(random, 0, 0.12),
    /** Distance of the inner ends from the middle. */
    gap: around(random, 0.12, 0.03),
    density: random.between(0.35, 0.95),
  };
}

function sampleNose(random: Random) {
  return {
    bridgeWidth: around(random, 0.1, 0.016),
    bridgeHeight: around(random, 0.08, 0.035),
    tipWidth: around(random, 0.145, 0.03),
    tipHeight: around(random, 0.25, 0.05),
    tipY: around(random, 0.17, 0.06),
    wingWidth: around(random, 0.165, 0.028),
    /** Sideways bend of the bridge. */
    bend: around(random, 0, 0.012),
    /** Bump halfway down the bridge. */
    hump: around(random, 0, 0.025),
  };
}

function sampleMouth(random: Random, skin: Rgb) {
  const red = random.between(0.45, 1);
  return {
    y: around(random, 0.5, 0.04),
    halfWidth: around(random, 0.25, 0.036),
    upperLip: around(random, 0.06, 0.018),
    lowerLip: around(random, 0.085, 0.02),
    cupidsBow: random.between(0.1, 0.7),
    /** Corners up (positive) or down at rest. */
    corners: around(random, 0, 0.02),
    colour: [skin[0] * (1 - 0.1 * red), skin[1] * (1 - 0.5 * red), skin[2] * (1 - 0.38 * red)] satisfies Rgb,
  };
}

/** Moles and scars, which are few and distinct, and freckles, which are many and faint. */
function sampleMarks(random: Random) {
  /** Round spots; a positive strength darkens, a negative one lightens (a scar). */
  const marks: {
    readonly x: number;
    readonly y: number;
    readonly radius: number;
    readonly strength: number;
  }[] = [];
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

function sampleSkin(random: Random, bearded: boolean) {
  const tone = random.uniform() ** 1.3;
  const base = tone < 0.5 ? mixRgb(PALEST, TAN, tone * 2) : mixRgb(TAN, DARKEST, tone * 2 - 1);
  return {
    colour: [
      base[0],
      base[1] * random.between(0.92, 1.06),
      base[2] * random.between(0.85, 1.12),
    ] satisfies Rgb,
    marks: sampleMarks(random),
    /** Wrinkles, 0 to 1. */
    age: random.uniform() ** 2,
    /** Redness of the cheeks, 0 to 1. */
    flush: random.uniform(),
    /** How much beard grows, 0 for none. */
    beard: bearded ? random.uniform() : 0,
    moustache: bearded ? random.uniform() : 0,
  };
}

function sampleHair(random: Random, bearded: boolean) {
  return {
    colour: random.pick(HAIR_COLOURS),
    /** Height of the hairline on the forehead. */
    hairline: around(random, -0.72, 0.07),
    /** How far it recedes at the temples. */
    recession: bearded ? random.between(0, 0.3) : random.between(0, 0.1),
    /** Usual length: lowest point of the hair. */
    length: bearded ? random.between(-0.35, 0.05) : random.between(0.1, 1.4),
    volume: random.between(0.05, 0.17),
    curl: random.uniform() ** 2,
    /** Bald on top. */
    bald: bearded && random.chance(0.12),
  };
}

/**
 * Draws a person from a random stream. Lengths are in head units: the face is about two units high and its origin lies at
 * the root of the nose's tip, x to the viewer's right, y down, z towards the viewer. Proportions are of an adult head;
 * every value varies around them.
 */
export function samplePerson(random: Random) {
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

export type Person = Readonly<ReturnType<typeof samplePerson>>;
export type HeadShape = Person["head"];
export type Eyes = Person["eyes"];
