/** @file The calls of something that can be closed: closing waits for those under way, and later ones are refused. */
import { FaceError } from "../base/errors.ts";

export class OpenCalls {
  readonly #what: () => string;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** @param what is opened, as the error names it: `the model opencv-sface`. */
  constructor(what: () => string) {
    this.#what = what;
  }

  /**
   * Runs a whole call, which `close` waits for.
   * @throws FaceError `CONFIG_INVALID` after `close`.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) {
      throw new FaceError("CONFIG_INVALID", `${this.#what()} is closed`, {
        hint: "load it again, or close it after the last call",
      });
    }
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Waits for the calls under way, then frees what they used. Closing again does nothing. */
  close(free: () => PromiseLike<void>): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#running).then(free);
    return this.#closing;
  }
}
