/** @file Which random changes training applies to images: settings and the named presets. */

/** How likely a change is, and how far it goes either way. */
export interface Range {
  readonly chance: number;
  readonly range: number;
}

/** A projection of the picture's plane; all but `aspect` happen to every picture. */
export interface Projection {
  readonly aspect: Range;
  /** Largest zoom, shift and displacement of a corner, as shares; largest angle, in degrees. */
  readonly zoom: number;
  readonly shift: number;
  readonly corner: number;
  readonly turn: number;
}

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
  /** Probability of keeping a part of the picture where it is and blackening the rest, in [0, 1]. */
  readonly crop?: number;
  /** All of `warp`, now and then a change of aspect, and each corner moved by itself, in one projection of the plane. */
  readonly project?: Projection;
  /** Brightness, contrast and saturation by factors up to `1 ± range`. */
  readonly light?: { readonly chance: number; readonly range: number };
  /** The same, each by a chance of its own, and hues turned by up to `hue.range` degrees. */
  readonly colour?: Readonly<Record<"brightness" | "contrast" | "saturation" | "hue", Range>>;
  /** Probabilities, in [0, 1]: without colour, from afar, out of focus or moved, noisy, compressed, partly covered. */
  readonly grey?: number;
  readonly coarse?: number;
  readonly blur?: number;
  /** Probabilities: softened alike in all directions, and along one direction only. */
  readonly soft?: number;
  readonly motion?: number;
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
 * The augmentation of DigiFace-1M's paper (Bae et al., 2023, §4.2) with its probabilities: mirroring and AdaFace's crop,
 * ten changes of appearance, and a warp. The paper does not say how far they go: light and colour go as far as AdaFace's,
 * the rest was chosen by eye.
 */
export const DIGIFACE_AUGMENT: AugmentSettings = {
  flip: 0.5,
  crop: 0.2,
  project: { aspect: { chance: 0.1, range: 0.2 }, zoom: 0.1, turn: 10, shift: 0.05, corner: 0.05 },
  colour: {
    brightness: { chance: 0.15, range: 0.5 },
    contrast: { chance: 0.3, range: 0.5 },
    saturation: { chance: 0.1, range: 0.5 },
    hue: { chance: 0.1, range: 20 },
  },
  grey: 0.01,
  soft: 0.05,
  motion: 0.05,
  coarse: 0.01,
  noise: 0.035,
  jpeg: 0.05,
};

export const AUGMENTATIONS = ["none", "light", "strong", "digiface"] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

const SETTINGS: Readonly<Record<Augmentation, AugmentSettings>> = {
  none: {},
  light: LIGHT_AUGMENT,
  strong: STRONG_AUGMENT,
  digiface: DIGIFACE_AUGMENT,
};

export const augmentSettings = (augmentation: Augmentation): AugmentSettings => SETTINGS[augmentation];
