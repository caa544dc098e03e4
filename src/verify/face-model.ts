/** @file A trained model in the hands of a program: photographs to embeddings, embeddings to probabilities, a decision. */
import { FaceError } from "../base/errors.ts";
import type { CalibrationRecord } from "../evaluate/thresholds.ts";
import { decodeImage } from "../image/decode.ts";
import { type ImageSettings, prepare } from "../image/settings.ts";
import type { Verifier } from "../model/verifier.ts";
import { type OpenedModel, openModel } from "./open-model.ts";

/** A photograph: the path of an image file, or the file's content (JPEG, PNG, WebP, GIF, TIFF, AVIF, PGM, PPM, PBM). */
export type Photo = string | Uint8Array;

/** What a model says about two photographs. */
export interface Verification {
  /** That both show one person, in [0, 1]. */
  readonly probability: number;
  /** Whether the probability reaches the threshold; absent where the model carries no calibration record. */
  readonly same?: boolean;
  /** In [0, 1]. */
  readonly threshold?: number;
}

/** How to decide. */
export interface VerifyOptions {
  /** Highest false accept rate wanted, such as 0.01; the threshold with the most right decisions when left out. */
  readonly far?: number;
}

/** Photographs in one run of the network. */
const BATCH = 16;

/** A model that has been loaded; `await using` or `close()` frees its threads. */
export class FaceModel implements AsyncDisposable {
  readonly #opened: OpenedModel;

  /** Use `loadModel`. */
  constructor(opened: OpenedModel) {
    this.#opened = opened;
  }

  /** The checkpoint's file or the version's folder. */
  get path(): string {
    return this.#opened.path;
  }

  /** Height and width that photographs are scaled to, in pixels. */
  get image(): ImageSettings {
    const { height, width } = this.#opened.verifier.image;
    return { height, width, channels: 3 };
  }

  /**
   * Numbers in an embedding.
   * @throws FaceError `MODEL_UNSUPPORTED` for an ONNX version, which gives none.
   */
  get embeddingSize(): number {
    return this.#embedder.embeddingSize;
  }

  get #embedder(): Verifier {
    const { verifier } = this.#opened;
    if (!("score" in verifier)) return verifier;
    throw new FaceError("MODEL_UNSUPPORTED", `${this.path} compares photographs and gives no embeddings`, {
      hint: "use verify, or load the SavedModel or the run that it was made of",
    });
  }

  /** Thresholds with the error rates measured at them; only exported models carry them. */
  get calibration(): CalibrationRecord | undefined {
    return this.#opened.calibration;
  }

  /**
   * Embeds photographs, sixteen at a time, on all cores.
   * @returns an embedding of `embeddingSize` numbers for each, in the same order.
   * @throws FaceError `IMAGE_UNREADABLE` for a photograph that is missing, damaged or no image.
   */
  async embed(photos: readonly Photo[]): Promise<Float32Array[]> {
    const starts = Array.from({ length: Math.ceil(photos.length / BATCH) }, (_, i) => i * BATCH);
    const batches: Float32Array[][] = [];
    const { lanes } = this.#embedder;
    for (let i = 0; i < starts.length; i += lanes) {
      const round = starts
        .slice(i, i + lanes)
        .map((from) => this.#embedBatch(photos.slice(from, from + BATCH)));
      batches.push(...(await Promise.all(round)));
    }
    return batches.flat();
  }

  /**
   * Compares two embeddings of this model.
   * @returns the probability that they are of one person, in [0, 1]; the order may matter slightly.
   * @throws FaceError `SHAPE_MISMATCH` for embeddings of another size.
   */
  async compare(left: Float32Array, right: Float32Array): Promise<number> {
    return (await this.compareAll([[left, right]]))[0]!;
  }

  /** Compares many pairs of embeddings at once; see `compare`. */
  async compareAll(pairs: readonly (readonly [Float32Array, Float32Array])[]): Promise<Float32Array> {
    const verifier = this.#embedder;
    const size = verifier.embeddingSize;
    const rows = (side: 0 | 1) => {
      const values = new Float32Array(pairs.length * size);
      pairs.forEach((pair, row) => {
        if (pair[side].length !== size) {
          throw new FaceError(
            "SHAPE_MISMATCH",
            `an embedding of this model has ${size} numbers, got ${pair[side].length}`,
          );
        }
        values.set(pair[side], row * size);
      });
      return values;
    };
    const [left, right] = [rows(0), rows(1)];
    return pairs.length === 0 ? new Float32Array() : await verifier.compare(left, right, pairs.length);
  }

  /**
   * Says whether two photographs show one person.
   * @throws FaceError `IMAGE_UNREADABLE`, or `CONFIG_INVALID` when the model is not calibrated for so low a rate.
   */
  async verify(left: Photo, right: Photo, { far }: VerifyOptions = {}): Promise<Verification> {
    const threshold = this.#threshold(far);
    const probability = await this.#score(left, right);
    return threshold === undefined
      ? { probability }
      : { probability, same: probability >= threshold, threshold };
  }

  close(): Promise<void> {
    return Promise.resolve(this.#opened.verifier[Symbol.asyncDispose]());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #threshold(far: number | undefined): number | undefined {
    const { calibration } = this.#opened;
    if (far === undefined) return calibration?.threshold;
    const points = calibration?.operatingPoints.filter((point) => point.far <= far) ?? [];
    const point = points.toSorted((a, b) => b.far - a.far)[0];
    if (point !== undefined) return point.threshold;
    const known = calibration?.operatingPoints.map((each) => each.far).join(", ");
    throw new FaceError("CONFIG_INVALID", `the model is not calibrated for a false accept rate of ${far}`, {
      hint: known
        ? `choose ${known}, or leave far out`
        : "only exported models with enough data are calibrated; leave far out",
    });
  }

  async #score(left: Photo, right: Photo): Promise<number> {
    const { verifier } = this.#opened;
    if ("score" in verifier) {
      const [one, other] = await Promise.all([left, right].map((photo) => this.#pixels([photo])));
      return (await verifier.score(one!, other!, 1))[0]!;
    }
    const [one, other] = await this.embed([left, right]);
    return await this.compare(one!, other!);
  }

  async #pixels(photos: readonly Photo[]): Promise<Float32Array> {
    const { image } = this;
    const pixels = await Promise.all(photos.map((photo) => decodeImage(photo, image)));
    const length = image.height * image.width * image.channels;
    const images = new Float32Array(photos.length * length);
    for (const [row, each] of pixels.entries()) images.set(prepare(each), row * length);
    return images;
  }

  async #embedBatch(photos: readonly Photo[]): Promise<Float32Array[]> {
    const size = this.embeddingSize;
    const images = await this.#pixels(photos);
    const values = await this.#embedder.embed(images, photos.length);
    return photos.map((_, row) => values.slice(row * size, (row + 1) * size));
  }
}

/**
 * Loads a model for use in this process.
 * @param path a run's folder (its best checkpoint), a `.safetensors` file, a SavedModel or ONNX version's folder, or the folder
 *   of all versions (the newest).
 * @throws FaceError `MODEL_NOT_FOUND`, `MODEL_INVALID`, `MODEL_UNSUPPORTED` or `CHECKPOINT_INVALID`.
 */
export async function loadModel(path: string): Promise<FaceModel> {
  return new FaceModel(await openModel(path));
}
