/** @file The trained network as an ONNX file with YuNet's inputs and outputs. */
import type { TensorMap } from "../../src/base/tensor.ts";
import { lower } from "../../src/onnx/lower/lower.ts";
import { averagedState } from "../../src/train/weight-averages.ts";
import { detectorProgram } from "./step.ts";

/** The picture's sides in the file; who opens it may choose others. */
const SIDES = [640, 640] as const;

/** @param state a checkpoint's; the running averages of its weights are used. */
export function exportDetector(state: TensorMap): Uint8Array {
  const program = detectorProgram(...SIDES);
  return lower(program, { frozen: averagedState(state), runtimeOps: false, name: "faceid-detector" }).bytes;
}
