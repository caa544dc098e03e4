/** @file A pack's embedding in 8-bit integers. */
import { createHash } from "node:crypto";
import { FaceError } from "../base/errors.ts";
import { equalised } from "../onnx/quantize/equalise.ts";
import { quantize, valuesToMeasure } from "../onnx/quantize/quantize.ts";
import { sfaceModel } from "./lower-networks.ts";
import { SFACE_FACTORS, SFACE_MEASURED, SFACE_RANGES } from "./sface-ranges.ts";

/** SFace in floats, as it is quantised. @throws FaceError as `sfaceModel`. */
export const sfaceForIntegers = (file: Uint8Array): Uint8Array =>
  equalised(sfaceModel(file), new Map(SFACE_FACTORS));

/**
 * SFace in 8-bit integers, by ranges that were measured on faces of LFW.
 * @throws FaceError `MODEL_UNSUPPORTED` for a file that they were not measured on.
 */
export function sfaceInIntegers(file: Uint8Array): Uint8Array {
  const bytes = sfaceForIntegers(file);
  const ranges = new Map(SFACE_RANGES.map(([name, low, high]) => [name, { low, high }]));
  const isMeasured = createHash("sha256").update(file).digest("hex") === SFACE_MEASURED;
  if (isMeasured && valuesToMeasure(bytes).every((name) => ranges.has(name))) {
    return quantize(bytes, ranges).bytes;
  }
  throw new FaceError("MODEL_UNSUPPORTED", "this face embedding was not measured for 8-bit integers", {
    hint: "use the file of the pack opencv-sface, or floats",
  });
}
