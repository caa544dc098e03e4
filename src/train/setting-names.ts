/** @file Names of settings: former ones, removed ones, and suggestions for misspelt ones. */
import { didYouMean, FaceError } from "../base/errors.ts";
import type { TrainConfig } from "./config.ts";

/** Former names of settings, accepted for one more version: old → new. */
export const renamedSettings: Readonly<Record<string, keyof TrainConfig>> = {
  views: "crops",
  texture: "gaborCrops",
  metric: "projectionDim",
  mostPhotos: "maxImagesPerId",
  fewestPhotos: "minImagesPerId",
  validationShare: "validationFraction",
  testShare: "testFraction",
};

/** Settings that are gone: the value that changes nothing, and the reason for anyone who sets another. */
export const removedSettings: Readonly<
  Record<
    string,
    {
      readonly ignored: string;
      readonly reason: string;
      /** A setting of the same commands. */
      readonly beside: string;
    }
  >
> = {
  mining: {
    beside: "loss",
    ignored: "all",
    reason:
      "pair mining for bce was removed: it lowers accuracy from 75 % to 71 % and 58 % (docs/notes/recipe-best.md)",
  },
};

/**
 * Settings under their current names, from those of this or an earlier version.
 * @throws FaceError `CONFIG_INVALID` for a setting given under both names, or a removed one that asks for something.
 */
export function currentSettings(settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const current: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(settings)) {
    const removed = removedSettings[key];
    if (removed !== undefined) {
      if (value === removed.ignored || value === undefined) continue;
      throw new FaceError("CONFIG_INVALID", `${key}: got ${JSON.stringify(value)}; ${removed.reason}`, {
        hint: "leave it out, or choose `loss` triplet-semihard or triplet-hard",
      });
    }
    const name = renamedSettings[key] ?? key;
    if (name in current) {
      throw new FaceError("CONFIG_INVALID", `${name} is set twice, also under its former name`, {
        hint: `leave out ${Object.keys(renamedSettings).find((old) => renamedSettings[old] === name)}`,
      });
    }
    current[name] = value;
  }
  return current;
}

/** The message for a setting that does not exist. @param place where it stands, if not in a program's call. */
export function unknownSetting(name: string, known: readonly string[], place?: string): string {
  return `unknown setting ${name}${place === undefined ? "" : ` in ${place}`}${didYouMean(name, known)}`;
}
