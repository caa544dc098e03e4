/** @file The library's `FaceModel`: photographs to embeddings, embeddings to probabilities and decisions. */
import { z } from "zod";
import { checkValues } from "../artifact/allowed-values.ts";
import { answeredRate, type CalibrationRecord, type Decision } from "../artifact/calibration.ts";
import { readsAnySize } from "../artifact/description.ts";
import type { FalseAcceptRate } from "../artifact/rates.ts";
import { checkOptions, checkPath, checkPhoto, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { float32 } from "../base/tensor.ts";
import { packModelNamed } from "../faces/packs/catalogue.ts";
import { requireContent } from "../image/blank.ts";
import { cropDoubt } from "../image/crops.ts";
import { decodeInto, decodePixels } from "../image/decode.ts";
import { resizeInto } from "../image/resize.ts";
import type { ImageSettings } from "../image/settings.ts";
import type { Verifier } from "../model/verifier.ts";
import { requireDecision } from "./decision.ts";
import { OpenCalls } from "./open-calls.ts";
import type { OpenedModel } from "./open-model.ts";

/** A photograph: the path of an image file, or the file's content (JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, BMP, PGM, PPM, PBM). */
export type Photo = string | Uint8Array;

/** The result for two photographs. */
export interface Verification {
  /** Probability that both show one person, in [0, 1]. */
  readonly probability: number;
  /** Whether the probability reaches the threshold; absent when the model has no calibration record. */
  readonly same?: boolean;
  /** In [0, 1]. */
  readonly threshold?: number;
  /** The calibrated rate whose threshold it is; absent for the threshold with the most right decisions, of a record without rates. */
  readonly far?: number;
  /** Measured at the threshold; absent in older calibration records. */
  readonly falseAcceptRate?: FalseAcceptRate;
  /** What makes the pictures doubtful as crops of a face, such as the size of a whole photograph; absent without a doubt. */
  readonly warnings?: readonly string[];
}

/** How to decide. */
export interface VerifyOptions {
  /**
   * Highest false accept rate wanted, between 0 and 1. Default 0.001, or the lowest that the model is calibrated for; the threshold with the
   * most right decisions for a record without rates.
   */
  readonly far?: number | undefined;
}

const verifyOptions = z.strictObject({
  far: given.far.optional(),
} satisfies Record<keyof VerifyOptions, z.ZodType>);

const numbers = z.custom<Float32Array>(
  (value) => Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView)),
  "a Float32Array",
);
const pairOfEmbeddings = z.custom<readonly [Float32Array, Float32Array]>(
  (value) => Array.isArray(value) && value.length === 2,
  "a list of two embeddings",
);

/** Photographs in one run of the network. */
const BATCH = 16;

/**
 * Decodes photographs and scales them to a model's size.
 * @returns `[photos.length, height, width, 3]`, RGB in [0, 1].
 */
export async function decodePhotos(photos: readonly Photo[], size: ImageSettings): Promise<Float32Array> {
  const length = size.height * size.width * size.channels;
  const images = new Float32Array(photos.length * length);
  await Promise.all(photos.map((photo, row) => decodeInto(photo, size, images, row * length)));
  return images;
}

/** Crops of faces as a model reads them. */
interface FaceImages {
  /** `[photos.length, height, width, 3]`, RGB in [0, 1]. */
  readonly images: Float32Array;
  /** What makes them doubtful by their own sizes, with their names. */
  readonly warnings: readonly string[];
}

/** The same for pictures of faces. @throws FaceError `FACE_NOT_FOUND` for one of one colour. */
async function decodeFaces(
  photos: readonly Photo[],
  size: ImageSettings,
  ofAnySize: boolean,
): Promise<FaceImages> {
  const length = size.height * size.width * size.channels;
  const images = new Float32Array(photos.length * length);
  const warnings = await Promise.all(
    photos.map(async (photo, row) => {
      const what = typeof photo === "string" ? photo : "the photograph";
      const pixels = await decodePixels(photo);
      await resizeInto(pixels, size, images, row * length);
      requireContent({ ...size, data: images.subarray(row * length, (row + 1) * length) }, what);
      const doubt = cropDoubt(pixels, size, { how: "taken", ofAnySize });
      return doubt === undefined ? [] : [`${what} ${doubt}`];
    }),
  );
  return { images, warnings: warnings.flat() };
}

/**
 * @param size how many numbers an embedding of the model has
 * @throws FaceError `SHAPE_MISMATCH` for an embedding of another size, or with a number that is not finite; `CONFIG_INVALID` for what is
 *   no list of numbers.
 */
export function checkEmbedding(embedding: Float32Array, size: number): void {
  checkOptions("an embedding", numbers, embedding);
  if (embedding.length !== size) {
    throw new FaceError(
      "SHAPE_MISMATCH",
      `an embedding of this model has ${size} numbers, got ${embedding.length}`,
    );
  }
  checkValues("an embedding", float32([size], embedding));
}

/** What a decision says of a probability. */
function decided(probability: number, decision: Decision): Omit<Verification, "probability" | "warnings"> {
  const { threshold, usedFar: far } = decision;
  return {
    same: probability >= threshold,
    threshold,
    ...(far !== undefined && { far }),
    ...answeredRate(decision),
  };
}

/** A loaded model; `await using` or `close()` frees its threads. */
export class FaceModel implements AsyncDisposable {
  readonly #opened: OpenedModel;
  readonly #calls = new OpenCalls(() => `the model ${this.path}`);

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
   * @throws FaceError `MODEL_UNSUPPORTED` for an ONNX version, which gives no embeddings.
   */
  get embeddingSize(): number {
    return this.#embedder.embeddingSize;
  }

  get #embedder(): Verifier {
    const { verifier } = this.#opened;
    if (!("score" in verifier)) return verifier;
    throw new FaceError("MODEL_UNSUPPORTED", `${this.path} compares photographs and gives no embeddings`, {
      hint: "use verify, or load the SavedModel or the run that it was made from",
    });
  }

  /** Thresholds with the error rates measured at them; only exported models have them. */
  get calibration(): CalibrationRecord | undefined {
    return this.#opened.calibration;
  }

  /**
   * Embeds photographs, in batches of sixteen, on all cores.
   * @returns an embedding of `embeddingSize` numbers for each, in the same order.
   * @throws FaceError `IMAGE_UNREADABLE` for a file that is missing, damaged or not an image, `FACE_NOT_FOUND` for a picture of
   *   one colour.
   */
  async embed(photos: readonly Photo[]): Promise<Float32Array[]> {
    checkOptions("embed, the photographs", z.array(given.other), photos);
    for (const [i, photo] of photos.entries()) checkPhoto(`embed, photograph ${i + 1}`, photo);
    return await this.#calls.run(() => this.#embed(photos));
  }

  async #embed(photos: readonly Photo[]): Promise<Float32Array[]> {
    const starts = Array.from({ length: Math.ceil(photos.length / BATCH) }, (_, i) => i * BATCH);
    const batches: Float32Array[][] = [];
    const { concurrency } = this.#embedder;
    for (let i = 0; i < starts.length; i += concurrency) {
      const round = starts
        .slice(i, i + concurrency)
        .map((from) => this.#embedBatch(photos.slice(from, from + BATCH)));
      batches.push(...(await Promise.all(round)));
    }
    return batches.flat();
  }

  /**
   * Compares two embeddings of this model.
   * @returns the probability that they are of one person, in [0, 1].
   * @throws FaceError `SHAPE_MISMATCH` for embeddings of another size, or with numbers that are not finite; `CONFIG_INVALID` for what is
   *   no embedding.
   */
  async compare(left: Float32Array, right: Float32Array): Promise<number> {
    return (await this.compareAll([[left, right]]))[0]!;
  }

  /** Compares many pairs of embeddings at once; see `compare`. */
  async compareAll(pairs: readonly (readonly [Float32Array, Float32Array])[]): Promise<Float32Array> {
    checkOptions("compareAll, the pairs", z.array(pairOfEmbeddings), pairs);
    return await this.#calls.run(() => this.#compareAll(pairs));
  }

  async #compareAll(pairs: readonly (readonly [Float32Array, Float32Array])[]): Promise<Float32Array> {
    const verifier = this.#embedder;
    const size = verifier.embeddingSize;
    const rows = (side: 0 | 1) => {
      const values = new Float32Array(pairs.length * size);
      pairs.forEach((pair, row) => {
        checkEmbedding(pair[side], size);
        values.set(pair[side], row * size);
      });
      return values;
    };
    const [left, right] = [rows(0), rows(1)];
    return pairs.length === 0 ? new Float32Array() : await verifier.compare(left, right, pairs.length);
  }

  /**
   * Says whether two photographs show one person.
   * @throws FaceError `IMAGE_UNREADABLE`, `FACE_NOT_FOUND` as `embed`, or `CONFIG_INVALID` when `far` is not between 0 and 1 or the model is not
   *   calibrated for so low a rate.
   */
  async verify(left: Photo, right: Photo, options: VerifyOptions = {}): Promise<Verification> {
    checkPhoto("verify, the first photograph", left);
    checkPhoto("verify, the second photograph", right);
    checkOptions("verify", verifyOptions, options);
    const decision = requireDecision(this.#opened.calibration, options.far);
    return await this.#calls.run(() => this.#verify(left, right, decision));
  }

  async #verify(left: Photo, right: Photo, decision: Decision | undefined): Promise<Verification> {
    const [one, other] = await Promise.all([left, right].map((photo) => this.#decode([photo])));
    const probability = await this.#score(one!.images, other!.images);
    const warnings = [...one!.warnings, ...other!.warnings];
    return {
      probability,
      ...(decision && decided(probability, decision)),
      ...(warnings.length > 0 && { warnings }),
    };
  }

  /** Waits for the calls under way and frees the threads; later calls fail with `CONFIG_INVALID`. Closing again does nothing. */
  close(): Promise<void> {
    return this.#calls.close(() => this.#opened.verifier[Symbol.asyncDispose]());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #decode(photos: readonly Photo[]): Promise<FaceImages> {
    return decodeFaces(photos, this.image, readsAnySize(this.#opened.framing));
  }

  /** @param left an image as the model reads it, `[1, height, width, 3]`. */
  async #score(left: Float32Array, right: Float32Array): Promise<number> {
    const { verifier } = this.#opened;
    if ("score" in verifier) return (await verifier.score(left, right, 1))[0]!;
    const both = new Float32Array(left.length * 2);
    both.set(left);
    both.set(right, left.length);
    const values = await verifier.embed(both, 2);
    const size = this.embeddingSize;
    return (await this.#compareAll([[values.subarray(0, size), values.subarray(size)]]))[0]!;
  }

  async #embedBatch(photos: readonly Photo[]): Promise<Float32Array[]> {
    const size = this.embeddingSize;
    const { images } = await this.#decode(photos);
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
  checkPath("loadModel, the path", path);
  const { openModel } = await import("./open-model.ts");
  try {
    return new FaceModel(await openModel(path));
  } catch (error) {
    const isAbsent = error instanceof FaceError && error.code === "MODEL_NOT_FOUND";
    if (!isAbsent || packModelNamed(path) === undefined) throw error;
    const hint = `${path} is a model pack, for whole photographs: loadFaceModel("${path}")`;
    throw new FaceError(error.code, error.message, { hint, cause: error });
  }
}
