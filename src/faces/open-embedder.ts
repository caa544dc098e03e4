/** @file Opens the embedding of a pack in floats or in 8-bit integers. */
import { FaceEmbedder } from "./embedder.ts";
import { isUsual, type Mode, modeOf } from "./mode.ts";
import type { OpenPackNetwork } from "./network.ts";

export interface EmbedderOptions {
  /** Default `float32`. */
  readonly precision?: Mode["precision"] | undefined;
  /** Default `standard`. */
  readonly profile?: Mode["profile"] | undefined;
  /** Whether the mirror image takes part, at twice the time. Embeddings with and without differ. Default: in the usual mode only. */
  readonly mirror?: boolean | undefined;
}

/**
 * @param model the ONNX file's content.
 * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not SFace, or whose 8-bit form is not known.
 */
export async function openEmbedder(
  model: Uint8Array,
  open: OpenPackNetwork,
  options: EmbedderOptions = {},
): Promise<FaceEmbedder> {
  const mode = modeOf(options);
  const { precision } = mode;
  const { mirror = isUsual(mode) } = options;
  // What lowers it is not loaded where it was kept.
  const lower = async () =>
    precision === "int8"
      ? (await import("./lower-integers.ts")).sfaceInIntegers(model)
      : (await import("./lower-networks.ts")).sfaceModel(model);
  return new FaceEmbedder(await open(`sface-${precision}`, model, lower), mirror);
}
