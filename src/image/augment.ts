/** @file Random changes to a training image that leave the person the same. */
import type { Random } from "../base/random.ts";
import { coarse, colour, grey, jpeg, light, motion, noise, soft, softened } from "./augment-look.ts";
import { crop, cutout, flip, project, shift, warp } from "./augment-place.ts";
import type { AugmentSettings } from "./augment-settings.ts";
import type { Step } from "./augment-step.ts";
import type { ImageSettings } from "./settings.ts";

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
