/** @file Random changes of training images that keep the person recognisable. */
import type { Random } from "../base/random.ts";
import type { AugmentSettings, Range } from "./augment-settings.ts";
import {
  addNoise,
  blacken,
  blur,
  coarsen,
  compress,
  coverPart,
  relight,
  smearAlong,
  turnHues,
} from "./camera.ts";
import type { ImageSettings } from "./settings.ts";
import { projectImage, warpImage } from "./warp.ts";

/**
 * One kind of change. It draws from a stream of its own, so that a new kind leaves the others' draws as they were, and
 * returns the pixels it was given when there is nothing to do.
 */
export type Step = (
  pixels: Uint8Array,
  settings: ImageSettings,
  augment: AugmentSettings,
  random: Random,
) => Uint8Array;

/** A change that happens with a probability, to a copy of the picture. */
export const sometimes =
  (
    chanceOf: (augment: AugmentSettings) => number | undefined,
    change: (copy: Uint8Array, settings: ImageSettings, random: Random, augment: AugmentSettings) => void,
  ): Step =>
  (pixels, settings, augment, random) => {
    if (!random.chance(chanceOf(augment) ?? 0)) return pixels;
    // Not slice(): decoded pictures are Buffers, whose slices are views of the same bytes.
    const copy = new Uint8Array(pixels);
    change(copy, settings, random, augment);
    return copy;
  };

/** Copies pixels from wherever `sourceColumn` and `sourceRow` say. */
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

export const flip: Step = (pixels, settings, augment, random) => {
  if (!random.chance(augment.flip ?? 0)) return pixels;
  return remap(
    pixels,
    settings,
    (column) => settings.width - 1 - column,
    (row) => row,
  );
};

export const shift: Step = (pixels, settings, augment, random) => {
  const share = augment.shift ?? 0;
  const draw = (side: number) => Math.round(random.between(-share, share) * side);
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

export const warp: Step = (pixels, settings, { warp: limits }, random) => {
  if (limits === undefined || !random.chance(limits.chance)) return pixels;
  const within = (limit: number) => random.between(-limit, limit);
  return warpImage(pixels, settings, {
    angle: (within(limits.turn) * Math.PI) / 180,
    zoom: 1 + within(limits.zoom),
    aspect: 1 + within(limits.stretch),
    right: within(limits.shift) * settings.width,
    down: within(limits.shift) * settings.height,
  });
};

/** Sides of the part that AdaFace's crop keeps, for a share of the area and a proportion of the sides. */
const CROP = { area: [0.2, 1], proportion: [3 / 4, 4 / 3] } as const;

export const crop = sometimes(
  (augment) => augment.crop,
  (copy, settings, random) => {
    const { height, width } = settings;
    const area = random.between(...CROP.area) * height * width;
    const proportion = Math.exp(random.between(Math.log(CROP.proportion[0]), Math.log(CROP.proportion[1])));
    const wide = Math.min(width, Math.round(Math.sqrt(area * proportion)));
    const high = Math.min(height, Math.round(Math.sqrt(area / proportion)));
    const left = random.integer(width - wide + 1);
    const top = random.integer(height - high + 1);
    blacken(copy, settings, { left, top, right: left + wide, bottom: top + high });
  },
);

export const project: Step = (pixels, settings, { project: limits }, random) => {
  if (limits === undefined) return pixels;
  const within = (limit: number) => random.between(-limit, limit);
  const { height, width } = settings;
  const aspect = random.chance(limits.aspect.chance) ? 1 + within(limits.aspect.range) : 1;
  const move = {
    angle: (within(limits.turn) * Math.PI) / 180,
    zoom: 1 + within(limits.zoom),
    aspect,
    right: within(limits.shift) * width,
    down: within(limits.shift) * height,
  };
  const corners = Array.from({ length: 4 }, () => ({
    right: within(limits.corner) * width,
    down: within(limits.corner) * height,
  }));
  return projectImage(pixels, settings, move, corners);
};

export const cutout = sometimes(
  (augment) => augment.cutout,
  (copy, settings, random) => {
    const { height, width } = settings;
    const high = Math.round(height * random.between(0.1, 0.3));
    const wide = Math.round(width * random.between(0.1, 0.3));
    // Around the middle, where the face is.
    const top = Math.round(random.between(0.15, 0.85) * height - high / 2);
    const left = Math.round(random.between(0.15, 0.85) * width - wide / 2);
    const part = {
      left: Math.max(0, left),
      top: Math.max(0, top),
      right: Math.min(width, left + wide),
      bottom: Math.min(height, top + high),
    };
    coverPart(copy, settings, part, random.integer(256));
  },
);

export const light = sometimes(
  (augment) => augment.light?.chance,
  (copy, _, random, augment) => {
    const factor = () => 1 + random.between(-augment.light!.range, augment.light!.range);
    relight(copy, { brightness: factor(), contrast: factor(), saturation: factor() });
  },
);

/** As often as any of its parts happens. */
export const colour: Step = (pixels, _, { colour: ranges }, random) => {
  if (ranges === undefined) return pixels;
  const draw = ({ chance, range }: Range) => {
    const value = random.between(-range, range);
    return random.chance(chance) ? value : 0;
  };
  const [brightness, contrast, saturation, hue] = [
    draw(ranges.brightness),
    draw(ranges.contrast),
    draw(ranges.saturation),
    draw(ranges.hue),
  ];
  if (brightness === 0 && contrast === 0 && saturation === 0 && hue === 0) return pixels;
  const copy = new Uint8Array(pixels);
  if (hue !== 0) turnHues(copy, hue);
  relight(copy, { brightness: 1 + brightness, contrast: 1 + contrast, saturation: 1 + saturation });
  return copy;
};

export const grey = sometimes(
  (augment) => augment.grey,
  (copy) => relight(copy, { brightness: 1, contrast: 1, saturation: 0 }),
);

export const coarse = sometimes(
  (augment) => augment.coarse,
  (copy, settings, random) => coarsen(copy, settings, random.between(0.25, 0.7)),
);

/** Passes of the softening kernel: 6 of them have a standard deviation of 1.7 pixels. */
const MOST_BLUR = 6;

export const softened = sometimes(
  (augment) => augment.blur,
  (copy, settings, random) =>
    blur(copy, settings, random.integer(MOST_BLUR + 1), random.integer(MOST_BLUR + 1)),
);

export const noise = sometimes(
  (augment) => augment.noise,
  (copy, _, random) => addNoise(copy, random.between(2, 12), random),
);

export const jpeg = sometimes(
  (augment) => augment.jpeg,
  (copy, settings, random) => compress(copy, settings, random.between(25, 75)),
);

/** Passes of the softening kernel, at least one, for blur alike in all directions. */
export const soft = sometimes(
  (augment) => augment.soft,
  (copy, settings, random) => {
    const passes = 1 + random.integer(MOST_BLUR);
    blur(copy, settings, passes, passes);
  },
);

/** Longest way of the camera, as a share of the side. */
const LONGEST_WAY = 0.08;

export const motion = sometimes(
  (augment) => augment.motion,
  (copy, settings, random) =>
    smearAlong(
      copy,
      settings,
      random.between(0, Math.PI),
      random.between(0.02, LONGEST_WAY) * settings.width,
    ),
);

/** In the order in which they happen to a photograph: where the face is, how the camera sees it, what the file keeps. */
const STEPS: Readonly<Record<keyof AugmentSettings, Step>> = {
  flip,
  crop,
  shift,
  warp,
  project,
  cutout,
  light,
  colour,
  grey,
  blur: softened,
  soft,
  motion,
  coarse,
  noise,
  jpeg,
};

/**
 * Changes an image at random: the same stream gives the same change.
 * @param pixels eight-bit RGB `[height, width, 3]`; not modified
 * @param random a stream of this image's own, for instance `new Random(seed).fork(epoch, position)`
 * @returns pixels of the same size; `pixels` itself when nothing was to be changed
 */
export function augmentImage(
  pixels: Uint8Array,
  settings: ImageSettings,
  augment: AugmentSettings,
  random: Random,
): Uint8Array {
  let changed = pixels;
  for (const [name, step] of Object.entries(STEPS)) {
    changed = step(changed, settings, augment, random.fork(name));
  }
  return changed;
}
