/** @file Worker threads that share the same calls: each goes to the least busy thread, and a thread that dies is replaced. */
import type { TransferListItem } from "node:worker_threads";
import { FaceError } from "./errors.ts";
import type { Answer, Arguments, Calls, WorkerClient } from "./worker-client.ts";

/** Up to `size` threads, started when they are needed. */
export class WorkerPool<C extends Calls<C>> implements AsyncDisposable {
  readonly #size: number;
  readonly #start: () => WorkerClient<C>;
  #clients: WorkerClient<C>[] = [];
  #isClosed = false;

  /** @param start starts one thread. */
  constructor(size: number, start: () => WorkerClient<C>) {
    this.#size = size;
    this.#start = start;
  }

  /**
   * Starts all threads and waits until they are open.
   * @throws what the first of them to fail throws; the others are ended.
   */
  async open(): Promise<void> {
    while (this.#clients.length < this.#size) this.#clients.push(this.#start());
    try {
      await Promise.all(this.#clients.map(({ ready }) => ready));
    } catch (error) {
      await this.terminate();
      throw error;
    }
  }

  /**
   * Calls a function of one of the threads, see `WorkerClient.call`.
   * @throws FaceError `INTERNAL` when the thread dies over it; later calls get a new thread.
   */
  call<K extends keyof C & string>(
    name: K,
    args: Arguments<C, K>,
    transfer: readonly TransferListItem[] = [],
  ): Promise<Answer<C, K>> {
    if (this.#isClosed)
      return Promise.reject(new FaceError("INTERNAL", "internal: the thread pool was closed"));
    return this.#leastBusy().call(name, args, transfer);
  }

  #leastBusy(): WorkerClient<C> {
    this.#clients = this.#clients.filter(({ alive }) => alive);
    const [first, ...others] = this.#clients;
    const best = others.reduce((a, b) => (b.pending < (a?.pending ?? 0) ? b : a), first);
    if (best !== undefined && (best.pending === 0 || this.#clients.length >= this.#size)) return best;
    const started = this.#start();
    this.#clients.push(started);
    return started;
  }

  /** Ends the threads when they have answered what is pending. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** Ends the threads at once; pending calls fail. */
  async terminate(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#clients.map((client) => client.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
