/** @file The worker thread of a Loader: decodes or draws images, augments them and returns floats. */
import { type ErrorCode, FaceError, messageOf } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { Moved, serveCalls } from "../base/worker-client.ts";
import { augmentImage } from "../image/augment.ts";
import type { AugmentSettings } from "../image/augment-settings.ts";
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

/** Images to load, in order. */
export interface ImageJob {
  readonly images: readonly ImageRef[];
  readonly augment: AugmentSettings | undefined;
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

function openThread(thread: ImageThread) {
  const { settings } = thread;
  const { cache, failure } = openCache(thread);
  const size = imageSize(settings);
  const load = async ({ images, augment, seed, first }: ImageJob): Promise<Moved<LoadedImages>> => {
    const values = new Float32Array(images.length * size);
    const failures: ImageFailure[] = [];
    const loadOne = async (image: ImageRef, position: number) => {
      try {
        const read = () => readCachedPixels(image, settings);
        const kept = cache === undefined ? await read() : await cache.pixels(image, read);
        const pixels = requirePixels(image, kept);
        const random = () => new Random(seed).fork(first + position);
        const changed = augment === undefined ? pixels : augmentImage(pixels, settings, augment, random());
        prepareInto(changed, values, position * size);
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
