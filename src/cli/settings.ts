/** @file The settings of all commands, so that one `.env` can serve them all. */
import { z } from "zod";
import { trainConfigSchema } from "../train/config.ts";
import { RECIPE_NAMES } from "../train/recipes.ts";
import { PROGRESS_STYLES } from "./progress.ts";

/** Where models go and what they are called there. */
export const modelSettings = z.strictObject({
  savedModelPath: z.string().min(1).default("models/faceid").describe("folder of the model's versions"),
  modelName: z
    .string()
    .regex(/^[\w.-]+$/, "letters, digits, dots, dashes and underscores")
    .default("faceid")
    .describe("name under which the model is served"),
  modelVersion: z.number().int().positive().default(1).describe("version to write"),
});

/** How far a command is. */
export const progressSettings = z.strictObject({
  progress: z
    .enum(PROGRESS_STYLES)
    .optional()
    .describe(
      "how to show progress: bar on terminals and plain lines elsewhere when left out, json for programs",
    ),
});

/** How a training run is shown and where it is kept. */
export const runSettings = z.strictObject({
  recipe: z
    .enum(RECIPE_NAMES)
    .optional()
    .describe("settings that go well together; every one of them can be set otherwise"),
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
    .describe("folder for TensorBoard's event files; none when left out"),
});

export const trainSettings = trainConfigSchema.extend(runSettings.shape).extend(modelSettings.shape);

/** Settings that say what is measured on; what is left out is as it was in training. */
export const dataSettings = trainConfigSchema.pick({
  dataset: true,
  datasetPath: true,
  idFrom: true,
  idTo: true,
  imagesPerId: true,
  difficulty: true,
  excludePairs: true,
  excludeFolds: true,
  validationFraction: true,
  testFraction: true,
  seed: true,
});

/** Settings of the commands that measure. */
export const measureSettings = dataSettings.extend(progressSettings.shape);

/** Every setting there is, by name. */
export const EVERY_SETTING: readonly string[] = Object.keys(trainSettings.shape);
