/** @file Random changes of how a picture looks: light, colour, sharpness, noise, compression. */
import type { Range } from "./augment-settings.ts";
import { type Step, sometimes } from "./augment-step.ts";
import { addNoise, blur, coarsen, compress, relight, smearAlong, turnHues } from "./camera.ts";

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
