/** @file Threads that turn image references into floats, and the messages they understand. */
import type { Worker } from "node:worker_threads";
import { FaceError, messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { startWorker } from "../base/worker.ts";
import type { AugmentSettings } from "../image/augment-settings.ts";
import type { ImageSettings } from "../image/settings.ts";
import type { ImageRef } from "./identity.ts";

/** What a thread is started with. */
export interface ThreadSettings {
  readonly settings: ImageSettings;
  /** Folder of the pixel cache; undefined for none. */
  readonly cacheFolder: string | undefined;
  readonly cacheMegabytes: number;
}

/** Images to load, in order. */
export interface ImageJob {
  readonly id: number;
  readonly images: readonly ImageRef[];
  readonly augment: AugmentSettings | undefined;
  readonly seed: number;
  /** Number of the first image in the epoch: what its random changes are drawn from. */
  readonly first: number;
}

/** An image that could not be read, by its position in the job. */
export interface Failure {
  readonly position: number;
  readonly message: string;
}

export interface LoadedImages {
  /** Float32 `[images, height, width, 3]` in [0, 1]; zeros where an image could not be read. */
  readonly values: Float32Array;
  readonly failures: readonly Failure[];
}

/** What a thread answers: images, a mistake of ours, or, once and unasked, that the cache does not work. */
export type ThreadReply =
  | ({ readonly kind: "loaded"; readonly id: number } & LoadedImages)
  | { readonly kind: "crashed"; readonly id: number; readonly reason: string }
  | { readonly kind: "uncached"; readonly reason: string };

interface Pending {
  resolve(images: LoadedImages): void;
  reject(error: FaceError): void;
}

/** A few threads that share the work, one job at a time to each in turn. */
export class ImageThreads {
  readonly #log: Log;
  readonly #workers: readonly Worker[];
  readonly #pending = new Map<number, Pending>();
  #jobs = 0;
  #failure: FaceError | undefined;
  #warned = false;
  #closing = false;

  constructor(count: number, settings: ThreadSettings, log: Log) {
    this.#log = log;
    this.#workers = Array.from({ length: count }, () => this.#start(settings));
  }

  /**
   * Loads images, each changed at random if the job says so.
   * @throws FaceError `INTERNAL` when a thread has died; an unreadable image is not an error but a `Failure`
   */
  load(job: Omit<ImageJob, "id">): Promise<LoadedImages> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#jobs++;
    const worker = this.#workers[id % this.#workers.length]!;
    // Work under way keeps the process alive, an idle thread does not.
    worker.ref();
    worker.postMessage({ id, ...job } satisfies ImageJob);
    const reply = new Promise<LoadedImages>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    return reply.finally(() => {
      if (this.#pending.size === 0 && !this.#closing) for (const each of this.#workers) each.unref();
    });
  }

  async close(): Promise<void> {
    // An idle process would end before the threads have, and whoever awaits this would never hear of it.
    this.#closing = true;
    for (const worker of this.#workers) worker.ref();
    this.#fail("internal: the loader was closed");
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #start(settings: ThreadSettings): Worker {
    const worker = startWorker(import.meta.url, "image-worker", settings);
    worker.on("message", (reply: ThreadReply) => this.#receive(reply));
    worker.on("error", (error) => this.#fail(`the thread that loads images crashed: ${messageOf(error)}`));
    worker.on("exit", () => this.#fail("the thread that loads images has ended"));
    worker.unref();
    return worker;
  }

  #receive(reply: ThreadReply): void {
    if (reply.kind === "uncached") {
      if (!this.#warned) this.#log.warn(`decoded images are not kept: ${reply.reason}`);
      this.#warned = true;
      return;
    }
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.kind === "loaded") pending?.resolve(reply);
    else pending?.reject(new FaceError("INTERNAL", `internal: loading images failed: ${reply.reason}`));
  }

  /** Everything under way, and everything asked for later, fails for the first reason there was. */
  #fail(reason: string): void {
    this.#failure ??= new FaceError("INTERNAL", reason);
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}
