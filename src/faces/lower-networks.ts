/** @file The networks of a pack as the runtime takes them. Without imports of Node; loaded only where a network was not kept. */
import { FaceError } from "../base/errors.ts";
import type { Node } from "../graph/ops.ts";
import { forAnySize } from "../onnx/lower/any-size.ts";
import { lower } from "../onnx/lower/lower.ts";
import { readOnnx } from "../onnx/read/read.ts";
import { SFACE_INPUT, SFACE_OUTPUT } from "./embedder.ts";
import { INPUT_MULTIPLE, STRIDES, YUNET_INPUT } from "./yunet.ts";

/** The size that the network is lowered for, before its sides are freed: no side is 1 in any layer, and no two are equal. */
const LOWERED_SIDES = [2 * INPUT_MULTIPLE, 3 * INPUT_MULTIPLE] as const;

const notYunet = (what: string, cause?: unknown) =>
  new FaceError("MODEL_UNSUPPORTED", `the face detector ${what}`, {
    hint: "use YuNet's file face_detection_yunet_2023mar or its int8bq variant",
    cause,
  });

/** YuNet's graph. */
function outputsOf(model: Uint8Array): Readonly<Record<string, Node>> {
  const inputShapes = { [YUNET_INPUT]: [1, 3, ...LOWERED_SIDES] };
  try {
    const { outputs } = readOnnx(model, { what: "the face detector", inputShapes });
    const wanted = STRIDES.flatMap((stride) =>
      ["cls", "obj", "bbox", "kps"].map((kind) => `${kind}_${stride}`),
    );
    const missing = wanted.filter((name) => !(name in outputs));
    if (missing.length > 0) throw notYunet(`has no output ${missing.join(", ")}`);
    return outputs;
  } catch (error) {
    if (!(error instanceof FaceError) || error.code !== "SHAPE_MISMATCH") throw error;
    throw notYunet(`takes no images as its ${YUNET_INPUT}`, error);
  }
}

/**
 * YuNet as the runtime takes it, for pictures of any size.
 * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not YuNet.
 */
export function yunetModel(file: Uint8Array): Uint8Array {
  return forAnySize(lower({ outputs: outputsOf(file) }).bytes);
}

/**
 * SFace as the runtime takes it, in floats.
 * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not SFace.
 */
export function sfaceModel(file: Uint8Array): Uint8Array {
  const { inputs, outputs } = readOnnx(file, { what: "the face embedding" });
  if (!(SFACE_INPUT in inputs && SFACE_OUTPUT in outputs)) {
    throw new FaceError(
      "MODEL_UNSUPPORTED",
      `the face embedding has no input ${SFACE_INPUT} or no output ${SFACE_OUTPUT}`,
      { hint: "use SFace's file face_recognition_sface_2021dec or its int8bq variant" },
    );
  }
  return lower({ outputs: { [SFACE_OUTPUT]: outputs[SFACE_OUTPUT]! } }).bytes;
}
