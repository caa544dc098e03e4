/** @file Freezes a trained network and writes it as a SavedModel version, with what is known about it beside it. */
import { join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import type { TensorMap } from "../base/tensor.ts";
import { VERSION } from "../base/version.ts";
import type { EvaluationReport } from "../evaluate/metrics.ts";
import type { CalibrationRecord } from "../evaluate/thresholds.ts";
import type { Node } from "../graph/ops.ts";
import { encodeJpeg } from "../image/decode.ts";
import { embeddingSizeOf, type ImageSize } from "../model/backbone.ts";
import { networkNamed } from "../model/networks.ts";
import { comparer, embedder, siamese } from "../model/siamese.ts";
import { lower } from "../onnx/lower/lower.ts";
import {
  WARMUP_FILE,
  type WarmupInput,
  type WarmupRequest,
  warmupFile,
} from "../savedmodel/format/warmup-file.ts";
import { type SignatureGraph, writeSavedModel } from "../savedmodel/write/write.ts";
import { type Checkpoint, readCheckpoint } from "../train/checkpoint.ts";

import { networkImageOf, settingsOf } from "../train/people.ts";
import { averagedState } from "../train/weight-averages.ts";

/** `assets.extra/faceid.json`: what a model is, how it was trained, how far its scores can be trusted. */
export interface ModelDescription {
  readonly format: "faceid-model-1";
  readonly faceid: string;
  readonly name: string;
  readonly version: number;
  readonly network: string;
  readonly embeddingSize: number;
  readonly image: {
    readonly height: number;
    readonly width: number;
    readonly channels: 3;
    readonly range: readonly [0, 1];
  };
  readonly training: {
    readonly epochs: number;
    readonly steps: number;
    readonly config: Checkpoint["config"];
    readonly history: Checkpoint["progress"]["history"];
  };
  readonly calibration?: CalibrationRecord;
  readonly evaluation?: EvaluationReport;
}

/** Where the description lies within a version's folder. */
export const DESCRIPTION_FILE = "assets.extra/faceid.json";

/** The signatures of DESIGN's contract. */
export function signaturesOf(
  network: string,
  config: Parameters<typeof networkImageOf>[0],
): Record<string, SignatureGraph> {
  const [backbone, image] = [networkNamed(network), networkImageOf(config)];
  const pair = siamese(backbone, image, { mode: "inference", batch: "batch" });
  const encoded = siamese(backbone, image, {
    mode: "inference",
    batch: "batch",
    inputs: ["anchor_bytes", "verification_bytes"],
  });
  const single = embedder(backbone, image, "batch");
  const top = comparer(backbone, image, "batch");
  return {
    serving_default: {
      inputs: { anchor_img: pair.anchorImage, verification_img: pair.verificationImage },
      outputs: { classifier: pair.classifier },
    },
    embed: { inputs: { input_image: single.image }, outputs: { embedding: single.embedding } },
    compare: {
      inputs: { anchor_embedding: top.anchor, verification_embedding: top.verification },
      outputs: { classifier: top.classifier },
    },
    verify_encoded: {
      inputs: { anchor_bytes: encoded.anchorImage, verification_bytes: encoded.verificationImage },
      outputs: { classifier: encoded.classifier },
      decodesImages: true,
    },
  };
}

const GREY = 128;

/** A request to each signature, so that a server's first client does not wait for its preparations. */
export async function warmupRequests(
  signatures: Record<string, SignatureGraph>,
  { height, width }: ImageSize,
): Promise<WarmupRequest[]> {
  const pixels = new Uint8Array(height * width * 3).fill(GREY);
  const photograph = await encodeJpeg(pixels, width, height);
  const inputOf = (node: Node, decodesImages: boolean | undefined): WarmupInput =>
    decodesImages
      ? { files: [photograph] }
      : { shape: node.shape.map((side) => (typeof side === "number" ? side : 1)), fill: GREY / 255 };
  return Object.entries(signatures).map(([signature, { inputs, decodesImages }]) => ({
    signature,
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([alias, node]) => [alias, inputOf(node, decodesImages)]),
    ),
  }));
}

/** The weights that inference needs, out of everything that a checkpoint keeps. */
export function weightsOf({ config, state }: Checkpoint): TensorMap {
  const { net } = siamese(networkNamed(config.model), networkImageOf(config), {
    mode: "inference",
    batch: 1,
  });
  const values = averagedState(state);
  return new Map(
    net.weights.map(({ name }) => {
      const value = values.get(name);
      if (value === undefined) throw new FaceError("CHECKPOINT_INVALID", `the checkpoint holds no ${name}`);
      return [name, value];
    }),
  );
}

export interface ExportOptions {
  /** A `.safetensors` file. */
  readonly checkpoint: string;
  /** What was measured with it, if anything: thresholds and figures travel with the model. */
  readonly measured?:
    | { readonly calibration?: CalibrationRecord | undefined; readonly report: EvaluationReport }
    | undefined;
  readonly savedModelPath: string;
  readonly modelName: string;
  readonly modelVersion: number;
  /** Writes the pair signature as an ONNX file too. */
  readonly onnx?: string | undefined;
}

/** Exports a checkpoint; returns the version's folder. */
export async function exportModel(options: ExportOptions): Promise<string> {
  const checkpoint = await readCheckpoint(options.checkpoint);
  const { config, progress } = checkpoint;
  const signatures = signaturesOf(config.model, config);
  const parameters = weightsOf(checkpoint);
  const { measured } = options;
  const description: ModelDescription = {
    format: "faceid-model-1",
    faceid: VERSION,
    name: options.modelName,
    version: options.modelVersion,
    network: config.model,
    embeddingSize: embeddingSizeOf(networkNamed(config.model), config),
    image: { ...settingsOf(config), range: [0, 1] },
    training: { epochs: progress.epoch, steps: progress.step, config, history: progress.history },
    ...(measured?.calibration === undefined ? {} : { calibration: measured.calibration }),
    ...(measured === undefined ? {} : { evaluation: measured.report }),
  };
  const folder = join(options.savedModelPath, String(options.modelVersion));
  await writeSavedModel(folder, {
    signatures,
    parameters,
    files: {
      [DESCRIPTION_FILE]: `${JSON.stringify(description, null, 2)}\n`,
      [WARMUP_FILE]: warmupFile(options.modelName, await warmupRequests(signatures, networkImageOf(config))),
    },
  });
  if (options.onnx !== undefined) {
    const { bytes } = lower(
      { outputs: signatures.serving_default!.outputs },
      { frozen: parameters, runtimeOps: false },
    );
    await writeFileAtomic(options.onnx, bytes);
  }
  return folder;
}
