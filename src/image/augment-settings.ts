/** @file Which random changes training applies to images: the settings and the named presets. */

/** A change's probability, and the largest change in either direction. */
export interface ChanceRange {
  readonly chance: number;
  readonly range: number;
}

/** Limits of a random movement of the image. */
interface MoveLimits {
  /** Largest shift along each axis, as a fraction of the side. */
  readonly shift: number;
  /** Largest relative change of size. */
  readonly zoom: number;
  /** Largest rotation, in degrees. */
  readonly turn: number;
}

/** Which changes, their probabilities and limits. A change that is left out is not applied. Probabilities are in [0, 1]. */
export interface AugmentSettings {
  /** Probability of mirroring left and right. */
  readonly flip?: number;
  /** Largest shift along each axis as a fraction of the side, in [0, 0.5]; border pixels are repeated. */
  readonly shift?: number;
  /** Rotation, zoom, shift and a relative change of the aspect ratio of up to `stretch`. */
  readonly warp?: MoveLimits & { readonly chance: number; readonly stretch: number };
  /** Probability of keeping a part of the image at its place and blackening the rest. */
  readonly crop?: number;
  /** A projection of every image: a move, now and then another aspect ratio, and each corner displaced by up to
   * `corner`, a fraction of the side. */
  readonly project?: MoveLimits & { readonly aspect: ChanceRange; readonly corner: number };
  /** Factors for brightness, contrast and saturation of up to `1 ± range`, all three at once. */
  readonly light?: ChanceRange;
  /** The same factors, each with its own probability, and a rotation of hues in degrees. */
  readonly colour?: Readonly<Record<"brightness" | "contrast" | "saturation" | "hue", ChanceRange>>;
  /** Probability of removing the colour. */
  readonly grey?: number;
  /** Probability of a lower resolution. */
  readonly coarse?: number;
  /** Probability of a blur that is drawn for each axis separately. */
  readonly blur?: number;
  /** Probability of a blur that is equal in all directions. */
  readonly soft?: number;
  /** Probability of motion blur in one direction. */
  readonly motion?: number;
  readonly noise?: number;
  readonly jpeg?: number;
  /** Probability of covering a rectangle. */
  readonly cutout?: number;
}

export const AUGMENTATIONS = ["none", "light", "strong", "digiface"] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

const PRESETS: Readonly<Record<Augmentation, AugmentSettings>> = {
  none: {},
  // 4 % of the side are about 4 pixels of 112.
  light: { flip: 0.5, shift: 0.04 },
  // The changes of appearance are those of DigiFace-1M (Bae et al., 2023, §4.2), several times as often: a few thousand
  // real photographs are repeated more often than a million drawn ones.
  strong: {
    flip: 0.5,
    warp: { chance: 0.9, shift: 0.03, zoom: 0.08, turn: 8, stretch: 0.05 },
    light: { chance: 0.5, range: 0.35 },
    grey: 0.08,
    coarse: 0.1,
    blur: 0.1,
    noise: 0.05,
    jpeg: 0.05,
    cutout: 0.3,
  },
  // DigiFace-1M's augmentation (Bae et al., 2023, §4.2) with its probabilities: mirroring and AdaFace's crop, ten changes
  // of appearance, and a warp. The paper gives no ranges: light and colour have AdaFace's, the others were chosen by eye.
  digiface: {
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
  },
};

/** The changes of a preset. */
export const augmentSettings = (augmentation: Augmentation): AugmentSettings => PRESETS[augmentation];

/** The changes that move an image, without those of its colours and details. */
export const moving = ({ flip, shift, warp, project }: AugmentSettings): AugmentSettings => ({
  ...(flip !== undefined && { flip }),
  ...(shift !== undefined && { shift }),
  ...(warp !== undefined && { warp }),
  ...(project !== undefined && { project }),
});
