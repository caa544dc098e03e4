/** @file The worker thread of a Loader: decodes or draws images, augments them and returns floats. */
import { type ErrorCode, FaceError, messageOf } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { Moved, serveCalls } from "../base/worker-client.ts";
import { augmentImage } from "../image/augment.ts";
import { type AugmentSettings, moving } from "../image/augment-settings.ts";
import { type ImageSettings, imageSize, prepareInto } from "../image/settings.ts";
import { type ImageRef, readCachedPixels, requirePixels } from "./identity.ts";
import { PixelCache } from "./pixel-cache.ts";

/** What a thread is started with. */
export interface ImageThread {
  readonly settings: ImageSettings;
  /** Folder of the pixel cache; undefined for none. */
  readonly cacheFolder: string | undefined;
  readonly cacheMegabytes: number;
}

/** An image that is laid over another. */
export interface Overlay {
  readonly image: ImageRef;
  /** Its part of each pixel, in [0, 1]. */
  readonly weight: number;
}

/** Images to load, in order. */
export interface ImageJob {
  readonly images: readonly ImageRef[];
  readonly augment: AugmentSettings | undefined;
  /** What is laid over each image, if anything. Such images are moved at random, but their colours and details stay. */
  readonly overlays?: readonly (Overlay | undefined)[] | undefined;
  readonly seed: number;
  /** Number of the first image in the epoch. It seeds the random changes, so threads may finish in any order. */
  readonly first: number;
}

/** An image that could not be read, or the face of which was not found. */
export interface ImageFailure {
  readonly position: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface LoadedImages {
  /** Float32 `[images, height, width, 3]` in [0, 1]; zeros where an image could not be read. */
  readonly values: Float32Array;
  /** Images that could not be read, by their position in the job. */
  readonly failures: readonly ImageFailure[];
  /** Why the cache is not used or not written to, if so. */
  readonly cacheFailure: string | undefined;
}

export interface ImageCalls {
  load(job: ImageJob): LoadedImages;
}

function openCache({ cacheFolder, settings, cacheMegabytes }: ImageThread): {
  readonly cache?: PixelCache;
  readonly failure?: string;
} {
  if (cacheFolder === undefined) return {};
  try {
    return { cache: new PixelCache(cacheFolder, settings, cacheMegabytes) };
  } catch (error) {
    return { failure: messageOf(error) };
  }
}

/** Two images of one size as one. */
const blended = (below: Uint8Array, above: Uint8Array, weight: number): Uint8Array =>
  below.map((value, i) => value + (above[i]! - value) * weight + 0.5);

function openThread(thread: ImageThread) {
  const { settings } = thread;
  const { cache, failure } = openCache(thread);
  const size = imageSize(settings);
  const pixelsOf = async (image: ImageRef) => {
    const read = () => readCachedPixels(image, settings);
    return requirePixels(image, await (cache === undefined ? read() : cache.pixels(image, read)));
  };
  const load = async ({
    images,
    augment = {},
    overlays,
    seed,
    first,
  }: ImageJob): Promise<Moved<LoadedImages>> => {
    const values = new Float32Array(images.length * size);
    const failures: ImageFailure[] = [];
    const loadOne = async (image: ImageRef, position: number) => {
      try {
        const over = overlays?.[position];
        const random = new Random(seed).fork(first + position);
        const changed = (pixels: Uint8Array, stream: Random) =>
          augmentImage(pixels, settings, over === undefined ? augment : moving(augment), stream);
        const below = changed(await pixelsOf(image), random);
        const pixels =
          over === undefined
            ? below
            : blended(below, changed(await pixelsOf(over.image), random.fork("over")), over.weight);
        prepareInto(pixels, values, position * size);
      } catch (error) {
        if (!(error instanceof FaceError)) throw error;
        failures.push({ position, code: error.code, message: error.message });
      }
    };
    await Promise.all(images.map(loadOne));
    failures.sort((a, b) => a.position - b.position);
    return new Moved({ values, failures, cacheFailure: failure ?? cache?.failure }, [values.buffer]);
  };
  return { load };
}

serveCalls<ImageCalls, ImageThread>(openThread, { concurrent: true });
