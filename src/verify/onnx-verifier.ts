/** @file Opens an ONNX version, such as `faceid quantize` writes; it scores pairs of images and gives no embeddings. */
import { availableParallelism } from "node:os";
import { ONNX_FILE } from "../artifact/files.ts";
import { PAIR, pairInputs } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { floats } from "../base/tensor.ts";
import type { ImageSize } from "../model/model-config.ts";
import type { PairVerifier } from "../model/verifier.ts";
import { type OnnxModel, type OnnxPort, readOnnxFile } from "../onnx/runtime/model-file.ts";
import { SessionPool } from "../onnx/runtime/session-pool.ts";

/** A verifier from the bytes of an ONNX model of the pair signature, run by so many single-threaded sessions. */
export async function pairVerifier(
  bytes: Uint8Array,
  { height, width }: ImageSize,
  sessions = availableParallelism(),
): Promise<PairVerifier> {
  const pool = await SessionPool.open(bytes, sessions);
  return {
    image: { height, width },
    concurrency: sessions,
    async score(anchors, verifications, count) {
      const shape = [count, height, width, 3];
      const results = await pool.run(pairInputs(PAIR, shape, anchors, verifications));
      return floats(results.get(PAIR.classifier)!);
    },
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

/** The image size that the pair signature of an ONNX model takes. */
function imageSizeOf({ inputs, outputs }: OnnxModel, path: string): ImageSize {
  const named = (ports: readonly OnnxPort[], name: string) => ports.find((port) => port.name === name);
  const [anchor, verification] = [PAIR.anchor, PAIR.verification].map((name) => named(inputs, name));
  const [rows, height, width, channels] = anchor?.shape ?? [];
  const isPair =
    inputs.length === 2 &&
    [anchor, verification].every((port) => port?.dtype === "float32") &&
    String(anchor?.shape) === String(verification?.shape) &&
    named(outputs, PAIR.classifier)?.dtype === "float32";
  if (isPair && rows! < 0 && channels === 3 && height! > 0 && width! > 0)
    return { height: height!, width: width! };
  const text = (ports: readonly OnnxPort[]) =>
    ports.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape?.join(",") ?? "?"}]`).join(", ");
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `${path} takes ${text(inputs)} and gives ${text(outputs)}; measuring takes two images, ${PAIR.anchor} and ${PAIR.verification} [-1,height,width,3], and gives ${PAIR.classifier}`,
    {
      hint: `use an ONNX version that \`faceid quantize\` wrote, or a file that \`faceid export --onnx\` wrote as ${ONNX_FILE}`,
    },
  );
}

/**
 * A verifier from an ONNX file.
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID` or `MODEL_UNSUPPORTED`.
 */
export async function onnxVerifier(path: string, sessions?: number): Promise<PairVerifier> {
  const { bytes, model } = await readOnnxFile(path);
  return await pairVerifier(bytes, imageSizeOf(model, path), sessions);
}
