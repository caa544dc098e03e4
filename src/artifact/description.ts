/** @file `assets.extra/faceid.json`: what a model is, how it was trained and how far its scores can be trusted. */
import { join } from "node:path";
import { z } from "zod";
import { issueText } from "../base/check-options.ts";
import { FaceError, systemCode } from "../base/errors.ts";
import { readRegular } from "../base/files.ts";
import { calibrationSchema } from "./calibration.ts";
import { DESCRIPTION_FILE } from "./files.ts";
import { DuplicateKey, parseJson } from "./json.ts";
import type { SignatureSizes } from "./signatures.ts";
import { trainedPeopleSchema } from "./trained-people.ts";
import type { WeightType } from "./weights.ts";

const positive = z.number().int().positive();
const count = z.number().int().nonnegative();

/** One epoch of training. */
export const epochSchema = z.object({
  epoch: z.number().int(),
  steps: z.number().int(),
  loss: z.number(),
  accuracy: z.number(),
  validationLoss: z.number().optional(),
  validationAccuracy: z.number().optional(),
  learningRate: z.number(),
  seconds: z.number(),
});

/** How a face must lie in the image that the model gets. */
export const framingSchema = z.discriminatedUnion(
  "kind",
  [
    /** Warped so that the landmarks lie as in the named template, which is `side` pixels wide and high. */
    z.object({ kind: z.literal("aligned"), template: z.string().min(1), side: positive }),
    /** The face's box enlarged by a factor, as in Labeled Faces in the Wild. */
    z.object({ kind: z.literal("centred"), enlarge: z.number().positive() }),
    /** Any crop. */
    z.object({ kind: z.literal("none") }),
  ],
  "aligned, centred or none",
);

export type Framing = z.infer<typeof framingSchema>;

/** The network's name in the description of a converted model. */
export const IMPORTED = "imported";

/** The format that is written. */
export const MODEL_FORMAT = "faceid-model-2";

const fieldsSchema = z.object({
  /** In the first format the framing was left out where it was not known, so that nobody could tell whether it was lost. */
  format: z.enum(["faceid-model-1", MODEL_FORMAT]),
  /** Version of faceid that wrote it. */
  faceid: z.string(),
  name: z.string(),
  version: count,
  network: z.string(),
  embeddingSize: positive,
  image: z.object({
    height: positive,
    width: positive,
    channels: z.literal(3),
    range: z.tuple([z.literal(0), z.literal(1)]),
  }),
  /** `null` when it is not known; then it is absent in the first format. */
  framing: framingSchema.nullable().optional(),
  /** Of a network from elsewhere: the file it was read from, and the colours that it reads. */
  imported: z.object({ file: z.string(), sha256: z.string(), pixels: z.string() }).optional(),
  training: z.object({
    epochs: count,
    steps: count,
    /** Every setting of the training; `train/` checks them. */
    config: z.record(z.string(), z.unknown()),
    history: z.array(epochSchema),
    /** Whom it was trained on; absent from models of earlier versions. */
    people: trainedPeopleSchema.optional(),
  }),
  calibration: calibrationSchema("probability").optional(),
  /** What was measured on people held out. */
  evaluation: z.record(z.string(), z.unknown()).optional(),
});

/** The content of an exported model's description. */
export type ExportedModel = z.infer<typeof fieldsSchema>;

/** Without its framing, a model of aligned faces would compare whole pictures. */
const descriptionSchema = fieldsSchema.superRefine(({ format, framing, training }, context) => {
  const refuse = (message: string) => context.addIssue({ code: "custom", path: ["framing"], message });
  if (framing === undefined && format === MODEL_FORMAT)
    refuse("how faces lie in the model's images, or null where that is not known");
  else if ((framing ?? null) === null && training.config.faces === "align")
    refuse("how faces lie in the model's images, since training.config.faces is align");
});

/** How faces lie in a model's images, if that is known. */
export const framingIn = (description: ExportedModel | undefined): Framing | undefined =>
  description?.framing ?? undefined;

/**
 * Whether a model reads pictures that are cut out at any size. Aligned crops are cut out at the model's own; LFW's photographs, and those of
 * a model that does not say how faces lie, are scaled to it.
 */
export const readsAnySize = (framing: Framing | undefined): boolean =>
  framing?.kind !== "aligned" || framing.template === "lfw";

/** A description for a version with other weights: what was measured says with which weights, as smaller ones move the scores. */
export function measuredWith(weights: WeightType, description: ExportedModel): ExportedModel {
  const { calibration, evaluation } = description;
  return {
    ...description,
    ...(calibration === undefined ? {} : { calibration: { weights, ...calibration } }),
    ...(evaluation === undefined ? {} : { evaluation: { weights, ...evaluation } }),
  };
}

/** The description as the content of its file. */
export const descriptionText = (description: ExportedModel): string =>
  `${JSON.stringify(description, null, 2)}\n`;

/** Much more than any description takes. */
const LARGEST = 2 ** 24;

/**
 * Reads the description in a version's folder.
 * @returns `undefined` for a folder without one, as of a model from elsewhere.
 * @throws FaceError `MODEL_INVALID` with the path and the field when it is damaged.
 */
export async function readDescription(folder: string): Promise<ExportedModel | undefined> {
  const path = join(folder, DESCRIPTION_FILE);
  const damaged = (reason: string, cause: unknown) =>
    new FaceError("MODEL_INVALID", `${path} is damaged: ${reason}`, {
      hint: "export the model again, or copy the version's folder again",
      cause,
    });
  let content: unknown;
  try {
    content = parseJson((await readRegular(path, LARGEST)).toString("utf8"));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    if (error instanceof FaceError) throw error;
    throw damaged(error instanceof DuplicateKey ? error.message : "it cannot be read as JSON", error);
  }
  const parsed = descriptionSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  throw damaged(issueText(parsed.error.issues[0]!, content), parsed.error);
}

/**
 * Makes sure that a description is of the model beside it.
 * @param folder of the version.
 * @param sizes what the model's signatures name.
 * @throws FaceError `MODEL_INVALID` naming the field that differs.
 */
export function requireDescribed(
  folder: string,
  description: ExportedModel | undefined,
  { height, width, embeddingSize }: SignatureSizes,
): void {
  if (description === undefined) return;
  const { image } = description;
  const fields: readonly (readonly [name: string, described: number, actual: number | undefined])[] = [
    ["image.height", image.height, height],
    ["image.width", image.width, width],
    ["embeddingSize", description.embeddingSize, embeddingSize],
  ];
  for (const [name, described, actual] of fields) {
    if (actual === undefined || actual === described) continue;
    throw new FaceError(
      "MODEL_INVALID",
      `${join(folder, DESCRIPTION_FILE)} contradicts the model beside it: ${name}: got ${described}, expected ${actual}, as the model's signatures have it`,
      { hint: "export the model again, or copy the version's folder again" },
    );
  }
}
