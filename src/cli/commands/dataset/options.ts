/** @file Flags that the dataset commands share. */
import { FaceError } from "../../../base/errors.ts";
import type { DatasetOptions } from "../../../data/dataset.ts";
import { type ImageSettings, imageSettings } from "../../../image/settings.ts";
import { trainConfigSchema } from "../../../train/config.ts";
import { resolveOptions } from "../../options.ts";
import { EVERY_SETTING } from "../../settings.ts";

/** Which people and images; the same flags and variables as in training. */
export const peopleSettings = trainConfigSchema.pick({
  dataset: true,
  datasetPath: true,
  idFrom: true,
  idTo: true,
  imagesPerId: true,
});

/** At which size images are drawn. */
export const sizeSettings = trainConfigSchema.pick({ imageShape: true });

type Flags = Readonly<Record<string, unknown>>;

/** The dataset that flags, environment and `.env` name. */
export function peopleOf(flags: Flags): DatasetOptions {
  const { datasetPath, ...rest } = resolveOptions(peopleSettings, {
    flags,
    everyKey: EVERY_SETTING,
  });
  return { ...rest, path: datasetPath };
}

export function sizeOf(flags: Flags): ImageSettings {
  const { imageShape } = resolveOptions(sizeSettings, { flags, everyKey: EVERY_SETTING });
  return imageSettings(imageShape[0]!, imageShape[1]!);
}

/** Reads a flag's number; the parser of commander's options. */
export function numberOf(flag: string, least: number, most: number, whole = true): (text: string) => number {
  return (text) => {
    const value = Number(text);
    const fits = text.trim() !== "" && value >= least && value <= most && (!whole || Number.isInteger(value));
    if (fits) return value;
    const wanted = Number.isFinite(most) ? `from ${least} to ${most}` : `of at least ${least}`;
    throw new FaceError(
      "CONFIG_INVALID",
      `${flag}: got ${JSON.stringify(text)}, expected a ${whole ? "whole " : ""}number ${wanted}`,
    );
  };
}
