/** @file Opens the SavedModel of an exported model. */
import { COMPARE, EMBED } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { rowsAtATime } from "../graph/batch-rows.ts";
import type { Verifier } from "../model/verifier.ts";
import { lower } from "../onnx/lower/lower.ts";
import { type ReadModel, readSavedModel } from "../savedmodel/read/read.ts";
import { pooledVerifier } from "../train/inference.ts";

async function onnxOf(model: ReadModel, signature: string) {
  const { outputs } = await model.program(signature);
  return { bytes: lower({ outputs }).bytes, rows: rowsAtATime(Object.values(outputs)) };
}

/** The sizes that the signatures `embed` and `compare` name. */
function sizesOf(
  { signatures }: ReadModel,
  folder: string,
): { height: number; width: number; embeddingSize: number } {
  const embed = signatures.get(EMBED.signature);
  const [, height = 0, width = 0] = embed?.inputs.get(EMBED.image)?.shape ?? [];
  const embeddingSize = embed?.outputs.get(EMBED.embedding)?.shape?.[1] ?? 0;
  const missing = [EMBED, COMPARE].find(({ signature }) => !signatures.has(signature));
  if (missing === undefined && Math.min(height, width, embeddingSize) > 0)
    return { height, width, embeddingSize };
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    missing === undefined
      ? `the signature ${EMBED.signature} of ${folder} does not name the size of its images and embeddings`
      : `${folder} has no signature ${missing.signature}`,
    {
      hint:
        `use a model that faceid exported, with the signatures ${EMBED.signature} and ${COMPARE.signature}; a network from elsewhere says ` +
        "neither how faces must lie in its images nor how its embeddings are compared: convert it with faceid convert --framing and --pixels, or use a model pack",
    },
  );
}

/**
 * A verifier from a version's folder.
 * @param sessions sessions for embedding; one per core when left out.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function savedModelVerifier(folder: string, sessions?: number): Promise<Verifier> {
  const model = await readSavedModel(folder);
  const { height, width, embeddingSize } = sizesOf(model, folder);
  const [embed, compare] = await Promise.all([
    onnxOf(model, EMBED.signature),
    onnxOf(model, COMPARE.signature),
  ]);
  const models = { embed: embed.bytes, rows: embed.rows, compare: compare.bytes };
  return await pooledVerifier({ image: { height, width }, embeddingSize, ...models }, sessions);
}
