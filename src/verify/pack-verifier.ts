/** @file The embedding of a model pack as a verifier of crops, so that it is measured as trained models are. */

import { readFile } from "node:fs/promises";
import { usableCores } from "../base/platform.ts";
import { framingName } from "../faces/alignment.ts";
import { cosineSimilarity } from "../faces/cosine.ts";
import { EMBEDDING_SIDE, EMBEDDING_SIZE } from "../faces/embedder.ts";
import { openLowered } from "../faces/lowered-cache.ts";
import { type Mode, USUAL_MODE } from "../faces/mode.ts";
import { openPack } from "../faces/models.ts";
import { openEmbedder } from "../faces/open-embedder.ts";
import { packModelNamed } from "../faces/packs/catalogue.ts";
import type { OpenPackOptions } from "../faces/packs/store.ts";
import type { Verifier } from "../model/verifier.ts";
import { SessionPool } from "../onnx/runtime/session-pool.ts";
import { trainConfigSchema } from "../train/config.ts";
import type { OpenedModel } from "./open-model.ts";
import { packCalibration } from "./pack-calibrations.ts";

/** Values of an image. */
const IMAGE = EMBEDDING_SIDE * EMBEDDING_SIDE * 3;

/** `compare` answers cosines. Each crop goes through the network as in `FacePipeline`: alone, or beside its mirror image. */
async function packVerifier(file: string, mode: Mode, sessions: number): Promise<Verifier> {
  const open = openLowered((model) => SessionPool.open(model, sessions));
  const embedder = await openEmbedder(await readFile(file), open, mode);
  const rowsOf = (values: Float32Array, size: number, count: number) =>
    Array.from({ length: count }, (_, row) => values.subarray(row * size, (row + 1) * size));
  return {
    image: { height: EMBEDDING_SIDE, width: EMBEDDING_SIDE },
    embeddingSize: EMBEDDING_SIZE,
    concurrency: sessions,
    async embed(images, count) {
      const embeddings = await Promise.all(
        rowsOf(images, IMAGE, count).map((image) => {
          const data = Uint8Array.from(image, (value) => Math.round(value * 255));
          return embedder.embed({ data, width: EMBEDDING_SIDE, height: EMBEDDING_SIDE });
        }),
      );
      const values = new Float32Array(count * EMBEDDING_SIZE);
      for (const [row, embedding] of embeddings.entries()) values.set(embedding, row * EMBEDDING_SIZE);
      return values;
    },
    async compare(anchors, verifications, count) {
      const [left, right] = [anchors, verifications].map((side) => rowsOf(side, EMBEDDING_SIZE, count));
      return Float32Array.from(left!, (row, i) => cosineSimilarity(row, right![i]!));
    },
    [Symbol.asyncDispose]: () => embedder.close(),
  };
}

/**
 * Opens a model pack, fetched first where it is missing, as a model to measure: on faces that are found and aligned.
 * @param name of the pack, or of its model in another mode, such as `opencv-sface-int8`.
 * @throws FaceError `PACK_UNKNOWN`, `PACK_MISSING`, `PACK_INVALID`.
 */
export async function openPackModel(
  name: string,
  { sessions = usableCores(), ...options }: OpenPackOptions & { readonly sessions?: number } = {},
): Promise<OpenedModel> {
  const model = packModelNamed(name) ?? { pack: name, ...USUAL_MODE };
  const { files } = await openPack(model.pack, options);
  const calibration = packCalibration(model);
  return {
    path: name,
    verifier: await packVerifier(files.embedding, model, sessions),
    config: trainConfigSchema.parse({ faces: "align", imageShape: [EMBEDDING_SIDE, EMBEDDING_SIDE] }),
    history: [],
    ...(calibration === undefined ? {} : { calibration }),
    framing: framingName({ kind: "aligned" }, EMBEDDING_SIDE),
    pack: name,
  };
}
