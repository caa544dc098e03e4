/** @file YuNet's network for pictures of any size: one session for all. */
import { FaceError } from "../base/errors.ts";
import { floats } from "../base/tensor.ts";
import type { Node } from "../graph/ops.ts";
import type { Pixels } from "../image/settings.ts";
import { forAnySize } from "../onnx/lower/any-size.ts";
import { lower } from "../onnx/lower/lower.ts";
import { readOnnx } from "../onnx/read/read.ts";
import type { Detection } from "./face.ts";
import { type NetworkRunner, type OpenNetwork, writePlanes } from "./network.ts";
import { decodeYunet, INPUT_MULTIPLE, STRIDES } from "./yunet.ts";

/** The network's input in its file. */
const INPUT = "input";
/** The size that the network is lowered for, before its sides are freed: no side is 1 in any layer, and no two are equal. */
const LOWERED_SIDES = [2 * INPUT_MULTIPLE, 3 * INPUT_MULTIPLE] as const;

const ceiling = (side: number) => Math.max(1, Math.ceil(side / INPUT_MULTIPLE)) * INPUT_MULTIPLE;

/** The picture with black to the right and below, so that both sides are multiples of 32. */
function padded(picture: Pixels): Pixels {
  const [width, height] = [ceiling(picture.width), ceiling(picture.height)];
  if (width === picture.width && height === picture.height) return picture;
  const data = new Uint8Array(width * height * 3);
  const stride = picture.width * 3;
  for (let row = 0; row < picture.height; row++) {
    data.set(picture.data.subarray(row * stride, (row + 1) * stride), row * width * 3);
  }
  return { data, width, height };
}

const notYunet = (what: string, cause?: unknown) =>
  new FaceError("MODEL_UNSUPPORTED", `the face detector ${what}`, {
    hint: "use YuNet's file face_detection_yunet_2023mar or its int8bq variant",
    cause,
  });

/** YuNet's graph. */
function outputsOf(model: Uint8Array): Readonly<Record<string, Node>> {
  const inputShapes = { [INPUT]: [1, 3, ...LOWERED_SIDES] };
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
    throw notYunet(`takes no images as its ${INPUT}`, error);
  }
}

/** YuNet. */
export class YunetNetwork implements AsyncDisposable {
  readonly #runner: NetworkRunner;

  private constructor(runner: NetworkRunner) {
    this.#runner = runner;
  }

  /**
   * @param model the ONNX file's content.
   * @param open starts a session.
   * @param keep answers with what it lowered before, where it keeps that. Default: lowers anew.
   * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not YuNet.
   */
  static async open(
    model: Uint8Array,
    open: OpenNetwork,
    keep: (file: Uint8Array, lower: () => Uint8Array) => Promise<Uint8Array> = async (_, make) => make(),
  ): Promise<YunetNetwork> {
    const network = await keep(model, () => forAnySize(lower({ outputs: outputsOf(model) }).bytes));
    return new YunetNetwork(await open(network));
  }

  /**
   * Cells of a picture that may be part of a face, in its pixels.
   * @param threshold lowest score of a cell.
   */
  async detect(picture: Pixels, threshold: number): Promise<Detection[]> {
    const { data, width, height } = padded(picture);
    const planes = new Float32Array(width * height * 3);
    writePlanes({ data, width, height }, "bgr", false, planes, 0);
    const input = { dtype: "float32" as const, shape: [1, 3, height, width], data: planes };
    const outputs = await this.#runner.run(new Map([[INPUT, input]]));
    return decodeYunet((name) => floats(outputs.get(name)!), { width, height }, threshold);
  }

  async close(): Promise<void> {
    await this.#runner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
