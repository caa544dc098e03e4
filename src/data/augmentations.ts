/** @file How strongly training images are changed, by the names that a run is told. */
import { type AugmentSettings, LIGHT_AUGMENT, STRONG_AUGMENT } from "../image/augment.ts";

export const AUGMENTATIONS = ["none", "light", "strong"] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

const SETTINGS: Readonly<Record<Augmentation, AugmentSettings>> = {
  none: {},
  light: LIGHT_AUGMENT,
  strong: STRONG_AUGMENT,
};

export const augmentSettings = (augmentation: Augmentation): AugmentSettings => SETTINGS[augmentation];
