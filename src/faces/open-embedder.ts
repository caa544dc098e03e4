/** @file Opens the embedding of a pack in floats or in 8-bit integers. */
import { FaceEmbedder } from "./embedder.ts";
import { keptNetwork } from "./lowered-cache.ts";
import type { OpenNetwork } from "./network.ts";
import type { Precision } from "./precision.ts";

export interface EmbedderOptions {
  /** Whether the mirror image takes part, at twice the time. Embeddings with and without differ. Default: in floats only. */
  readonly mirror?: boolean | undefined;
  /** Default `float32`. */
  readonly precision?: Precision | undefined;
}

/**
 * @param model the ONNX file's content; what it is lowered to is kept on disk.
 * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not SFace, or whose 8-bit form is not known.
 */
export async function openEmbedder(
  model: Uint8Array,
  open: OpenNetwork,
  { precision = "float32", mirror = precision === "float32" }: EmbedderOptions = {},
): Promise<FaceEmbedder> {
  // What lowers it is not loaded where it was kept.
  const lower = async () =>
    precision === "int8"
      ? (await import("./lower-integers.ts")).sfaceInIntegers(model)
      : (await import("./lower-networks.ts")).sfaceModel(model);
  return await FaceEmbedder.open(await keptNetwork(`sface-${precision}`, model, lower), open, mirror);
}
