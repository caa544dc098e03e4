/** @file The body of a REST request: collected within limits, inflated within limits. */
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { copyBytes, type RequestMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";

/** Largest inflated body. As in TensorFlow Serving, a larger one counts as empty. */
export const MAX_INFLATED_BYTES = 104_857_600;
const gunzipAsync = promisify(gunzip);
/** Shorter bodies gain nothing from shared memory. */
const LEAST_SHARED_BYTES = 16 * 1024;

/** A body larger than the server takes; the connection is closed after the answer. */
export class BodyTooLarge extends Error {}

/** How long a refused body is still read, and dropped, so that its sender reads the answer instead of failing to write. */
const LINGER_MS = 2000;
const TOO_MANY = "The server holds too many large requests at once; try again.";

/** Limits the bytes of request bodies in memory, over all connections. */
export class BodyBudget {
  readonly #maxBytes: number;
  readonly #maxTotalBytes: number;
  #totalBytes = 0;

  constructor(maxBytes: number, maxTotalBytes: number) {
    this.#maxBytes = maxBytes;
    this.#maxTotalBytes = maxTotalBytes;
  }

  /** Bytes of bodies in memory. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Subtracts the body of a finished request. */
  release(bytes: number): void {
    this.#totalBytes -= bytes;
  }

  /**
   * Collects a body and inflates gzip. The caller releases the length of the result when the request is over.
   * @param memory for a large body, if its reader can read shared memory.
   * @throws BodyTooLarge, or StatusError `UNAVAILABLE` when the bodies of all requests together are too large.
   */
  async collect(request: IncomingMessage, memory?: RequestMemory): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let taken = 0;
    try {
      const announced = Number(request.headers["content-length"] ?? 0);
      const encoding = request.headers["content-encoding"]?.toLowerCase();
      const isLarge = announced >= LEAST_SHARED_BYTES && announced <= this.#maxBytes;
      const shared = isLarge && encoding === undefined ? memory?.text(announced) : undefined;
      await eachChunk(request, (chunk) => {
        if (announced > this.#maxBytes) throw new BodyTooLarge(this.#limitText());
        taken += chunk.length;
        this.#take(chunk.length);
        if (taken > this.#maxBytes) throw new BodyTooLarge(this.#limitText());
        if (shared === undefined) chunks.push(chunk);
        else copyBytes(chunk, shared.subarray(taken - chunk.length, taken));
      });
      if (shared !== undefined) return shared;
      const body = await inflated(joined(chunks, taken), encoding);
      const received = taken;
      taken = body.length;
      this.release(received);
      this.#take(body.length);
      return body;
    } catch (error) {
      this.release(taken);
      throw error;
    }
  }

  #take(bytes: number): void {
    this.#totalBytes += bytes;
    if (this.#totalBytes > this.#maxTotalBytes) throw new StatusError("UNAVAILABLE", TOO_MANY);
  }

  #limitText(): string {
    return `The request body is larger than the limit of ${this.#maxBytes} bytes.`;
  }
}

/** Calls `take` with each chunk. Unlike iteration, it leaves the connection open for an answer when `take` throws. */
function eachChunk(request: IncomingMessage, take: (chunk: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let refusal: unknown;
    let timer: NodeJS.Timeout | undefined;
    const finish = (act: () => void) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose);
      act();
    };
    const refuse = () => {
      request.pause();
      finish(() => reject(refusal));
    };
    const onData = (chunk: Uint8Array) => {
      if (refusal !== undefined) return;
      try {
        take(chunk);
      } catch (error) {
        refusal = error;
        timer = setTimeout(refuse, LINGER_MS);
      }
    };
    const onEnd = () => finish(() => (refusal === undefined ? resolve() : reject(refusal)));
    const onError = (error: Error) => finish(() => reject(error));
    const onClose = () => finish(() => reject(new StatusError("CANCELLED", "The client has left.")));
    // A body whose announced length is too large is refused before any of it arrives.
    onData(new Uint8Array(0));
    request.on("data", onData).on("end", onEnd).on("error", onError).on("close", onClose);
  });
}

/** One array in a buffer of its own, which can be moved to a thread. */
function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

/** Inflates gzip if the header mentions it; a body that cannot be inflated within the limit counts as empty. */
async function inflated(body: Uint8Array, contentEncoding: string | undefined): Promise<Uint8Array> {
  if (!contentEncoding?.includes("gzip")) return body;
  try {
    return await gunzipAsync(body, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch {
    return new Uint8Array(0);
  }
}
