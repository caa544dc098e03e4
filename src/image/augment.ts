/** @file Random changes of training images that leave the person recognisable. */
import type { Random } from "../base/random.ts";
import type { AugmentSettings, ChanceRange } from "./augment-settings.ts";
import { addNoise, blacken, blur, coarsen, coverPart, relight, smearAlong, turnHues } from "./camera.ts";
import { loseAsJpeg } from "./jpeg-loss.ts";
import type { ImageSettings } from "./settings.ts";
import { type Move, projectImage, warpImage } from "./warp.ts";

/** One kind of change. It returns the pixels it was given when there is nothing to do. */
type Step = (
  pixels: Uint8Array,
  settings: ImageSettings,
  augment: AugmentSettings,
  random: Random,
) => Uint8Array;

type ChanceName = {
  [K in keyof AugmentSettings]-?: AugmentSettings[K] extends number | undefined ? K : never;
}[keyof AugmentSettings];

/** A change that happens with the probability of its setting, to a copy of the image. */
const sometimes =
  (name: ChanceName, change: (copy: Uint8Array, settings: ImageSettings, random: Random) => void): Step =>
  (pixels, settings, augment, random) => {
    if (!random.chance(augment[name] ?? 0)) return pixels;
    // Not slice(): decoded pixels are Buffers, whose slices share memory.
    const copy = new Uint8Array(pixels);
    change(copy, settings, random);
    return copy;
  };

/** Copies each pixel from the given column and row. */
function remap(
  pixels: Uint8Array,
  { height, width, channels }: ImageSettings,
  sourceColumn: (column: number) => number,
  sourceRow: (row: number) => number,
): Uint8Array {
  const offsets = Int32Array.from({ length: width }, (_, column) => sourceColumn(column) * channels);
  const out = new Uint8Array(pixels.length);
  let at = 0;
  for (let row = 0; row < height; row++) {
    const start = sourceRow(row) * width * channels;
    for (const offset of offsets) {
      const from = start + offset;
      out[at++] = pixels[from]!;
      out[at++] = pixels[from + 1]!;
      out[at++] = pixels[from + 2]!;
    }
  }
  return out;
}

const mirrored = (pixels: Uint8Array, settings: ImageSettings) =>
  remap(
    pixels,
    settings,
    (column) => settings.width - 1 - column,
    (row) => row,
  );

const shift: Step = (pixels, settings, { shift: limit = 0 }, random) => {
  const draw = (side: number) => Math.round(random.between(-limit, limit) * side);
  const right = draw(settings.width);
  const down = draw(settings.height);
  if (right === 0 && down === 0) return pixels;
  const within = (position: number, side: number) => Math.min(side - 1, Math.max(0, position));
  return remap(
    pixels,
    settings,
    (column) => within(column - right, settings.width),
    (row) => within(row - down, settings.height),
  );
};

type Within = (limit: number) => number;
const drawWithin =
  (random: Random): Within =>
  (limit) =>
    random.between(-limit, limit);

function drawMove(
  limits: { readonly turn: number; readonly zoom: number; readonly shift: number },
  { height, width }: ImageSettings,
  within: Within,
  drawAspect: () => number,
): Move {
  return {
    angle: (within(limits.turn) * Math.PI) / 180,
    zoom: 1 + within(limits.zoom),
    aspect: drawAspect(),
    right: within(limits.shift) * width,
    down: within(limits.shift) * height,
  };
}

const warp: Step = (pixels, settings, { warp: limits }, random) => {
  if (limits === undefined || !random.chance(limits.chance)) return pixels;
  const within = drawWithin(random);
  const move = drawMove(limits, settings, within, () => 1 + within(limits.stretch));
  return warpImage(pixels, settings, move);
};

const project: Step = (pixels, settings, { project: limits }, random) => {
  if (limits === undefined) return pixels;
  const within = drawWithin(random);
  const aspect = random.chance(limits.aspect.chance) ? 1 + within(limits.aspect.range) : 1;
  const move = drawMove(limits, settings, within, () => aspect);
  const corners = Array.from({ length: 4 }, () => ({
    right: within(limits.corner) * settings.width,
    down: within(limits.corner) * settings.height,
  }));
  return projectImage(pixels, settings, move, corners);
};

/** Range of the part that AdaFace's crop keeps: fraction of the area, and width by height. */
const CROP = { area: [0.2, 1], proportion: [3 / 4, 4 / 3] } as const;

function keepPart(copy: Uint8Array, settings: ImageSettings, random: Random): void {
  const { height, width } = settings;
  const area = random.between(...CROP.area) * height * width;
  const proportion = Math.exp(random.between(Math.log(CROP.proportion[0]), Math.log(CROP.proportion[1])));
  const wide = Math.min(width, Math.round(Math.sqrt(area * proportion)));
  const high = Math.min(height, Math.round(Math.sqrt(area / proportion)));
  const left = random.integer(width - wide + 1);
  const top = random.integer(height - high + 1);
  blacken(copy, settings, { left, top, right: left + wide, bottom: top + high });
}

function cutOut(copy: Uint8Array, settings: ImageSettings, random: Random): void {
  const { height, width } = settings;
  const high = Math.round(height * random.between(0.1, 0.3));
  const wide = Math.round(width * random.between(0.1, 0.3));
  // Near the middle, where the face is.
  const top = Math.round(random.between(0.15, 0.85) * height - high / 2);
  const left = Math.round(random.between(0.15, 0.85) * width - wide / 2);
  const part = {
    left: Math.max(0, left),
    top: Math.max(0, top),
    right: Math.min(width, left + wide),
    bottom: Math.min(height, top + high),
  };
  coverPart(copy, settings, part, random.integer(256));
}

const light: Step = (pixels, _, { light: limits }, random) => {
  if (!random.chance(limits?.chance ?? 0)) return pixels;
  const copy = new Uint8Array(pixels);
  const factor = () => 1 + random.between(-limits!.range, limits!.range);
  relight(copy, { brightness: factor(), contrast: factor(), saturation: factor() });
  return copy;
};

const colour: Step = (pixels, _, { colour: ranges }, random) => {
  if (ranges === undefined) return pixels;
  const draw = ({ chance, range }: ChanceRange) => {
    const value = random.between(-range, range);
    return random.chance(chance) ? value : 0;
  };
  const brightness = draw(ranges.brightness);
  const contrast = draw(ranges.contrast);
  const saturation = draw(ranges.saturation);
  const hue = draw(ranges.hue);
  if (brightness === 0 && contrast === 0 && saturation === 0 && hue === 0) return pixels;
  const copy = new Uint8Array(pixels);
  if (hue !== 0) turnHues(copy, hue);
  relight(copy, { brightness: 1 + brightness, contrast: 1 + contrast, saturation: 1 + saturation });
  return copy;
};

/** Most passes of the blur kernel: 6 of them have a standard deviation of 1.7 pixels. */
const MAX_BLUR = 6;

/** In the order in which they happen to a photograph: place of the face, camera, file. */
const STEPS: Readonly<Record<keyof AugmentSettings, Step>> = {
  flip: (pixels, settings, { flip = 0 }, random) =>
    random.chance(flip) ? mirrored(pixels, settings) : pixels,
  crop: sometimes("crop", keepPart),
  shift,
  warp,
  project,
  cutout: sometimes("cutout", cutOut),
  light,
  colour,
  grey: sometimes("grey", (copy) => relight(copy, { brightness: 1, contrast: 1, saturation: 0 })),
  blur: sometimes("blur", (copy, settings, random) =>
    blur(copy, settings, random.integer(MAX_BLUR + 1), random.integer(MAX_BLUR + 1)),
  ),
  soft: sometimes("soft", (copy, settings, random) => {
    const passes = 1 + random.integer(MAX_BLUR);
    blur(copy, settings, passes, passes);
  }),
  motion: sometimes("motion", (copy, settings, random) =>
    smearAlong(copy, settings, random.between(0, Math.PI), random.between(0.02, 0.08) * settings.width),
  ),
  coarse: sometimes("coarse", (copy, settings, random) => coarsen(copy, settings, random.between(0.25, 0.7))),
  noise: sometimes("noise", (copy, _, random) => addNoise(copy, random.between(2, 12), random)),
  jpeg: sometimes("jpeg", (copy, { width, height }, random) =>
    loseAsJpeg(copy, width, height, random.between(25, 75)),
  ),
};

/**
 * Changes an image at random; the same stream gives the same change.
 * @param pixels eight-bit RGB `[height, width, 3]`; not modified.
 * @param random a stream for this image alone, for instance `new Random(seed).fork(epoch, position)`.
 * @returns pixels of the same size; `pixels` itself when nothing was changed.
 */
export function augmentImage(
  pixels: Uint8Array,
  settings: ImageSettings,
  augment: AugmentSettings,
  random: Random,
): Uint8Array {
  let changed = pixels;
  // Each step has a stream of its own, so a new step does not change what the others draw.
  for (const [name, step] of Object.entries(STEPS)) {
    changed = step(changed, settings, augment, random.fork(name));
  }
  return changed;
}
