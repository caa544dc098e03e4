/** @file What differs between photographs of one person: pose, expression, light, hair, glasses, surroundings, camera. */
import type { Random } from "../base/random.ts";
import type { Rgb } from "./paint.ts";

export interface Pose {
  /** Turn to the side, nod and tilt, in radians. */
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
  /** Position of the head's origin in the image, in half sides from the centre. */
  readonly shiftX: number;
  readonly shiftY: number;
  /** Head units from the centre of the image to its border. */
  readonly reach: number;
}

export interface Expression {
  /** Corners of the mouth: 1 is a broad smile, below 0 they point down. */
  readonly smile: number;
  /** 0 closed, 1 wide open. */
  readonly mouthOpen: number;
  /** 0 closed, 1 normal. */
  readonly eyesOpen: number;
  /** Brows raised (positive) or lowered, in head units. */
  readonly browRaise: number;
  readonly gazeX: number;
  readonly gazeY: number;
}

export interface Light {
  /** Towards the light, unit length; x right, y down, z towards the camera. */
  readonly direction: readonly [number, number, number];
  readonly colour: Rgb;
  /** Ambient light. */
  readonly ambient: Rgb;
  /** Specular reflection of the skin. */
  readonly gloss: number;
}

/** Variation of the hair. */
export interface HairVariation {
  /** Added to the person's length. */
  readonly longer: number;
  /** Length of the fringe on the forehead. */
  readonly fringe: number;
  /** Side of the parting, -1 to 1. */
  readonly parting: number;
  readonly fuller: number;
  readonly seed: number;
  /** Growth of the beard, as a factor. */
  readonly shaving: number;
}

export interface Glasses {
  readonly halfWidth: number;
  readonly halfHeight: number;
  readonly rim: number;
  /** 2 is round, 6 rectangular. */
  readonly squareness: number;
  readonly colour: Rgb;
  /** Darkness of the lenses, 0 to 1. */
  readonly tint: number;
}

export interface Camera {
  /** Brightness and colour balance of the image. */
  readonly gain: Rgb;
  /** Above 1 deepens shadows. */
  readonly contrast: number;
  /** Standard deviation of defocus, as a fraction of the side. */
  readonly blur: number;
  /** Standard deviation of the sensor's noise, as a fraction of full intensity. */
  readonly noise: number;
  /** JPEG quality, 1 to 100. */
  readonly quality: number;
  readonly seed: number;
}

export interface Surroundings {
  readonly seed: number;
  readonly top: Rgb;
  readonly bottom: Rgb;
  readonly clothes: Rgb;
  /** Height and depth of the collar. */
  readonly collar: number;
  readonly neckline: number;
}

/** The circumstances of one photograph. */
export interface Circumstances {
  readonly pose: Pose;
  readonly expression: Expression;
  readonly light: Light;
  readonly hair: HairVariation;
  readonly glasses: Glasses | undefined;
  readonly surroundings: Surroundings;
  readonly camera: Camera;
}

const DEGREE = Math.PI / 180;

/** A normal draw with the given standard deviation, limited to 2.5 deviations. */
function spread(random: Random, deviation: number): number {
  return deviation * Math.max(-2.5, Math.min(2.5, random.normal()));
}

/** A random colour; low saturation is more likely than high. */
function anyColour(random: Random, brightest: number): Rgb {
  const grey = random.uniform() ** 1.5;
  const vivid = random.uniform() ** 1.5;
  const channel = () => brightest * (grey + (random.uniform() ** 2 - grey) * vivid);
  return [channel(), channel(), channel()];
}

function samplePose(random: Random, difficulty: number): Pose {
  return {
    yaw: spread(random, 9 * DEGREE * difficulty),
    pitch: spread(random, 4.5 * DEGREE * difficulty),
    roll: spread(random, 3 * DEGREE * difficulty),
    shiftX: spread(random, 0.018 * difficulty),
    shiftY: spread(random, 0.018 * difficulty) - 0.04,
    reach: 1.12 * (1 + spread(random, 0.018 * difficulty)),
  };
}

function sampleExpression(random: Random, difficulty: number): Expression {
  return {
    smile: (random.chance(0.5) ? random.uniform() : spread(random, 0.25)) * Math.min(1, 0.7 * difficulty),
    mouthOpen: random.chance(0.25 * difficulty) ? random.uniform() ** 1.5 : 0,
    eyesOpen: 1 + spread(random, 0.08 * difficulty) - (random.chance(0.03 * difficulty) ? 0.8 : 0),
    browRaise: spread(random, 0.014 * difficulty),
    gazeX: spread(random, 0.018 * difficulty),
    gazeY: spread(random, 0.007 * difficulty),
  };
}

function sampleLight(random: Random, difficulty: number): Light {
  const across = spread(random, 0.42 * difficulty);
  const above = 0.45 + spread(random, 0.2 * difficulty);
  const length = Math.hypot(across, above, 1);
  const warmth = spread(random, 0.08 * difficulty);
  const strength = 0.85 + spread(random, 0.08 * difficulty);
  const fill = random.between(0.22, 0.5);
  return {
    direction: [across / length, -above / length, 1 / length],
    colour: [strength * (1 + warmth), strength, strength * (1 - warmth)],
    ambient: [fill * (1 - warmth / 2), fill, fill * (1 + warmth / 2)],
    gloss: random.between(0.02, 0.14),
  };
}

function sampleHairVariation(random: Random, difficulty: number): HairVariation {
  return {
    longer: spread(random, 0.08 * difficulty) - (random.chance(0.07 * difficulty) ? 0.5 : 0),
    fringe: random.chance(0.18 * difficulty) ? random.between(0, 0.28) : 0,
    parting: 0.7 * random.between(-1, 1) * Math.min(1.4, difficulty),
    fuller: spread(random, 0.015 * difficulty),
    seed: random.integer(1 << 20),
    shaving: 1 - random.uniform() * Math.min(1, 0.6 * difficulty),
  };
}

function sampleGlasses(random: Random, difficulty: number): Glasses | undefined {
  if (!random.chance(0.13 * difficulty)) return undefined;
  return {
    halfWidth: random.between(0.19, 0.24),
    halfHeight: random.between(0.12, 0.19),
    rim: random.between(0.012, 0.035),
    squareness: random.between(2, 5),
    colour: random.chance(0.6) ? [0.02, 0.02, 0.025] : anyColour(random, 0.6),
    tint: random.chance(0.12) ? random.between(0.5, 0.95) : random.between(0, 0.1),
  };
}

function sampleCamera(random: Random, difficulty: number): Camera {
  const exposure = 2 ** spread(random, 0.25 * difficulty);
  const balance = () => exposure * 2 ** spread(random, 0.07 * difficulty);
  return {
    gain: [balance(), balance(), balance()],
    contrast: 1 + spread(random, 0.06 * difficulty),
    blur: random.uniform() ** 2 * 0.007 * difficulty,
    noise: random.uniform() ** 2 * 0.021 * difficulty,
    quality: Math.round(95 - random.uniform() ** 1.5 * 45 * Math.min(1.4, difficulty)),
    seed: random.uint32(),
  };
}

function sampleSurroundings(random: Random): Surroundings {
  return {
    seed: random.integer(1 << 20),
    top: anyColour(random, 0.9),
    bottom: anyColour(random, 0.7),
    clothes: anyColour(random, 0.7),
    collar: random.between(1.02, 1.3),
    neckline: random.between(0, 0.5),
  };
}

/**
 * Draws the circumstances of one photograph.
 * @param difficulty 0 for passport photographs without variation, 1 for the default, up to 2
 */
export function sampleCircumstances(random: Random, difficulty: number): Circumstances {
  return {
    pose: samplePose(random.fork("pose"), difficulty),
    expression: sampleExpression(random.fork("expression"), difficulty),
    light: sampleLight(random.fork("light"), difficulty),
    hair: sampleHairVariation(random.fork("hair"), difficulty),
    glasses: sampleGlasses(random.fork("glasses"), difficulty),
    surroundings: sampleSurroundings(random.fork("surroundings")),
    camera: sampleCamera(random.fork("camera"), difficulty),
  };
}
