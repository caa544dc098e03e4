/** @file Loads batches in worker threads ahead of the engine that uses them, with bounded memory. */
import { FaceError } from "../base/errors.ts";
import { counted, type Log, silentLog } from "../base/log.ts";
import { WorkerClient, WorkerPool } from "../base/worker-client.ts";
import type { AugmentSettings } from "../image/augment-settings.ts";
import { type ImageSettings, imageSize } from "../image/settings.ts";
import { isFaceError } from "./face-crop.ts";
import { type ImageRef, imageName } from "./identity.ts";
import type {
  ImageCalls,
  ImageFailure,
  ImageJob,
  ImageThread,
  LoadedImages,
  Overlay,
} from "./image-worker.ts";
import type { Pair } from "./pairs.ts";
import { defaultCacheFolder } from "./pixel-cache.ts";

/** Pairs ready for the network. */
export interface PairBatch {
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly left: Float32Array;
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly right: Float32Array;
  /** Float32 [count]: 1 for one person, 0 for two. */
  readonly same: Float32Array;
  readonly count: number;
  /** What is in the batch, in order. */
  readonly pairs: readonly Pair[];
}

/** Single images ready for the network. */
export interface ImageBatch {
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly images: Float32Array;
  readonly count: number;
  /** Index of each in the given list; unreadable images are left out. */
  readonly positions: Int32Array;
}

/** An image and the number of the person on it. */
export interface LabelledImage {
  readonly image: ImageRef;
  /** Index into the list of identities. */
  readonly label: number;
  /** Another image that is laid over this one, after both were moved at random. */
  readonly over?: Overlay;
}

/** Single images with the number of the person on each, for classification losses. */
export interface LabelledBatch {
  /** Float32 [count, height, width, 3] in [0, 1]. */
  readonly images: Float32Array;
  /** Int32 [count]. */
  readonly labels: Int32Array;
  readonly count: number;
  /** What is in the batch, in order. */
  readonly items: readonly LabelledImage[];
}

export interface LoaderOptions {
  readonly settings: ImageSettings;
  /** Threads that decode and augment. Default 1. */
  readonly workers?: number;
  /** Batches loaded ahead of the one in use, which bounds memory. Default 4. */
  readonly prefetch?: number;
  /** Folder of the cache of decoded pixels; `false` for no cache. Default: `defaultCacheFolder()`. */
  readonly cacheFolder?: string | false;
  /** Disk space for decoded pixels: 37.6 kB for each image of 112×112. Default 2048, about 57,000 of those. */
  readonly cacheMegabytes?: number;
  /** Makes an unreadable image an error instead of a warning. */
  readonly strict?: boolean;
  readonly log?: Log;
}

export interface ImageBatchOptions {
  readonly batchSize: number;
  /** Index of the first batch to yield, for resuming. Default 0. */
  readonly start?: number;
}

export interface TrainingBatchOptions extends ImageBatchOptions {
  /** Seed of the augmentation; the caller derives it from the run's seed and the epoch. */
  readonly seed: number;
  readonly augment?: AugmentSettings;
  /** Leaves out a last batch that is not full. */
  readonly dropLast?: boolean;
}

/**
 * Loads images, pairs and labelled images in the form that one network takes. A batch depends only on its items and
 * options, not on the number of threads or their timing.
 *
 * An unreadable image is reported once and counted. In a training batch the next readable row takes its place (a pair as
 * a whole), so batches keep their size; `imageBatches` leaves it out.
 */
export class Loader implements AsyncDisposable {
  readonly #strict: boolean;
  readonly #prefetch: number;
  readonly #log: Log;
  /** Floats of one image. */
  readonly #size: number;
  readonly #threads: WorkerPool<ImageCalls>;
  readonly #failures = new Map<string, ImageFailure>();
  #warnedOfCache = false;

  constructor(options: LoaderOptions) {
    const { settings, workers = 1, cacheFolder = defaultCacheFolder(), cacheMegabytes = 2048 } = options;
    this.#strict = options.strict ?? false;
    this.#prefetch = options.prefetch ?? 4;
    this.#log = options.log ?? silentLog;
    this.#size = imageSize(settings);
    const data: ImageThread = { settings, cacheFolder: cacheFolder || undefined, cacheMegabytes };
    const label = "the thread that loads images";
    this.#threads = new WorkerPool(
      workers,
      () => new WorkerClient(import.meta.url, "image-worker", data, { label }),
    );
  }

  /** Names of the images that could not be read so far. */
  get unreadable(): readonly string[] {
    return [...this.#failures].filter(([, { code }]) => !isFaceError(code)).map(([name]) => name);
  }

  /** Images that could not be read or show no face so far, by name, with the reason. */
  get failures(): ReadonlyMap<string, Pick<ImageFailure, "code" | "message">> {
    return this.#failures;
  }

  /**
   * Pairs in order; the next batches are loaded while one is in use.
   * @throws FaceError `IMAGE_UNREADABLE` with `strict`, or when no image of a batch can be read.
   */
  pairBatches(pairs: readonly Pair[], options: TrainingBatchOptions): AsyncGenerator<PairBatch> {
    return this.#batches(pairs, options, async (part, from) => {
      const images = [...part.map(({ left }) => left), ...part.map(({ right }) => right)];
      const { values, rows } = await this.#loadRows(part, images, 2 * from, options);
      const middle = part.length * this.#size;
      return {
        left: values.subarray(0, middle),
        right: values.subarray(middle),
        same: Float32Array.from(rows, ({ same }) => (same ? 1 : 0)),
        count: part.length,
        pairs: rows,
      };
    });
  }

  /**
   * Labelled images in order, for losses with labels.
   * @throws FaceError `IMAGE_UNREADABLE` as `pairBatches`.
   */
  labelledBatches(
    items: readonly LabelledImage[],
    options: TrainingBatchOptions,
  ): AsyncGenerator<LabelledBatch> {
    return this.#batches(items, options, async (part, from) => {
      const images = part.map(({ image }) => image);
      const overlays = part.map(({ over }) => over);
      const { values, rows } = await this.#loadRows(part, images, from, options, overlays);
      const labels = Int32Array.from(rows, ({ label }) => label);
      return { images: values, labels, count: part.length, items: rows };
    });
  }

  /** Single images in order, without augmentation; unreadable ones are left out. */
  imageBatches(images: readonly ImageRef[], options: ImageBatchOptions): AsyncGenerator<ImageBatch> {
    return this.#batches(images, options, async (part, first) => {
      const loaded = await this.#load({ images: part, augment: undefined, seed: 0, first });
      const failed = this.#report(part, loaded);
      const rows = [...part.keys()].filter((row) => !failed.has(row));
      for (const [to, row] of rows.entries()) this.#copy(loaded.values, row, to);
      return {
        images: loaded.values.subarray(0, rows.length * this.#size),
        count: rows.length,
        positions: Int32Array.from(rows, (row) => first + row),
      };
    });
  }

  /** Ends the threads; batches that are still being loaded fail with `INTERNAL`. */
  async close(): Promise<void> {
    await this.#threads.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Cuts a list into batches and loads them in order, the next ones while one is in use. */
  async *#batches<T, B>(
    items: readonly T[],
    options: ImageBatchOptions & { readonly dropLast?: boolean },
    load: (part: readonly T[], from: number) => Promise<B>,
  ): AsyncGenerator<B> {
    const { batchSize, start = 0, dropLast = false } = options;
    const count = dropLast ? Math.floor(items.length / batchSize) : Math.ceil(items.length / batchSize);
    const loading: Promise<B>[] = [];
    let next = start;
    for (let batch = start; batch < count; batch++) {
      while (next < count && next <= batch + this.#prefetch) {
        const from = next++ * batchSize;
        const work = load(items.slice(from, from + batchSize), from);
        // An error is thrown when the batch is due, not before.
        work.catch(() => undefined);
        loading.push(work);
      }
      yield await loading.shift()!;
    }
  }

  async #load(job: ImageJob): Promise<LoadedImages> {
    const loaded = await this.#threads.call("load", [job]);
    if (loaded.cacheFailure !== undefined && !this.#warnedOfCache) {
      this.#warnedOfCache = true;
      this.#log.warn(`decoded images are not kept: ${loaded.cacheFailure}`);
    }
    return loaded;
  }

  /**
   * Loads the images of training rows and replaces each row that has an unreadable image by the next readable one.
   * @param images the first image of each row, then, for pairs, the second of each.
   * @returns the pixels, and the rows that they show.
   */
  async #loadRows<T>(
    part: readonly T[],
    images: readonly ImageRef[],
    first: number,
    { seed, augment }: TrainingBatchOptions,
    overlays?: readonly (Overlay | undefined)[],
  ): Promise<{ values: Float32Array; rows: T[] }> {
    const count = part.length;
    const loaded = await this.#load({ images, augment, seed, first, overlays });
    const failed = new Set([...this.#report(images, loaded)].map((position) => position % count));
    if (failed.size === count) {
      const { message } = loaded.failures[0]!;
      throw new FaceError("IMAGE_UNREADABLE", `no image of a batch can be read: ${message}`, {
        hint: "faceid dataset info lists the files that cannot be decoded",
      });
    }
    const rows = part.map((item, row) => {
      if (!failed.has(row)) return item;
      let other = row;
      while (failed.has(other)) other = (other + 1) % count;
      for (let offset = 0; offset < images.length; offset += count) {
        this.#copy(loaded.values, other + offset, row + offset);
      }
      return part[other]!;
    });
    return { values: loaded.values, rows };
  }

  #copy(values: Float32Array, from: number, to: number): void {
    if (from !== to) values.copyWithin(to * this.#size, from * this.#size, (from + 1) * this.#size);
  }

  /** Warns of unreadable images, of each once, and returns their positions. */
  #report(images: readonly ImageRef[], { failures }: LoadedImages): Set<number> {
    for (const failure of failures) {
      const { position, code, message } = failure;
      const showsNoFace = isFaceError(code);
      if (this.#strict && !showsNoFace) {
        throw new FaceError("IMAGE_UNREADABLE", message, { hint: "remove the file, or leave out `strict`" });
      }
      const name = imageName(images[position]!);
      if (this.#failures.has(name)) continue;
      this.#failures.set(name, failure);
      // What it means that a face was not found is for the caller to say.
      const soFar = counted(this.unreadable.length, "unreadable image");
      if (!showsNoFace) this.#log.warn(`${message}; it is left out, ${soFar} so far`);
    }
    return new Set(failures.map(({ position }) => position));
  }
}
