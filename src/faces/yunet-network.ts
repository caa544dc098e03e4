/** @file YuNet's network for pictures of any size: one session for all. */
import { floats } from "../base/tensor.ts";
import type { Pixels } from "../image/settings.ts";
import type { Detection } from "./face.ts";
import {
  buffers,
  type NetworkRunner,
  type OpenNetwork,
  type OpenPackNetwork,
  writePlanes,
} from "./network.ts";
import { decodeYunet, INPUT_MULTIPLE, YUNET_INPUT } from "./yunet.ts";

const ceiling = (side: number) => Math.max(1, Math.ceil(side / INPUT_MULTIPLE)) * INPUT_MULTIPLE;

/** YuNet. */
export class YunetNetwork implements AsyncDisposable {
  readonly #runner: NetworkRunner;

  private constructor(runner: NetworkRunner) {
    this.#runner = runner;
  }

  /**
   * @param model the ONNX file's content.
   * @throws FaceError `MODEL_INVALID` or `MODEL_UNSUPPORTED` for a file that is not YuNet.
   */
  static open(model: Uint8Array, open: OpenNetwork): Promise<YunetNetwork> {
    return YunetNetwork.openKept(model, async (_, __, lower) => await open(await lower()));
  }

  /** The same where the lowered network may have been kept. */
  static async openKept(model: Uint8Array, open: OpenPackNetwork): Promise<YunetNetwork> {
    // What lowers it is not loaded where it was kept.
    const lower = async () => (await import("./lower-networks.ts")).yunetModel(model);
    return new YunetNetwork(await open("yunet", model, lower));
  }

  /**
   * Cells of a picture that may be part of a face, in its pixels.
   * @param threshold lowest score of a cell.
   */
  async detect(picture: Pixels, threshold: number): Promise<Detection[]> {
    const [width, height] = [ceiling(picture.width), ceiling(picture.height)];
    const size = width * height;
    return await buffers.lend(3 * size * Float32Array.BYTES_PER_ELEMENT, async (memory) => {
      const planes = new Float32Array(memory, 0, 3 * size);
      // Black to the right and below, so that both sides are multiples of 32.
      if (width !== picture.width || height !== picture.height) planes.fill(0);
      writePlanes(picture, "bgr", false, { planes, offset: 0, stride: width, size });
      const input = { dtype: "float32" as const, shape: [1, 3, height, width], data: planes };
      const outputs = await this.#runner.run(new Map([[YUNET_INPUT, input]]));
      return decodeYunet((name) => floats(outputs.get(name)!), { width, height }, threshold);
    });
  }

  async close(): Promise<void> {
    await this.#runner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
