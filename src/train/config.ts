/** @file Everything a training run can be told: one schema for flags, environment, `.env`, run.json and checkpoints. */
import { z } from "zod";
import { FaceError } from "../base/errors.ts";
import { AUGMENTATIONS } from "../image/augment-settings.ts";
import { MININGS } from "../nn/batch-pairs.ts";
import { ADAMW_DECAY } from "../nn/optimizers.ts";
import { OPTIMIZERS } from "./optimizer-settings.ts";
import { SAMPLINGS } from "./step.ts";
import { LOSSES } from "./step-losses.ts";

const positive = z.number().int().positive();
const share = z.number().min(0).max(0.9);

/** How the learning rate goes over the run. */
export const SCHEDULES = ["constant", "cosine", "step"] as const;

export const trainConfigSchema = z.strictObject({
  dataset: z
    .string()
    .optional()
    .describe("layout (digiface, lfw, folder, synthetic) or a module of your own; found out when left out"),
  datasetPath: z.string().optional().describe("folder with one folder of images per person"),
  idFrom: z.number().int().nonnegative().optional().describe("first identity to use"),
  idTo: z.number().int().nonnegative().optional().describe("last identity to use"),
  imagesPerId: positive.optional().describe("at most so many images of each identity"),
  difficulty: z
    .number()
    .min(0)
    .max(2)
    .default(1)
    .describe("how much drawn photographs of one person vary (synthetic only)"),
  excludePairs: z
    .string()
    .optional()
    .describe(
      "LFW-style pairs.txt whose people are kept out of training and validation; with testShare 0 they are measured on",
    ),
  excludeFolds: z
    .array(positive)
    .default([])
    .describe("folds of excludePairs to keep out, counted from 1; all when left out"),
  model: z.string().default("faceid").describe("embedding network"),
  imageShape: z
    .array(z.number().int())
    .length(2)
    .default([112, 112])
    .describe("height and width of the images"),
  sampling: z
    .enum(SAMPLINGS)
    .default("pairs")
    .describe("what a batch is made of: pairs, or people whose photographs are all compared with each other"),
  batchSize: positive.default(16).describe("pairs per step, or images with sampling people"),
  epochs: positive.default(10).describe("passes over the epoch's pairs or images"),
  datasetSize: positive.default(5000).describe("pairs per epoch, or images with sampling people"),
  photosPerPerson: positive.default(4).describe("photographs of a person in a row (sampling people)"),
  mostPhotos: positive
    .default(40)
    .describe("photographs of one person that count for how often he or she is drawn (sampling people)"),
  fewestPhotos: positive
    .default(2)
    .describe("photographs that a person must have to be told apart by number or drawn by sampling people"),
  validationPairs: positive.default(600).describe("pairs of validation people measured after each epoch"),
  validationShare: share.default(0.1).describe("share of people held out for validation"),
  testShare: share.default(0.1).describe("share of people held out for the final measurement"),
  initializer: z
    .enum(["network", "glorot"])
    .default("network")
    .describe("first kernels: as the network's architecture asks, or Keras' default everywhere"),
  crop: z
    .number()
    .min(0.4)
    .max(1)
    .default(1)
    .describe("share of each side, around the middle, that the network looks at"),
  views: z
    .array(z.number().min(0.4).max(1))
    .default([])
    .describe(
      "such shares for several backbones, trained one after the other and then joined, instead of crop",
    ),
  texture: z
    .array(z.number().min(0.2).max(1))
    .default([])
    .describe("such shares for views that learn no kernels but take Gabor wavelets (with metric)"),
  mirror: z
    .boolean()
    .default(false)
    .describe("embed the mirrored image too and take the mean, when the network is used"),
  metric: z
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe("numbers in the embedding after a map and the head were fitted to it; 0 leaves it as trained"),
  loss: z.enum(LOSSES).default("bce").describe("what is made small"),
  mining: z
    .enum(MININGS)
    .default("all")
    .describe(
      "pairs of two people that count (loss bce with sampling people): all; semihard, for each pair of one person the most alike of those less alike; hard, for each photograph the most alike",
    ),
  margin: z
    .number()
    .min(0)
    .max(1)
    .default(0.35)
    .describe("what the right person has to be ahead by (triplet-…, cosface, arcface, adaface)"),
  scale: z
    .number()
    .positive()
    .default(32)
    .describe("length of embeddings before the softmax (cosface, arcface, adaface)"),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("share of the target spread over all people (cosface, arcface, adaface)"),
  optimizer: z.enum(OPTIMIZERS).default("adam").describe("optimiser"),
  momentum: z.number().min(0).lt(1).default(0.9).describe("momentum of sgd"),
  nesterov: z.boolean().default(false).describe("Nesterov's form of sgd's momentum"),
  learningRate: z.number().positive().default(0.001).describe("learning rate after warm-up"),
  schedule: z.enum(SCHEDULES).default("constant").describe("course of the learning rate"),
  decayEpochs: z
    .array(positive)
    .default([])
    .describe("epochs after which the step schedule divides the rate by 10"),
  warmupSteps: z
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe("steps over which the rate rises from zero"),
  weightDecay: z
    .number()
    .nonnegative()
    .optional()
    .describe(`decoupled weight decay of kernels; when left out, ${ADAMW_DECAY} with adamw and none else`),
  dropout: z
    .number()
    .min(0)
    .max(0.9)
    .default(0)
    .describe("share of the embedding's values that each training step leaves out"),
  clipNorm: z
    .number()
    .nonnegative()
    .default(0)
    .describe("greatest length of all derivatives of a step together; 0 for any"),
  averageDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("share of the weights' running average that stays at each step; 0 uses the last weights"),
  augment: z
    .enum(AUGMENTATIONS)
    .default("light")
    .describe(
      "random changes of training images: none, mirrored and shifted, everything a camera does, or those of DigiFace-1M's paper",
    ),
  patience: z
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe("epochs without a better validation loss before stopping; 0 never stops"),
  seed: z.number().int().nonnegative().default(1).describe("seed of every random choice"),
  replicas: positive
    .optional()
    .describe("copies of the network that share a batch, each on a core; found out when left out"),
  threads: positive.default(1).describe("threads of each replica"),
  provider: z.string().default("cpu").describe("ONNX Runtime execution provider"),
  strict: z.boolean().default(false).describe("make an unreadable image an error"),
});

export type TrainConfig = z.infer<typeof trainConfigSchema>;
/** A configuration in which what depends on the machine or on other settings has been settled, so that the run can be repeated. */
export type SettledConfig = TrainConfig & { readonly replicas: number };
/** Settings as a program gives them: what is left out takes its default. */
export type TrainSettings = z.input<typeof trainConfigSchema>;

/** The weight decay of a configuration that may leave it out. */
export const weightDecayOf = ({
  optimizer,
  weightDecay,
}: Pick<TrainConfig, "optimizer" | "weightDecay">): number =>
  weightDecay ?? (optimizer === "adamw" ? ADAMW_DECAY : 0);

/**
 * Fills in the defaults and checks every setting.
 * @throws FaceError `CONFIG_INVALID`.
 */
export function trainConfig(settings: TrainSettings): TrainConfig {
  const parsed = trainConfigSchema.safeParse(settings);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new FaceError("CONFIG_INVALID", [...path, message].join(": "), {
    hint: "docs/library.md lists the settings",
  });
}
