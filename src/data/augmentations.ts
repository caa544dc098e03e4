/** @file How strongly training images are changed, by the names that a run is told. */
import {
  type AugmentSettings,
  DIGIFACE_AUGMENT,
  LIGHT_AUGMENT,
  STRONG_AUGMENT,
} from "../image/augment-settings.ts";

export const AUGMENTATIONS = ["none", "light", "strong", "digiface"] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

const SETTINGS: Readonly<Record<Augmentation, AugmentSettings>> = {
  none: {},
  light: LIGHT_AUGMENT,
  strong: STRONG_AUGMENT,
  digiface: DIGIFACE_AUGMENT,
};

export const augmentSettings = (augmentation: Augmentation): AugmentSettings => SETTINGS[augmentation];
