/** @file What a random change to a training image is. */
import type { Random } from "../base/random.ts";
import type { AugmentSettings } from "./augment-settings.ts";
import type { ImageSettings } from "./settings.ts";

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
