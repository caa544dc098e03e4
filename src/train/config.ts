/** @file The settings of a training run: one schema for flags, environment, `.env`, run.json and checkpoints. */
import { z } from "zod";
import { FaceError } from "../base/errors.ts";
import { countText, type Log, silentLog } from "../base/log.ts";
import { FACE_CHOICES } from "../faces/choose.ts";
import { PACKS } from "../faces/packs/catalogue.ts";
import { AUGMENTATIONS } from "../image/augment-settings.ts";
import { type ImageSettings, imageSettings } from "../image/settings.ts";
import { HEADS, type ModelConfig } from "../model/model-config.ts";
import { ADAMW_DECAY, OPTIMIZERS } from "../nn/optimizers.ts";
import { recipeSettings } from "./recipes.ts";
import { currentSettings, renamedSettings, unknownSetting } from "./setting-names.ts";
import { SAMPLINGS, type StepSettings } from "./step.ts";
import { isSoftmax, LOSSES, lossSettings } from "./step-losses.ts";

const positive = z.number().int().positive();
const whole = z.number().int().nonnegative();
const heldOut = z.number().min(0).max(1);
const cropSide = z.number().min(0.4).max(1);

/** Courses of the learning rate. */
export const SCHEDULES = ["constant", "cosine", "step"] as const;

/** ONNX Runtime's execution providers; which of them work depends on the machine. */
const PROVIDERS = ["cpu", "cuda", "tensorrt", "webgpu", "dml", "coreml"] as const;

export const trainConfigSchema = z.strictObject({
  dataset: z
    .string()
    .optional()
    .describe(
      "layout (digiface, lfw, folder, synthetic) or the path of a dataset module; detected by default",
    ),
  datasetPath: z.string().optional().describe("folder with one folder of images per identity"),
  idFrom: whole.optional().describe("first identity to use"),
  idTo: whole.optional().describe("last identity to use"),
  imagesPerId: positive.optional().describe("images to use of each identity, at most"),
  difficulty: z
    .number()
    .min(0)
    .max(2)
    .default(1)
    .describe("variation among the drawn images of one identity (`dataset` synthetic only)"),
  faces: z
    .enum(["none", "align"])
    .default("none")
    .describe(
      "align: find the face of each photograph, cut it out and align it; none: the images are crops already",
    ),
  face: z
    .enum(FACE_CHOICES)
    .optional()
    .describe(
      "face meant in a photograph with several (`faces` align); by default central for the layout lfw, else largest",
    ),
  excludePairs: z
    .string()
    .optional()
    .describe(
      "LFW-style pairs.txt whose people are kept out of training and validation; with `testFraction` 0 they are measured on",
    ),
  excludeFolds: z
    .array(positive)
    .default([])
    .describe("folds of `excludePairs` to keep out, counted from 1; all by default"),
  exclude: z
    .string()
    .optional()
    .describe("CSV of photographs to leave out, by its column path, as faceid dataset clean writes it"),
  model: z.string().default("faceid").describe("embedding network"),
  frozen: z
    .boolean()
    .default(false)
    .describe(
      "keep a pretrained network as it is; fit only projection, head and thresholds (`recipe` adapt)",
    ),
  finetune: z
    .boolean()
    .default(false)
    .describe(
      "train all of a pretrained network further, and keep that only if it beats the network's cosine on people held out (`recipe` finetune)",
    ),
  head: z
    .enum(HEADS)
    .default("dense")
    .describe("decision from two embeddings: two dense layers on their distance, or their cosine alone"),
  imageShape: z
    .array(z.number().int())
    .length(2)
    .default([112, 112])
    .describe("height and width of the images in pixels"),
  sampling: z
    .enum(SAMPLINGS)
    .default("pairs")
    .describe("content of a batch: pairs of images, or images of several people compared with each other"),
  batchSize: positive.default(16).describe("pairs per step, or images with `sampling` people"),
  epochs: positive.default(10).describe("number of epochs"),
  datasetSize: positive.default(5000).describe("pairs per epoch, or images with `sampling` people"),
  photosPerPerson: positive.default(4).describe("images per identity in a batch (`sampling` people)"),
  maxImagesPerId: positive
    .default(40)
    .describe("cap on the images that decide how often an identity is drawn (`sampling` people)"),
  minImagesPerId: positive
    .default(2)
    .describe("fewest images of an identity for losses with labels and for `sampling` people"),
  validationPairs: positive.default(600).describe("pairs of validation people measured after each epoch"),
  validationFraction: heldOut.default(0.1).describe("fraction of the people held out for validation"),
  testFraction: heldOut.default(0.1).describe("fraction of the people held out for the final measurement"),
  initializer: z
    .enum(["network", "glorot"])
    .default("network")
    .describe("initial kernels: the network's own initialiser, or Glorot's (Keras' default) everywhere"),
  crop: cropSide
    .default(1)
    .describe("side of the central crop given to the network, as a fraction of the image's"),
  crops: z
    .array(cropSide)
    .default([])
    .describe("ensemble of backbones, one per central crop, instead of `crop` (with `projectionDim`)"),
  gaborCrops: z
    .array(z.number().min(0.2).max(1))
    .default([])
    .describe("central crops whose Gabor features join the ensemble (with `projectionDim`)"),
  mirror: z
    .boolean()
    .default(false)
    .describe("average the embeddings of an image and its mirror image at inference"),
  projectionDim: whole
    .default(0)
    .describe("embedding size after a PLDA projection fitted to the trained backbones; 0 fits none"),
  teacher: z
    .enum(PACKS.map(({ name }) => name))
    .optional()
    .describe(
      "model pack whose embeddings the network learns to give (with `recipe` student by default); a `loss` other than bce adds to that",
    ),
  teacherMix: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      "fraction of the images of a batch that are two faces in one, which the teacher embeds as well",
    ),
  unnamedPath: z
    .string()
    .optional()
    .describe("folder of further photographs, without names, from which a student of `teacher` learns"),
  loss: z.enum(LOSSES).default("bce").describe("training loss"),
  margin: z
    .number()
    .min(0)
    .max(1)
    .default(0.35)
    .describe("margin of the loss (`loss` triplet-…, cosface, arcface, adaface)"),
  scale: z.number().positive().default(32).describe("scale of the logits (`loss` cosface, arcface, adaface)"),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("label smoothing (`loss` cosface, arcface, adaface)"),
  classSamples: whole
    .default(0)
    .describe(
      "people that a step compares with: those of the batch and others drawn at random, for very many people (`loss` cosface, arcface, adaface); 0 takes all",
    ),
  optimizer: z.enum(OPTIMIZERS).default("adam").describe("optimiser"),
  momentum: z.number().min(0).lt(1).default(0.9).describe("momentum of `optimizer` sgd"),
  nesterov: z.boolean().default(false).describe("Nesterov momentum for `optimizer` sgd"),
  learningRate: z.number().positive().default(0.001).describe("learning rate after warm-up"),
  schedule: z.enum(SCHEDULES).default("constant").describe("learning-rate schedule"),
  decayEpochs: z
    .array(positive)
    .default([])
    .describe("epochs after which `schedule` step divides the learning rate by 10"),
  warmupSteps: whole.default(0).describe("steps over which the learning rate rises from zero"),
  weightDecay: z
    .number()
    .nonnegative()
    .optional()
    .describe(
      `decoupled weight decay of kernels; by default ${ADAMW_DECAY} with \`optimizer\` adamw, else 0`,
    ),
  dropout: z.number().min(0).max(0.9).default(0).describe("dropout rate of the embedding in training"),
  clipNorm: z.number().nonnegative().default(0).describe("global gradient-norm limit; 0 disables clipping"),
  averageDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("decay of the weights' moving average, which replaces them at inference; 0 disables it"),
  augment: z
    .enum(AUGMENTATIONS)
    .default("light")
    .describe(
      "augmentation: none, mirroring and shifts, camera effects too, or that of the DigiFace-1M paper",
    ),
  patience: whole
    .default(0)
    .describe("epochs without a lower validation loss before training stops; 0 disables early stopping"),
  seed: whole.default(1).describe("random seed"),
  replicas: positive
    .optional()
    .describe("copies of the network that split a batch, one thread each; by default as many as cores allow"),
  threads: positive.default(1).describe("threads per replica"),
  provider: z.enum(PROVIDERS).default("cpu").describe("ONNX Runtime execution provider"),
  strict: z.boolean().default(false).describe("fail on unreadable images instead of skipping them"),
});

export type TrainConfig = z.infer<typeof trainConfigSchema>;
/** A configuration without open choices, so that the run can be repeated elsewhere. */
export type SettledConfig = TrainConfig & { readonly replicas: number };
/** Settings before defaults are filled in. */
export type TrainSettings = z.input<typeof trainConfigSchema>;

const recordSchema = z.record(z.string(), z.unknown());

/** Reads the configuration that a file of this or an earlier version holds. */
export const storedConfigSchema = z.preprocess(
  (value) => {
    const record = recordSchema.safeParse(value);
    return record.success ? currentSettings(record.data) : value;
  },
  trainConfigSchema.required({ replicas: true }),
);

/** The weight decay of a configuration that may leave it out. */
export const weightDecayOf = ({
  optimizer,
  weightDecay,
}: Pick<TrainConfig, "optimizer" | "weightDecay">): number =>
  weightDecay ?? (optimizer === "adamw" ? ADAMW_DECAY : 0);

/** The settings that define a network. */
export type NetworkSettings = Pick<TrainConfig, "model" | "imageShape"> &
  Partial<Pick<TrainConfig, "crop" | "crops" | "gaborCrops" | "mirror" | "projectionDim" | "head">>;

/** The image settings of a configuration. */
export function settingsOf({ imageShape }: Pick<TrainConfig, "imageShape">): ImageSettings {
  return imageSettings(imageShape[0]!, imageShape[1]!);
}

/** The network of a configuration. */
export function modelConfigOf(config: NetworkSettings): ModelConfig {
  const { model: network, crop = 1, crops = [], gaborCrops = [], mirror = false, projectionDim = 0 } = config;
  const { height, width } = settingsOf(config);
  const head = config.head ?? "dense";
  return { network, input: { height, width }, crop, crops, gaborCrops, mirror, projectionDim, head };
}

/**
 * The training step of a configuration.
 * @param classes number of people, for losses with labels; 0 for losses of pairs.
 */
export function stepSettingsOf(config: TrainConfig, classes: number): StepSettings {
  const { sampling, optimizer, momentum, nesterov, dropout, clipNorm, averageDecay } = config;
  const { loss, margin, scale, labelSmoothing: smoothing, classSamples } = config;
  const samples = classSamples > 0 && classSamples < classes ? classSamples : undefined;
  return {
    model: modelConfigOf(config),
    sampling,
    loss: lossSettings(loss, { margin, scale, smoothing, classes, samples }),
    optimizer: optimizer === "sgd" ? { name: optimizer, momentum, nesterov } : { name: optimizer },
    weightDecay: weightDecayOf(config),
    dropout,
    clipNorm,
    averageDecay,
    isTuned: config.finetune,
    teacher: config.teacher !== undefined,
  };
}

/** Pixels of the shorter side of what a network sees, which halves it four times and more. */
const LEAST_SEEN = 32;

/** Refuses a crop of so small an image that networks cannot halve it as often as they do. */
function checkCrops({ imageShape, crop, crops }: TrainConfig): void {
  const side = Math.min(...imageShape);
  const smallest = Math.min(...(crops.length === 0 ? [crop] : crops));
  if (side * smallest >= LEAST_SEEN) return;
  throw new FaceError(
    "CONFIG_INVALID",
    `a crop of ${smallest} of an image of ${imageShape.join("x")} leaves ${Math.round(side * smallest)} pixels, networks need ${LEAST_SEEN}`,
    { hint: "raise `crop`, `crops` or `imageShape`" },
  );
}

/** Refuses to train a network further in ways that it cannot be. */
function checkFinetune({
  finetune,
  frozen,
  sampling,
  teacher,
  projectionDim,
  crops,
  gaborCrops,
}: TrainConfig): void {
  if (!finetune) return;
  const conflicts = {
    "`frozen` keeps the network as it is": frozen,
    "`sampling` pairs does not compare all images of a batch": sampling === "pairs",
    "`teacher` trains another network": teacher !== undefined,
    "an ensemble or a projection is not trained further":
      projectionDim > 0 || crops.length + gaborCrops.length > 0,
  };
  const [conflict] = Object.entries(conflicts).filter(([, isSet]) => isSet);
  if (conflict === undefined) return;
  throw new FaceError(
    "CONFIG_INVALID",
    `\`finetune\` trains all of a pretrained network, but ${conflict[0]}`,
    {
      hint: "leave these settings out, as faceid train --recipe finetune does",
    },
  );
}

/** Refuses class sampling where it would do nothing, or leave out people of the batch. */
function checkClassSamples({ classSamples, loss, sampling, batchSize }: TrainConfig): void {
  if (classSamples === 0) return;
  if (!isSoftmax(loss)) {
    throw new FaceError("CONFIG_INVALID", `the loss ${loss} compares with no people that could be sampled`, {
      hint: "leave out `classSamples`, or choose `loss` cosface, arcface or adaface",
    });
  }
  const images = sampling === "people" ? batchSize : 2 * batchSize;
  if (classSamples < images) {
    throw new FaceError(
      "CONFIG_INVALID",
      `${countText(classSamples)} sampled people are too few: a batch has ${countText(images)} images, each perhaps of another person`,
      { hint: `raise \`classSamples\` to ${images} or more; a tenth of all people is usual` },
    );
  }
}

/**
 * Fills in the defaults, which for students are those of their recipe, and checks every setting.
 * @param log for warnings about former names.
 * @throws FaceError `CONFIG_INVALID`.
 */
export function trainConfig(settings: TrainSettings, log: Log = silentLog): TrainConfig {
  for (const [old, name] of Object.entries(renamedSettings)) {
    if (old in settings) log.warn(`the setting ${old} is now ${name}`);
  }
  const preset = settings.teacher === undefined ? {} : recipeSettings("student", undefined);
  const parsed = trainConfigSchema.safeParse({ ...preset, ...currentSettings(settings) });
  if (parsed.success) {
    checkClassSamples(parsed.data);
    checkFinetune(parsed.data);
    checkCrops(parsed.data);
    return parsed.data;
  }
  const issue = parsed.error.issues[0]!;
  const message =
    issue.code === "unrecognized_keys"
      ? unknownSetting(issue.keys[0]!, Object.keys(trainConfigSchema.shape))
      : [...issue.path, issue.message].join(": ");
  throw new FaceError("CONFIG_INVALID", message, {
    hint: "docs/library.md and faceid train --help list the settings",
  });
}
