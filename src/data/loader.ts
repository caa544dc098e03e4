/** @file Loads batches in worker threads, ahead of the engine that uses them, with bounded memory. */
import type { Worker } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { startWorker } from "../base/worker.ts";
import type { AugmentSettings } from "../image/augment.ts";
import { type ImageSettings, imageSize } from "../image/settings.ts";
import type { ImageBatch, ImageBatchOptions, LoaderOptions, PairBatch, PairBatchOptions } from "./batches.ts";
import { type ImageRef, imageName } from "./identity.ts";
import type { Pair } from "./pairs.ts";

/** What a worker thread is started with. */
export interface LoaderWorkerSettings {
  readonly settings: ImageSettings;
  /** Bytes of decoded pixels that the thread may keep. */
  readonly cacheBytes: number;
}

/** Images to load, in order. */
export interface LoaderJob {
  readonly id: number;
  readonly images: readonly ImageRef[];
  readonly augment: AugmentSettings | undefined;
  readonly seed: number;
  /** Number of the first image in the epoch: what its random changes are drawn from. */
  readonly first: number;
}

export interface LoaderReply {
  readonly id: number;
  /** `[images, height, width, 3]`; zeros where an image could not be read. */
  readonly values: Float32Array;
  readonly failures: readonly { readonly position: number; readonly message: string }[];
}

interface Pending {
  resolve(reply: LoaderReply): void;
  reject(error: FaceError): void;
}

const DEFAULT_PREFETCH = 4;
/** 512 MB hold the decoded pixels of 14,000 images of 112×112. */
const DEFAULT_CACHE_MEGABYTES = 512;
const MEGABYTE = 2 ** 20;

/** Loads images and pairs for one network's image settings. */
export class Loader implements AsyncDisposable {
  readonly #options: LoaderOptions;
  readonly #workers: readonly Worker[];
  readonly #pending = new Map<number, Pending>();
  readonly #unreadable = new Set<string>();
  #jobs = 0;
  #failure: FaceError | undefined;

  constructor(options: LoaderOptions) {
    this.#options = options;
    const { settings, workers = 1, cacheMegabytes = DEFAULT_CACHE_MEGABYTES } = options;
    const each: LoaderWorkerSettings = { settings, cacheBytes: (cacheMegabytes * MEGABYTE) / workers };
    this.#workers = Array.from({ length: workers }, () => this.#start(each));
  }

  /** Paths of the images that could not be read so far. */
  get unreadable(): readonly string[] {
    return [...this.#unreadable];
  }

  /**
   * Pairs in order, ready for the network; the next batches are loaded while one is in use. The place of a pair with an
   * image that cannot be read is taken by the next pair of its batch, and the image is reported.
   * @throws FaceError `IMAGE_UNREADABLE` with `strict`, or when a whole batch cannot be read.
   */
  pairBatches(pairs: readonly Pair[], options: PairBatchOptions): AsyncGenerator<PairBatch> {
    const { batchSize, start = 0, dropLast = false, seed, augment } = options;
    const count = dropLast ? Math.floor(pairs.length / batchSize) : Math.ceil(pairs.length / batchSize);
    return this.#ahead(count - start, async (i) => {
      const from = (start + i) * batchSize;
      const part = pairs.slice(from, from + batchSize);
      const images = [...part.map(({ left }) => left), ...part.map(({ right }) => right)];
      const reply = await this.#load({ images, augment, seed, first: 2 * from });
      return this.#pairBatch(part, images, reply);
    });
  }

  /** Single images in order; those that cannot be read are reported and left out. */
  imageBatches(
    images: readonly ImageRef[],
    { batchSize, start = 0 }: ImageBatchOptions,
  ): AsyncGenerator<ImageBatch> {
    return this.#ahead(Math.ceil(images.length / batchSize) - start, async (i) => {
      const from = (start + i) * batchSize;
      const part = images.slice(from, from + batchSize);
      const reply = await this.#load({ images: part, augment: undefined, seed: 0, first: from });
      const failed = this.#report(part, reply);
      const positions = part.flatMap((_, position) => (failed.has(position) ? [] : [position]));
      const size = imageSize(this.#options.settings);
      const values = failed.size === 0 ? reply.values : new Float32Array(positions.length * size);
      if (failed.size > 0) {
        positions.forEach((position, row) => {
          values.set(reply.values.subarray(position * size, (position + 1) * size), row * size);
        });
      }
      return {
        images: values,
        count: positions.length,
        positions: Int32Array.from(positions, (p) => from + p),
      };
    });
  }

  async close(): Promise<void> {
    this.#failure ??= new FaceError("INTERNAL", "internal: the loader was closed");
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #start(settings: LoaderWorkerSettings): Worker {
    const worker = startWorker(import.meta.url, "loader-worker", settings);
    worker.on("message", (reply: LoaderReply | { id: number; crash: string }) => {
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if ("crash" in reply)
        pending?.reject(new FaceError("INTERNAL", `loading images failed: ${reply.crash}`));
      else pending?.resolve(reply);
    });
    const fail = (reason: string) => {
      this.#failure ??= new FaceError("INTERNAL", reason);
      for (const { reject } of this.#pending.values()) reject(this.#failure);
      this.#pending.clear();
    };
    worker.on("error", (error) => fail(`the thread that loads images crashed: ${messageOf(error)}`));
    worker.on("exit", () => fail("the thread that loads images has ended"));
    worker.unref();
    return worker;
  }

  #load(job: Omit<LoaderJob, "id">): Promise<LoaderReply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#jobs++;
    const worker = this.#workers[id % this.#workers.length]!;
    // A pending job keeps the process alive, an idle loader does not.
    worker.ref();
    worker.postMessage({ id, ...job });
    const reply = new Promise<LoaderReply>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    return reply.finally(() => {
      if (this.#pending.size === 0) for (const each of this.#workers) each.unref();
    });
  }

  /** Yields results in order while the next ones are under way. */
  async *#ahead<T>(count: number, job: (i: number) => Promise<T>): AsyncGenerator<T> {
    const { prefetch = DEFAULT_PREFETCH } = this.#options;
    const underWay: Promise<T>[] = [];
    let started = 0;
    for (let i = 0; i < count; i++) {
      while (started < count && started <= i + prefetch) {
        const work = job(started++);
        // A failure is thrown when its turn comes, not before.
        work.catch(() => undefined);
        underWay.push(work);
      }
      yield await underWay.shift()!;
    }
  }

  #pairBatch(pairs: readonly Pair[], images: readonly ImageRef[], reply: LoaderReply): PairBatch {
    const size = imageSize(this.#options.settings);
    const count = pairs.length;
    const failed = this.#report(images, reply);
    const values = reply.values;
    const readable = pairs.map((_, i) => !failed.has(i) && !failed.has(i + count));
    if (!readable.includes(true)) {
      throw new FaceError(
        "IMAGE_UNREADABLE",
        `no image of a whole batch could be read, the first is ${imageName(images[0]!)}`,
        {
          hint: "faceid dataset info lists the files that cannot be decoded",
        },
      );
    }
    const used = pairs.map((pair, i) => {
      if (readable[i]) return pair;
      const other = Array.from(pairs, (_, step) => (i + step) % count).find((j) => readable[j])!;
      for (const offset of [0, count]) {
        values.copyWithin((i + offset) * size, (other + offset) * size, (other + offset + 1) * size);
      }
      return pairs[other]!;
    });
    return {
      left: values.subarray(0, count * size),
      right: values.subarray(count * size),
      same: Float32Array.from(used, ({ same }) => (same ? 1 : 0)),
      count,
      pairs: used,
    };
  }

  /** Reports what could not be read, each image once; returns the positions. */
  #report(images: readonly ImageRef[], { failures }: LoaderReply): Set<number> {
    const { strict = false, log = silentLog } = this.#options;
    for (const { position, message } of failures) {
      const name = imageName(images[position]!);
      if (strict) {
        throw new FaceError("IMAGE_UNREADABLE", message, { hint: "remove the file, or leave out --strict" });
      }
      if (this.#unreadable.has(name)) continue;
      this.#unreadable.add(name);
      log.warn(`${message}; left out`, { unreadable: this.#unreadable.size });
    }
    return new Set(failures.map(({ position }) => position));
  }
}
