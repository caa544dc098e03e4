/** @file Random changes to a training image that leave the person the same. */
import type { Random } from "../base/random.ts";
import { addNoise, blur, coarsen, compress, coverPart, relight } from "./camera.ts";
import type { ImageSettings } from "./settings.ts";
import { warpImage } from "./warp.ts";

/** Which changes, how likely and how strong. What is left out is not applied. */
export interface AugmentSettings {
  /** Probability of mirroring left and right, in [0, 1]. */
  readonly flip?: number;
  /** Largest shift along each axis as a share of the side, in [0, 0.5]; the border's pixels are repeated. */
  readonly shift?: number;
  /** Turning, zooming, stretching and shifting in one move. */
  readonly warp?: {
    readonly chance: number;
    /** Largest shift, zoom and change of aspect, as shares; largest angle, in degrees. */
    readonly shift: number;
    readonly zoom: number;
    readonly stretch: number;
    readonly turn: number;
  };
  /** Brightness, contrast and saturation by factors up to `1 ± range`. */
  readonly light?: { readonly chance: number; readonly range: number };
  /** Probabilities, in [0, 1]: without colour, from afar, out of focus or moved, noisy, compressed, partly covered. */
  readonly grey?: number;
  readonly coarse?: number;
  readonly blur?: number;
  readonly noise?: number;
  readonly jpeg?: number;
  readonly cutout?: number;
}

/** Mirroring every other image and shifts of up to 4 % of the side: about 4 pixels of 112. */
export const LIGHT_AUGMENT: AugmentSettings = { flip: 0.5, shift: 0.04 };

/**
 * Everything that may happen to a photograph. The probabilities of appearance follow DigiFace-1M's (Bae et al., 2023, §4.2)
 * in kind, several times as often: a few thousand real photographs repeat more than a million drawn ones.
 */
export const STRONG_AUGMENT: AugmentSettings = {
  flip: 0.5,
  warp: { chance: 0.9, shift: 0.03, zoom: 0.08, turn: 8, stretch: 0.05 },
  light: { chance: 0.5, range: 0.35 },
  grey: 0.08,
  coarse: 0.1,
  blur: 0.1,
  noise: 0.05,
  jpeg: 0.05,
  cutout: 0.3,
};

/**
 * One kind of change. It draws from a stream of its own, so that a new kind leaves the others' draws as they were, and
 * returns the pixels it was given when there is nothing to do.
 */
type Step = (
  pixels: Uint8Array,
  settings: ImageSettings,
  augment: AugmentSettings,
  random: Random,
) => Uint8Array;

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

const flip: Step = (pixels, settings, augment, random) => {
  if (!random.chance(augment.flip ?? 0)) return pixels;
  return remap(
    pixels,
    settings,
    (column) => settings.width - 1 - column,
    (row) => row,
  );
};

const shift: Step = (pixels, settings, augment, random) => {
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

const warp: Step = (pixels, settings, { warp: limits }, random) => {
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

/** A change that happens with a probability, to a copy of the picture. */
const sometimes =
  (
    chanceOf: (augment: AugmentSettings) => number | undefined,
    change: (copy: Uint8Array, settings: ImageSettings, random: Random, augment: AugmentSettings) => void,
  ): Step =>
  (pixels, settings, augment, random) => {
    if (!random.chance(chanceOf(augment) ?? 0)) return pixels;
    const copy = pixels.slice();
    change(copy, settings, random, augment);
    return copy;
  };

const light = sometimes(
  (augment) => augment.light?.chance,
  (copy, _, random, augment) => {
    const factor = () => 1 + random.between(-augment.light!.range, augment.light!.range);
    relight(copy, { brightness: factor(), contrast: factor(), saturation: factor() });
  },
);

const grey = sometimes(
  (augment) => augment.grey,
  (copy) => relight(copy, { brightness: 1, contrast: 1, saturation: 0 }),
);

const coarse = sometimes(
  (augment) => augment.coarse,
  (copy, settings, random) => coarsen(copy, settings, random.between(0.25, 0.7)),
);

/** Passes of the softening kernel: 6 of them have a standard deviation of 1.7 pixels. */
const MOST_BLUR = 6;

const softened = sometimes(
  (augment) => augment.blur,
  (copy, settings, random) =>
    blur(copy, settings, random.integer(MOST_BLUR + 1), random.integer(MOST_BLUR + 1)),
);

const noise = sometimes(
  (augment) => augment.noise,
  (copy, _, random) => addNoise(copy, random.between(2, 12), random),
);

const jpeg = sometimes(
  (augment) => augment.jpeg,
  (copy, settings, random) => compress(copy, settings, random.between(25, 75)),
);

const cutout = sometimes(
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

/** In the order in which they happen to a photograph: where the face is, how the camera sees it, what the file keeps. */
const STEPS: Readonly<Record<keyof AugmentSettings, Step>> = {
  flip,
  shift,
  warp,
  cutout,
  light,
  grey,
  blur: softened,
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
