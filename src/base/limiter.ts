/** @file Concurrency limits: at most n asynchronous functions run at a time. */
import { FaceError } from "./errors.ts";

export interface LimiterOptions {
  /** The most that may wait. Default: any number. */
  readonly maxQueued?: number;
  /** Makes the error for work that arrives while that many wait. */
  readonly refusal?: () => Error;
}

const busy = () => new FaceError("INTERNAL", "internal: too many calls wait for a limiter");

/** Runs a limited number of functions at a time, first come, first served. */
export class Limiter {
  readonly #maxQueued: number;
  readonly #refusal: () => Error;
  readonly #queue = new Set<() => void>();
  #limit: number;
  #running = 0;

  constructor(limit: number, { maxQueued = Number.POSITIVE_INFINITY, refusal = busy }: LimiterOptions = {}) {
    this.#limit = limit;
    this.#maxQueued = maxQueued;
    this.#refusal = refusal;
  }

  /** How many functions may run at a time. Functions that run already are not stopped by a lower limit. */
  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = limit;
    this.#startWaiting();
  }

  /** How many functions run. */
  get running(): number {
    return this.#running;
  }

  /** How many functions wait. */
  get queued(): number {
    return this.#queue.size;
  }

  /**
   * Runs a function as soon as fewer than `limit` run.
   * @param signal gives up waiting; it does nothing once the function runs.
   * @throws the refusal when too many wait, the signal's reason, or what the function throws.
   */
  async run<T>(work: () => Promise<T> | T, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#running < this.#limit) this.#running++;
    else await this.#turn(signal);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#startWaiting();
    }
  }

  /** Waits in the queue; the slot is counted as taken when this resolves. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#queue.size >= this.#maxQueued) throw this.#refusal();
    return new Promise((resolve, reject) => {
      const start = () => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = () => {
        this.#queue.delete(start);
        reject(signal?.reason);
      };
      this.#queue.add(start);
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  #startWaiting(): void {
    for (const start of this.#queue) {
      if (this.#running >= this.#limit) return;
      this.#queue.delete(start);
      this.#running++;
      start();
    }
  }
}

/**
 * Calls a function for each item, at most `limit` calls at a time. The next item is taken when a call may start, so no
 * more than `limit` items are in use at once.
 * @param work gets the item and its index.
 * @throws the first error of a call or of the iteration, after the calls that run have ended; no more are started.
 */
export async function eachLimited<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const errors: unknown[] = [];
  let index = 0;
  try {
    for await (const item of items) {
      // A call may have failed while the item was waited for.
      if (errors.length > 0) break;
      const call = work(item, index++)
        .catch((error: unknown) => void errors.push(error))
        .finally(() => running.delete(call));
      running.add(call);
      if (running.size >= limit) await Promise.race(running);
      if (errors.length > 0) break;
    }
  } finally {
    await Promise.all(running);
  }
  if (errors.length > 0) throw errors[0];
}
