/** @file What differs between photographs of one person: pose, expression, light, hair, glasses, surroundings, camera. */
import type { Random } from "../base/random.ts";
import type { Rgb } from "./paint.ts";

const DEGREE = Math.PI / 180;
const DARK_RIM: Rgb = [0.02, 0.02, 0.025];

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

function samplePose(random: Random, difficulty: number) {
  return {
    /** Turn to the side, nod and tilt, in radians. */
    yaw: spread(random, 9 * DEGREE * difficulty),
    pitch: spread(random, 4.5 * DEGREE * difficulty),
    roll: spread(random, 3 * DEGREE * difficulty),
    /** Position of the head's origin in the image, in half sides from the centre. */
    shiftX: spread(random, 0.018 * difficulty),
    shiftY: spread(random, 0.018 * difficulty) - 0.04,
    /** Head units from the centre of the image to its border. */
    reach: 1.12 * (1 + spread(random, 0.018 * difficulty)),
  };
}

function sampleExpression(random: Random, difficulty: number) {
  return {
    /** Corners of the mouth: 1 is a broad smile, below 0 they point down. */
    smile: (random.chance(0.5) ? random.uniform() : spread(random, 0.25)) * Math.min(1, 0.7 * difficulty),
    /** 0 closed, 1 wide open. */
    mouthOpen: random.chance(0.25 * difficulty) ? random.uniform() ** 1.5 : 0,
    /** 0 closed, 1 normal. */
    eyesOpen: 1 + spread(random, 0.08 * difficulty) - (random.chance(0.03 * difficulty) ? 0.8 : 0),
    /** Brows raised (positive) or lowered, in head units. */
    browRaise: spread(random, 0.014 * difficulty),
    gazeX: spread(random, 0.018 * difficulty),
    gazeY: spread(random, 0.007 * difficulty),
  };
}

function sampleLight(random: Random, difficulty: number) {
  const across = spread(random, 0.42 * difficulty);
  const above = 0.45 + spread(random, 0.2 * difficulty);
  const length = Math.hypot(across, above, 1);
  const warmth = spread(random, 0.08 * difficulty);
  const strength = 0.85 + spread(random, 0.08 * difficulty);
  const fill = random.between(0.22, 0.5);
  return {
    /** Towards the light, unit length; x right, y down, z towards the camera. */
    direction: [across / length, -above / length, 1 / length] satisfies [number, number, number],
    colour: [strength * (1 + warmth), strength, strength * (1 - warmth)] satisfies Rgb,
    /** Ambient light. */
    ambient: [fill * (1 - warmth / 2), fill, fill * (1 + warmth / 2)] satisfies Rgb,
    /** Specular reflection of the skin. */
    gloss: random.between(0.02, 0.14),
  };
}

function sampleHairVariation(random: Random, difficulty: number) {
  return {
    /** Added to the person's length. */
    longer: spread(random, 0.08 * difficulty) - (random.chance(0.07 * difficulty) ? 0.5 : 0),
    /** Length of the fringe on the forehead. */
    fringe: random.chance(0.18 * difficulty) ? random.between(0, 0.28) : 0,
    /** Side of the parting, -1 to 1. */
    parting: 0.7 * random.between(-1, 1) * Math.min(1.4, difficulty),
    fuller: spread(random, 0.015 * difficulty),
    seed: random.integer(1 << 20),
    /** Growth of the beard, as a factor. */
    shaving: 1 - random.uniform() * Math.min(1, 0.6 * difficulty),
  };
}

function sampleGlasses(random: Random, difficulty: number) {
  if (!random.chance(0.13 * difficulty)) return undefined;
  return {
    halfWidth: random.between(0.19, 0.24),
    halfHeight: random.between(0.12, 0.19),
    rim: random.between(0.012, 0.035),
    /** 2 is round, 6 rectangular. */
    squareness: random.between(2, 5),
    colour: random.chance(0.6) ? DARK_RIM : anyColour(random, 0.6),
    /** Darkness of the lenses, 0 to 1. */
    tint: random.chance(0.12) ? random.between(0.5, 0.95) : random.between(0, 0.1),
  };
}

function sampleCamera(random: Random, difficulty: number) {
  const exposure = 2 ** spread(random, 0.25 * difficulty);
  const balance = () => exposure * 2 ** spread(random, 0.07 * difficulty);
  return {
    /** Brightness and colour balance of the image. */
    gain: [balance(), balance(), balance()] satisfies Rgb,
    /** Above 1 deepens shadows. */
    contrast: 1 + spread(random, 0.06 * difficulty),
    /** Standard deviation of defocus, as a fraction of the side. */
    blur: random.uniform() ** 2 * 0.007 * difficulty,
    /** Standard deviation of the sensor's noise, as a fraction of full intensity. */
    noise: random.uniform() ** 2 * 0.021 * difficulty,
    /** JPEG quality, 1 to 100. */
    quality: Math.round(95 - random.uniform() ** 1.5 * 45 * Math.min(1.4, difficulty)),
    seed: random.uint32(),
  };
}

function sampleSurroundings(random: Random) {
  return {
    seed: random.integer(1 << 20),
    top: anyColour(random, 0.9),
    bottom: anyColour(random, 0.7),
    clothes: anyColour(random, 0.7),
    /** Height and depth of the collar. */
    collar: random.between(1.02, 1.3),
    neckline: random.between(0, 0.5),
  };
}

/**
 * Draws the circumstances of one photograph.
 * @param difficulty 0 for passport photographs without variation, 1 for the default, up to 2
 */
export function sampleCircumstances(random: Random, difficulty: number) {
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

/** The circumstances of one photograph. */
export type Circumstances = Readonly<ReturnType<typeof sampleCircumstances>>;
export type Pose = Circumstances["pose"];
export type Expression = Circumstances["expression"];
export type Light = Circumstances["light"];
export type HairVariation = Circumstances["hair"];
export type Glasses = NonNullable<Circumstances["glasses"]>;
export type Camera = Circumstances["camera"];
export type Surroundings = Circumstances["surroundings"];
