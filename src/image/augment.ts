/** @file Random changes to a training image that leave the person the same. */
import type { Random } from "../base/random.ts";
import type { ImageSettings } from "./settings.ts";

/** Which changes, how likely and how strong. What is left out is not applied. */
export interface AugmentSettings {
  /** Probability of mirroring left and right, in [0, 1]. */
  readonly flip?: number;
  /** Largest shift along each axis as a share of the side, in [0, 0.5]; the border's pixels are repeated. */
  readonly shift?: number;
}

/** Mirroring every other image and shifts of up to 4 % of the side: about 4 pixels of 112. */
export const DEFAULT_AUGMENT: AugmentSettings = { flip: 0.5, shift: 0.04 };

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

/** In the order in which they happen to a photograph: where the face is, then how the camera sees it. */
const STEPS: Readonly<Record<keyof AugmentSettings, Step>> = { flip, shift };

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
