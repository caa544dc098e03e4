/** @file Freezes a trained network and writes it as a SavedModel version with its description. */

import { dirname, join } from "node:path";
import { z } from "zod";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import {
  descriptionText,
  type ExportedModel,
  type Framing,
  MODEL_FORMAT,
  measuredWith,
} from "../artifact/description.ts";
import { DESCRIPTION_FILE } from "../artifact/files.ts";
import { COMPARE, EMBED, PAIR, VERIFY_ENCODED } from "../artifact/signatures.ts";
import { WEIGHT_TYPES, type WeightType } from "../artifact/weights.ts";
import { checkOptions, given } from "../base/check-options.ts";
import { checkTarget, writeFileAtomic } from "../base/files.ts";
import { VERSION } from "../base/platform.ts";
import type { EvaluationReport } from "../evaluate/metrics.ts";
import type { Node } from "../graph/ops.ts";
import { encodeJpeg } from "../image/decode.ts";
import { embeddingSizeOf, type ImageSize, type ModelConfig } from "../model/model-config.ts";
import { comparer, embedder, siamese } from "../model/siamese.ts";
import { lower } from "../onnx/lower/lower.ts";
import type { WarmupInput, WarmupRequest } from "../savedmodel/format/warmup-file.ts";
import { WARMUP_FILE, warmupFile } from "../savedmodel/format/warmup-file.ts";
import { type SignatureGraph, writeSavedModel } from "../savedmodel/write/write.ts";
import { readCheckpoint } from "../train/checkpoint.ts";
import { modelConfigOf, settingsOf } from "../train/config.ts";
import { inferenceWeights } from "../train/inference.ts";
import { trainedPeopleOf } from "../train/network-run.ts";
import { checkpointFile, trainedFraming } from "../verify/open-model.ts";
import { framingOfCrops } from "./crop.ts";

/** The graphs that signatures are made of. */
interface SignatureParts {
  /** Two images to a probability, with the names of the inputs. */
  pair(names: readonly [anchor: string, verification: string]): {
    readonly anchorImage: Node;
    readonly verificationImage: Node;
    readonly classifier: Node;
  };
  readonly single: { readonly image: Node; readonly embedding: Node };
  readonly top: { readonly anchor: Node; readonly verification: Node; readonly classifier: Node };
}

/** All signatures of a model. */
export function signaturesFrom({ pair, single, top }: SignatureParts): Record<string, SignatureGraph> {
  const plain = pair([PAIR.anchor, PAIR.verification]);
  const encoded = pair([VERIFY_ENCODED.anchor, VERIFY_ENCODED.verification]);
  return {
    [PAIR.signature]: {
      inputs: { [PAIR.anchor]: plain.anchorImage, [PAIR.verification]: plain.verificationImage },
      outputs: { [PAIR.classifier]: plain.classifier },
    },
    [EMBED.signature]: {
      inputs: { [EMBED.image]: single.image },
      outputs: { [EMBED.embedding]: single.embedding },
    },
    [COMPARE.signature]: {
      inputs: { [COMPARE.anchor]: top.anchor, [COMPARE.verification]: top.verification },
      outputs: { [COMPARE.classifier]: top.classifier },
    },
    [VERIFY_ENCODED.signature]: {
      inputs: {
        [VERIFY_ENCODED.anchor]: encoded.anchorImage,
        [VERIFY_ENCODED.verification]: encoded.verificationImage,
      },
      outputs: { [VERIFY_ENCODED.classifier]: encoded.classifier },
      decodesImages: true,
    },
  };
}

/** The graphs of all signatures of a network of ours. */
export const signaturesOf = (model: ModelConfig): Record<string, SignatureGraph> =>
  signaturesFrom({
    pair: (inputs) => siamese(model, { mode: "inference", batch: "batch", inputs }),
    single: embedder(model, "batch"),
    top: comparer(model, "batch"),
  });

const GREY = 128;

/** One request to each signature: a server runs them when it loads the model, so that its first client does not wait. */
export async function warmupRequests(
  signatures: Record<string, SignatureGraph>,
  { height, width }: ImageSize,
): Promise<WarmupRequest[]> {
  const pixels = new Uint8Array(height * width * 3).fill(GREY);
  const file = await encodeJpeg(pixels, width, height);
  const inputOf = (node: Node, decodesImages: boolean | undefined): WarmupInput =>
    decodesImages
      ? { files: [file] }
      : { shape: node.shape.map((side) => (typeof side === "number" ? side : 1)), fill: GREY / 255 };
  return Object.entries(signatures).map(([signature, { inputs, decodesImages }]) => ({
    signature,
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([alias, node]) => [alias, inputOf(node, decodesImages)]),
    ),
  }));
}

/** Where an exported model goes. */
export interface ExportTarget {
  /** Folder of the model's versions. */
  readonly savedModelPath: string;
  readonly modelName: string;
  readonly modelVersion: number;
  /** What its weights are stored as. Default `float32`. */
  readonly weights?: WeightType | undefined;
}

export interface ExportOptions extends ExportTarget {
  /** A `.safetensors` file, or a run's folder for its best checkpoint. */
  readonly checkpoint: string;
  /** Figures and thresholds for the model's description; left out of it when the model was not measured. */
  readonly measured?:
    | { readonly calibration?: CalibrationRecord | undefined; readonly report: EvaluationReport }
    | undefined;
  /** How faces lie in the images it was trained on, if that is known. Default: what its training says, or `faceid crop` of the images. */
  readonly framing?: Framing | undefined;
  /** Writes the signature `serving_default` as this ONNX file too. */
  readonly onnx?: string | undefined;
}

const exportOptions = z.strictObject({
  checkpoint: given.text,
  savedModelPath: given.text,
  modelName: given.text,
  modelVersion: given.count,
  weights: z.enum(WEIGHT_TYPES).optional(),
  measured: given.other,
  framing: given.other,
  onnx: given.text.optional(),
} satisfies Record<keyof ExportOptions, z.ZodType>);

/** Checks, before anything is measured, that the model can be written. @throws FaceError as writing would. */
export async function checkExport({
  savedModelPath,
  modelVersion,
  onnx,
}: Pick<ExportOptions, "savedModelPath" | "modelVersion" | "onnx">): Promise<void> {
  await checkTarget(join(savedModelPath, String(modelVersion)), "new folder");
  if (onnx !== undefined) await checkTarget(onnx, "file");
}

/**
 * Exports a checkpoint.
 * @returns the version's folder.
 * @throws FaceError `CHECKPOINT_INVALID`; `FILE_INVALID` when the version exists already; `DISK_FULL`.
 */
export async function exportModel(options: ExportOptions): Promise<string> {
  checkOptions("exportModel", exportOptions, options);
  await checkExport(options);
  const file = await checkpointFile(options.checkpoint);
  const { config, progress, state } = await readCheckpoint(file);
  const people = await trainedPeopleOf(dirname(file));
  const model = modelConfigOf(config);
  const signatures = signaturesOf(model);
  const parameters = inferenceWeights(config, state);
  const { measured } = options;
  const framing =
    options.framing ?? trainedFraming(config).framing ?? (await framingOfCrops(config.datasetPath));
  const description: ExportedModel = {
    format: MODEL_FORMAT,
    faceid: VERSION,
    name: options.modelName,
    version: options.modelVersion,
    network: config.model,
    embeddingSize: embeddingSizeOf(model),
    image: { ...settingsOf(config), range: [0, 1] },
    framing: framing ?? null,
    training: {
      epochs: progress.epoch,
      steps: progress.step,
      config,
      history: progress.history,
      ...(people === undefined ? {} : { people }),
    },
    ...(measured?.calibration === undefined ? {} : { calibration: measured.calibration }),
    ...(measured === undefined ? {} : { evaluation: { ...measured.report } }),
  };
  const folder = join(options.savedModelPath, String(options.modelVersion));
  await writeSavedModel(folder, {
    signatures,
    parameters,
    weights: options.weights,
    files: {
      [DESCRIPTION_FILE]: descriptionText(
        // A run is measured in float32.
        options.weights === "float16" ? measuredWith("float32", description) : description,
      ),
      [WARMUP_FILE]: warmupFile(options.modelName, await warmupRequests(signatures, model.input)),
    },
  });
  if (options.onnx !== undefined) {
    const { outputs } = signatures[PAIR.signature]!;
    const { bytes } = lower({ outputs }, { frozen: parameters, runtimeOps: false });
    await writeFileAtomic(options.onnx, bytes);
  }
  return folder;
}
