/** @file Loads batches in threads of their own, ahead of the engine that uses them, with bounded memory. */
import { FaceError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { imageSize } from "../image/settings.ts";
import type {
  ImageBatch,
  ImageBatchOptions,
  LabelledBatch,
  LabelledImage,
  LoaderOptions,
  PairBatch,
  TrainingBatchOptions,
} from "./batches.ts";
import { type ImageRef, imageName } from "./identity.ts";
import { ImageThreads, type LoadedImages } from "./image-threads.ts";
import type { Pair } from "./pairs.ts";
import { defaultCacheFolder } from "./pixel-cache.ts";

const DEFAULT_PREFETCH = 4;
const DEFAULT_CACHE_MEGABYTES = 2048;

/**
 * Loads images, pairs and labelled images for one network's image settings. What a batch holds depends on what was asked
 * for and on nothing else: not on the number of threads, nor on who is first.
 *
 * An image that cannot be read is reported once and counted. In training its place, with its whole pair, is taken by the
 * next readable one of the same batch, so that batches keep their size; where images are merely listed it is left out.
 */
export class Loader implements AsyncDisposable {
  readonly #strict: boolean;
  readonly #prefetch: number;
  readonly #log: Log;
  /** Floats of one image. */
  readonly #size: number;
  readonly #threads: ImageThreads;
  readonly #unreadable = new Set<string>();

  constructor(options: LoaderOptions) {
    const { settings, workers = 1, cacheFolder = defaultCacheFolder(), log = silentLog } = options;
    const { cacheMegabytes = DEFAULT_CACHE_MEGABYTES } = options;
    this.#strict = options.strict ?? false;
    this.#prefetch = options.prefetch ?? DEFAULT_PREFETCH;
    this.#log = log;
    this.#size = imageSize(settings);
    const cache = cacheFolder === false ? undefined : cacheFolder;
    this.#threads = new ImageThreads(workers, { settings, cacheFolder: cache, cacheMegabytes }, log);
  }

  /** Names of the images that could not be read so far. */
  get unreadable(): readonly string[] {
    return [...this.#unreadable];
  }

  /**
   * Pairs in order, ready for the network; the next batches are loaded while one is in use.
   * @throws FaceError `IMAGE_UNREADABLE` with `strict`, or when nothing of a batch can be read.
   */
  pairBatches(pairs: readonly Pair[], options: TrainingBatchOptions): AsyncGenerator<PairBatch> {
    return this.#batches(pairs, options, async (part, from) => {
      const images = [...part.map(({ left }) => left), ...part.map(({ right }) => right)];
      const { seed, augment } = options;
      const loaded = await this.#threads.load({ images, augment, seed, first: 2 * from });
      const held = this.#repair(images, loaded, part.length).map((row) => part[row]!);
      const middle = part.length * this.#size;
      return {
        left: loaded.values.subarray(0, middle),
        right: loaded.values.subarray(middle),
        same: Float32Array.from(held, ({ same }) => (same ? 1 : 0)),
        count: part.length,
        pairs: held,
      };
    });
  }

  /**
   * Labelled images in order, for losses that tell people apart by number.
   * @throws FaceError `IMAGE_UNREADABLE` as `pairBatches`.
   */
  labelledBatches(
    items: readonly LabelledImage[],
    options: TrainingBatchOptions,
  ): AsyncGenerator<LabelledBatch> {
    return this.#batches(items, options, async (part, first) => {
      const images = part.map(({ image }) => image);
      const { seed, augment } = options;
      const loaded = await this.#threads.load({ images, augment, seed, first });
      const held = this.#repair(images, loaded, part.length).map((row) => part[row]!);
      const labels = Int32Array.from(held, ({ label }) => label);
      return { images: loaded.values, labels, count: part.length };
    });
  }

  /** Single images in order, unchanged; those that cannot be read are left out. */
  imageBatches(images: readonly ImageRef[], options: ImageBatchOptions): AsyncGenerator<ImageBatch> {
    return this.#batches(images, options, async (part, first) => {
      const loaded = await this.#threads.load({ images: part, augment: undefined, seed: 0, first });
      const failed = this.#report(part, loaded);
      const rows = part.map((_, row) => row).filter((row) => !failed.has(row));
      rows.forEach((row, to) => {
        if (row !== to) this.#copy(loaded.values, row, to);
      });
      return {
        images: loaded.values.subarray(0, rows.length * this.#size),
        count: rows.length,
        positions: Int32Array.from(rows, (row) => first + row),
      };
    });
  }

  /** Ends the threads; whatever is still being loaded fails. */
  async close(): Promise<void> {
    await this.#threads.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Cuts a list into batches and makes them in order, the next ones while one is in use. */
  async *#batches<T, B>(
    items: readonly T[],
    options: ImageBatchOptions & { readonly dropLast?: boolean },
    make: (part: readonly T[], from: number) => Promise<B>,
  ): AsyncGenerator<B> {
    const { batchSize, start = 0, dropLast = false } = options;
    const count = dropLast ? Math.floor(items.length / batchSize) : Math.ceil(items.length / batchSize);
    const underWay: Promise<B>[] = [];
    let next = start;
    for (let batch = start; batch < count; batch++) {
      while (next < count && next <= batch + this.#prefetch) {
        const from = next++ * batchSize;
        const work = make(items.slice(from, from + batchSize), from);
        // A failure is thrown when its turn comes, not before.
        work.catch(() => undefined);
        underWay.push(work);
      }
      yield await underWay.shift()!;
    }
  }

  /**
   * Puts the next readable row in the place of every row that has an unreadable image.
   * @param images row by row for the first of each, then for the second, if there are two
   * @returns for each row, which row it holds now
   */
  #repair(images: readonly ImageRef[], loaded: LoadedImages, rows: number): number[] {
    const failed = new Set([...this.#report(images, loaded)].map((position) => position % rows));
    const readable = (row: number) => !failed.has(row);
    const all = Array.from({ length: rows }, (_, row) => row);
    if (failed.size === rows) {
      throw new FaceError(
        "IMAGE_UNREADABLE",
        `nothing of a whole batch can be read: ${loaded.failures[0]!.message}`,
        {
          hint: "faceid dataset info lists the files that cannot be decoded",
        },
      );
    }
    return all.map((row) => {
      if (readable(row)) return row;
      const other = all.map((step) => (row + step) % rows).find(readable)!;
      for (let offset = 0; offset < images.length; offset += rows) {
        this.#copy(loaded.values, other + offset, row + offset);
      }
      return other;
    });
  }

  #copy(values: Float32Array, from: number, to: number): void {
    values.copyWithin(to * this.#size, from * this.#size, (from + 1) * this.#size);
  }

  /** Reports what could not be read, each image once; returns the positions. */
  #report(images: readonly ImageRef[], { failures }: LoadedImages): Set<number> {
    for (const { position, message } of failures) {
      if (this.#strict) {
        throw new FaceError("IMAGE_UNREADABLE", message, { hint: "remove the file, or leave out --strict" });
      }
      const name = imageName(images[position]!);
      if (this.#unreadable.has(name)) continue;
      this.#unreadable.add(name);
      this.#log.warn(`${message}; left out`, { unreadable: this.#unreadable.size });
    }
    return new Set(failures.map(({ position }) => position));
  }
}
