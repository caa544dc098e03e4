/** @file Aligned faces become embeddings. Without imports of Node, as the page computes them too. */
import { FaceError } from "../base/errors.ts";
import { floats, type TensorMap } from "../base/tensor.ts";
import type { Pixels } from "../image/settings.ts";
import { buffers, type NetworkRunner, writePlanes } from "./network.ts";

/** SFace's input and output in its file. */
export const SFACE_INPUT = "data";
export const SFACE_OUTPUT = "fc1";

/** Side in pixels of the crops that SFace reads, aligned to ArcFace's template. */
export const EMBEDDING_SIDE = 112;
/** Numbers in an embedding. */
export const EMBEDDING_SIZE = 128;

/** Scales a vector to length 1; undefined for one that has no direction. */
function normalized(vector: Float32Array): Float32Array | undefined {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length > 0 && Number.isFinite(length) ? vector.map((value) => value / length) : undefined;
}

/** The direction of the sum of vectors of length 1, each the direction of `size` of the values. */
function sumOfDirections(values: Float32Array, size: number): Float32Array | undefined {
  const sum = new Float32Array(size);
  for (let start = 0; start < values.length; start += size) {
    const direction = normalized(values.subarray(start, start + size));
    if (direction === undefined) return undefined;
    for (let i = 0; i < size; i++) sum[i]! += direction[i]!;
  }
  return normalized(sum);
}

const inputBytes = ({ width, height }: Pixels, mirror: boolean) =>
  (mirror ? 2 : 1) * 3 * width * height * Float32Array.BYTES_PER_ELEMENT;

/**
 * A crop, and its mirror image where wanted, as the network's input.
 * @param memory for it, of any content.
 */
export function sfaceInput(
  crop: Pixels,
  mirror: boolean,
  memory = new ArrayBuffer(inputBytes(crop, mirror)),
): TensorMap {
  const { width, height } = crop;
  const size = width * height;
  const images = mirror ? 2 : 1;
  const data = new Float32Array(memory, 0, images * 3 * size);
  for (let i = 0; i < images; i++) {
    writePlanes(crop, "rgb", i === 1, { planes: data, offset: i * 3 * size, stride: width, size });
  }
  return new Map([[SFACE_INPUT, { dtype: "float32" as const, shape: [images, 3, height, width], data }]]);
}

/** SFace (Zhong et al., 2021). */
export class FaceEmbedder implements AsyncDisposable {
  readonly #runner: NetworkRunner;
  readonly #mirror: boolean;

  /**
   * @param runner a session of SFace as `sfaceModel` lowers it, or of its 8-bit form.
   * @param mirror whether the mirror image takes part, at twice the time. Embeddings with and without differ.
   */
  constructor(runner: NetworkRunner, mirror: boolean) {
    this.#runner = runner;
    this.#mirror = mirror;
  }

  /**
   * The embedding of a face: that of its crop and that of the crop's mirror image, each of length 1, summed and scaled to
   * length 1 again. Both are always run together and without others, so no batch changes a bit of the result.
   * @param crop eight-bit RGB `[112, 112, 3]`, aligned to ArcFace's template.
   * @throws FaceError `SHAPE_MISMATCH` for a crop of another size.
   */
  async embed(crop: Pixels): Promise<Float32Array> {
    const { width, height } = crop;
    if (width !== EMBEDDING_SIDE || height !== EMBEDDING_SIDE) {
      throw new FaceError(
        "SHAPE_MISMATCH",
        `the face embedding takes ${EMBEDDING_SIDE}x${EMBEDDING_SIDE} pixels, got ${width}x${height}`,
      );
    }
    const results = await buffers.lend(inputBytes(crop, this.#mirror), (memory) =>
      this.#runner.run(sfaceInput(crop, this.#mirror, memory)),
    );
    const values = floats(results.get(SFACE_OUTPUT)!);
    const embedding = sumOfDirections(values, values.length / (this.#mirror ? 2 : 1));
    if (embedding === undefined) {
      throw new FaceError("MODEL_INVALID", "the face embedding gave a vector without direction");
    }
    return embedding;
  }

  async close(): Promise<void> {
    await this.#runner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
