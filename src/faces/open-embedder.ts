/** @file Opens the embedding of a pack in floats or in 8-bit integers. */
import { createHash } from "node:crypto";
import { FaceError } from "../base/errors.ts";
import { quantize, valuesToMeasure } from "../onnx/quantize/quantize.ts";
import { FaceEmbedder, sfaceModel } from "./embedder.ts";
import { keptNetwork } from "./lowered-cache.ts";
import type { OpenNetwork } from "./network.ts";
import type { Precision } from "./precision.ts";
import { SFACE_MEASURED, SFACE_RANGES } from "./sface-ranges.ts";

export interface EmbedderOptions {
  /** Whether the mirror image takes part, at twice the time. Embeddings with and without differ. Default: in floats only. */
  readonly mirror?: boolean | undefined;
  /** Default `float32`. */
  readonly precision?: Precision | undefined;
}

/** The network in 8-bit integers, by ranges that were measured on faces of LFW. */
function sfaceInIntegers(file: Uint8Array): Uint8Array {
  const bytes = sfaceModel(file);
  const ranges = new Map(SFACE_RANGES.map(([name, low, high]) => [name, { low, high }]));
  const isMeasured = createHash("sha256").update(file).digest("hex") === SFACE_MEASURED;
  if (isMeasured && valuesToMeasure(bytes).every((name) => ranges.has(name))) {
    return quantize(bytes, ranges).bytes;
  }
  throw new FaceError("MODEL_UNSUPPORTED", "this face embedding was not measured for 8-bit integers", {
    hint: "use the file of the pack opencv-sface, or floats",
  });
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
  const lower = () => (precision === "int8" ? sfaceInIntegers(model) : sfaceModel(model));
  return await FaceEmbedder.open(await keptNetwork(`sface-${precision}`, model, lower), open, mirror);
}
