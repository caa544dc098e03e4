/** @file One limit on the memory that requests take together, over both protocols. */
import { collectWhenIdle } from "../base/worker.ts";
import { StatusError } from "./status.ts";

const TOO_MANY = "The server holds too many large requests at once; try again.";

/** A request that could not be answered even by an idle server. */
const tooLarge = (maxBytes: number) =>
  new StatusError(
    "RESOURCE_EXHAUSTED",
    `The request takes more memory than all requests together may hold, ${maxBytes} bytes (--rest_api_max_total_body_bytes): send less at once, or images as files instead of numbers.`,
  );

/**
 * The first bytes of every request are counted apart, so that large requests, which fill the rest, make no small one
 * fail.
 */
const SMALL_BYTES = 2 ** 20;
/** What a request of more bytes leaves is freed when it has ended; V8 would wait until as much again is in use. */
const LARGE_BYTES = 16 * 2 ** 20;

/** Counts the bytes that requests hold: as they came, inflated, and as tensors. */
export class MemoryBudget {
  readonly #maxBytes: number;
  #small = 0;
  #large = 0;

  /** @param maxBytes for all requests; half of it again for the first mebibyte of each. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are counted now. */
  get totalBytes(): number {
    return this.#small + this.#large;
  }

  /**
   * Counts that a request which held `before` bytes holds `after`.
   * @throws StatusError `UNAVAILABLE` when it asks for more than is left, `RESOURCE_EXHAUSTED` for more than there ever is; nothing
   *   has changed then.
   */
  change(before: number, after: number): void {
    const [ownSmall, ownLarge] = [Math.min(after, SMALL_BYTES), Math.max(after - SMALL_BYTES, 0)];
    const small = this.#small + ownSmall - Math.min(before, SMALL_BYTES);
    const large = this.#large + ownLarge - Math.max(before - SMALL_BYTES, 0);
    if (after > before && this.#exceeds(small, large)) {
      throw this.#exceeds(ownSmall, ownLarge)
        ? tooLarge(this.#maxBytes)
        : new StatusError("UNAVAILABLE", TOO_MANY);
    }
    this.#small = small;
    this.#large = large;
    if (before > LARGE_BYTES && after === 0) collectWhenIdle();
  }

  #exceeds(small: number, large: number): boolean {
    return small > this.#maxBytes / 2 || large > this.#maxBytes;
  }
}

/** The budget of tests and of work that no client asked for. */
export const UNBOUNDED = new MemoryBudget(Number.POSITIVE_INFINITY);
