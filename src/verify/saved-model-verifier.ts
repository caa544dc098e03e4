/** @file Opens an exported model for use, with what its description says about it. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { FaceError, systemCode } from "../base/errors.ts";
import { float32, floats } from "../base/tensor.ts";
import { DESCRIPTION_FILE, type ModelDescription } from "../jobs/export.ts";
import type { ImageSize } from "../model/backbone.ts";
import type { Verifier } from "../model/verifier.ts";
import { lower } from "../onnx/lower/lower.ts";
import { SessionPool } from "../onnx/runtime/session-pool.ts";
import { type ReadModel, readSavedModel } from "../savedmodel/read/read.ts";

/** Reads `assets.extra/faceid.json`; undefined for a model that others made. */
export async function readDescription(folder: string): Promise<ModelDescription | undefined> {
  const path = join(folder, DESCRIPTION_FILE);
  try {
    return JSON.parse(await readFile(path, "utf8")) as ModelDescription;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new FaceError("MODEL_INVALID", `${path} is damaged`, { cause: error });
  }
}

async function openPool(model: ReadModel, signature: string, lanes: number): Promise<SessionPool> {
  if (!model.signatures.has(signature)) {
    throw new FaceError("MODEL_UNSUPPORTED", `the model has no signature ${signature}`, {
      hint: "measuring takes a model exported by faceid, with the signatures embed and compare",
    });
  }
  return SessionPool.open(lower({ outputs: (await model.program(signature)).outputs }).bytes, lanes);
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
export async function savedModelVerifier(folder: string, lanes = availableParallelism()): Promise<Verifier> {
  const model = await readSavedModel(folder);
  const embed = await openPool(model, "embed", lanes);
  const compare = await openPool(model, "compare", 1);
  const { height, width } = imageSizeOf(model);
  const embeddingSize = model.signatures.get("embed")!.outputs.get("embedding")?.shape?.[1] ?? 0;
  const close = async () => {
    await Promise.all([embed.close(), compare.close()]);
  };
  return {
    image: { height, width },
    embeddingSize,
    lanes,
    async embed(images, count) {
      const results = await embed.run(new Map([["input_image", float32([count, height, width, 3], images)]]));
      return floats(results.get("embedding")!);
    },
    async compare(anchors, verifications, count) {
      const shape = [count, embeddingSize];
      const results = await compare.run(
        new Map([
          ["anchor_embedding", float32(shape, anchors)],
          ["verification_embedding", float32(shape, verifications)],
        ]),
      );
      return floats(results.get("classifier")!);
    },
    [Symbol.asyncDispose]: close,
  };
}
