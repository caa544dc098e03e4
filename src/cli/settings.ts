/** @file The settings of all commands, so that one `.env` can serve them all. */
import { z } from "zod";
import { WEIGHT_TYPES } from "../artifact/weights.ts";
import type { DatasetOptions } from "../data/dataset.ts";
import { type ImageSettings, imageSettings } from "../image/settings.ts";
import { trainConfigSchema } from "../train/config.ts";
import { RECIPE_NAMES } from "../train/recipes.ts";
import { resolveOptions } from "./options.ts";
import { PROGRESS_STYLES } from "./progress.ts";

/** Where an exported model goes. */
export const modelSettings = z.strictObject({
  savedModelPath: z.string().min(1).default("models/faceid").describe("folder of the model's versions"),
  modelName: z
    .string()
    .regex(/^[\w.-]+$/, "letters, digits, dots, dashes and underscores")
    .default("faceid")
    .describe("name under which the model is served"),
  modelVersion: z.number().int().positive().default(1).describe("version to write"),
  weights: z
    .enum(WEIGHT_TYPES)
    .default("float32")
    .describe("what the model's weights are stored as; float16 halves its size"),
});

/** The display of a command's progress. */
export const progressSettings = z.strictObject({
  progress: z
    .enum(PROGRESS_STYLES)
    .optional()
    .describe(
      "display of progress: a bar on terminals and plain lines elsewhere when left out, json for programs",
    ),
});

/** The display and the folder of a training run. */
export const runSettings = z.strictObject({
  recipe: z
    .enum(RECIPE_NAMES)
    .optional()
    .describe("a set of defaults that work well together; any of them can be changed"),
  output: z
    .string()
    .min(1)
    .default("runs/latest")
    .describe("folder of the run: log, configuration, checkpoints"),
  ...progressSettings.shape,
  tensorboard: z
    .string()
    .min(1)
    .optional()
    .describe("folder for TensorBoard event files; none when left out"),
});

export const trainSettings = trainConfigSchema.extend(runSettings.shape).extend(modelSettings.shape);

/** The data to measure on; settings that are left out are those of the training. */
export const dataSettings = trainConfigSchema.pick({
  dataset: true,
  datasetPath: true,
  idFrom: true,
  idTo: true,
  imagesPerId: true,
  difficulty: true,
  faces: true,
  face: true,
  excludePairs: true,
  excludeFolds: true,
  exclude: true,
  validationFraction: true,
  testFraction: true,
  seed: true,
});

/** Settings of the commands that measure. */
export const measureSettings = dataSettings.extend(progressSettings.shape);

/** The names of all settings. */
export const EVERY_SETTING: readonly string[] = Object.keys(trainSettings.shape);

/** Which people and images; the same flags and variables as in training. */
export const peopleSettings = trainConfigSchema.pick({
  dataset: true,
  datasetPath: true,
  idFrom: true,
  idTo: true,
  imagesPerId: true,
});

/** The size of images. */
export const sizeSettings = trainConfigSchema.pick({ imageShape: true });

type Flags = Readonly<Record<string, unknown>>;

/** The dataset that flags, environment and `.env` name. */
export function peopleOf(flags: Flags): DatasetOptions {
  const { datasetPath, ...rest } = resolveOptions(peopleSettings, { flags, everyKey: EVERY_SETTING });
  return { ...rest, path: datasetPath };
}

export function sizeOf(flags: Flags): ImageSettings {
  const { imageShape } = resolveOptions(sizeSettings, { flags, everyKey: EVERY_SETTING });
  return imageSettings(imageShape[0]!, imageShape[1]!);
}

/**
 * Refuses misspelt variables of ours in the environment and in `.env`, for commands that take no setting from there too:
 * a folder of packs or a gallery that the user named would be ignored.
 * @throws FaceError `CONFIG_INVALID`.
 */
export function checkVariables(): void {
  resolveOptions(z.strictObject({}), { flags: {}, everyKey: EVERY_SETTING });
}
