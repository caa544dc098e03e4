/** @file Opens an exported model for use, with what its description says about it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FaceError, systemCode } from "../base/errors.ts";
import { DESCRIPTION_FILE, type ModelDescription } from "../jobs/export.ts";
import type { ImageSize } from "../model/model-config.ts";
import type { Verifier } from "../model/verifier.ts";
import { lower } from "../onnx/lower/lower.ts";
import { type ReadModel, readSavedModel } from "../savedmodel/read/read.ts";
import { pooledVerifier } from "../train/inference.ts";
import { currentSettings } from "../train/setting-names.ts";

/** Reads `assets.extra/faceid.json`; undefined for a model that others made. */
export async function readDescription(folder: string): Promise<ModelDescription | undefined> {
  const path = join(folder, DESCRIPTION_FILE);
  try {
    const description = JSON.parse(await readFile(path, "utf8")) as ModelDescription;
    const { training } = description;
    // Earlier versions wrote settings under other names.
    const config = currentSettings({ ...training.config }) as typeof training.config;
    return { ...description, training: { ...training, config } };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new FaceError("MODEL_INVALID", `${path} is damaged`, { cause: error });
  }
}

async function onnxOf(model: ReadModel, signature: string): Promise<Uint8Array> {
  if (!model.signatures.has(signature)) {
    throw new FaceError("MODEL_UNSUPPORTED", `the model has no signature ${signature}`, {
      hint: "measuring takes a model exported by faceid, with the signatures embed and compare",
    });
  }
  return lower({ outputs: (await model.program(signature)).outputs }).bytes;
}

/** The image size that a model's `embed` signature takes. */
function imageSizeOf(model: ReadModel): ImageSize {
  const [, height, width] = model.signatures.get("embed")?.inputs.get("input_image")?.shape ?? [];
  if (height === undefined || width === undefined || height < 1 || width < 1) {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      "the model's embed signature does not say what size of images it takes",
    );
  }
  return { height, width };
}

/** A verifier from a version's folder. */
export async function savedModelVerifier(folder: string, sessions?: number): Promise<Verifier> {
  const model = await readSavedModel(folder);
  const [embed, compare] = [await onnxOf(model, "embed"), await onnxOf(model, "compare")];
  const embeddingSize = model.signatures.get("embed")!.outputs.get("embedding")?.shape?.[1] ?? 0;
  return await pooledVerifier({ image: imageSizeOf(model), embeddingSize, embed, compare }, sessions);
}
