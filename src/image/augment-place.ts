/** @file Random changes of where things are in a picture. */
import { type Step, sometimes } from "./augment-step.ts";
import { blacken, coverPart } from "./camera.ts";
import { projectImage } from "./project.ts";
import type { ImageSettings } from "./settings.ts";
import { warpImage } from "./warp.ts";

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
