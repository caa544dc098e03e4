/** @file The body of a REST request: collected within limits, inflated within limits. */
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { StatusError } from "./status.ts";

/** Largest inflated body: TensorFlow Serving's limit. A larger one counts as empty, as there. */
export const MAX_INFLATED_BYTES = 104_857_600;
const gunzipAsync = promisify(gunzip);

/** A body larger than the server takes; the connection is closed after the answer. */
export class BodyTooLarge extends Error {}

/** How many bytes of request bodies may be in memory at once, over all connections. */
export class BodyBudget {
  readonly #maxBytes: number;
  readonly #maxTotalBytes: number;
  #totalBytes = 0;

  constructor(maxBytes: number, maxTotalBytes: number) {
    this.#maxBytes = maxBytes;
    this.#maxTotalBytes = maxTotalBytes;
  }

  /** Bytes of bodies in memory at present. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Gives back what a finished request took. */
  release(bytes: number): void {
    this.#totalBytes -= bytes;
  }

  /**
   * Collects a body. The caller releases its length when the request is over.
   * @throws BodyTooLarge, or StatusError `UNAVAILABLE` when the bodies of all requests together are too large.
   */
  async collect(request: IncomingMessage): Promise<Uint8Array> {
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > this.#maxBytes) throw new BodyTooLarge(this.#limitText());
    const chunks: Uint8Array[] = [];
    let taken = 0;
    try {
      await eachChunk(request, (chunk) => {
        taken += chunk.length;
        this.#totalBytes += chunk.length;
        if (taken > this.#maxBytes) throw new BodyTooLarge(this.#limitText());
        if (this.#totalBytes > this.#maxTotalBytes) {
          throw new StatusError(
            "UNAVAILABLE",
            "The server holds too many large requests at once; try again.",
          );
        }
        chunks.push(chunk);
      });
    } catch (error) {
      this.#totalBytes -= taken;
      throw error;
    }
    return joined(chunks, taken);
  }

  #limitText(): string {
    return `The request body is larger than the limit of ${this.#maxBytes} bytes.`;
  }
}

/** Like iterating over the stream, but leaves the connection open for an answer when `take` throws. */
function eachChunk(request: IncomingMessage, take: (chunk: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (act: () => void) => {
      request.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose);
      act();
    };
    const onData = (chunk: Uint8Array) => {
      try {
        take(chunk);
      } catch (error) {
        request.pause();
        finish(() => reject(error));
      }
    };
    const onEnd = () => finish(resolve);
    const onError = (error: Error) => finish(() => reject(error));
    const onClose = () => finish(() => reject(new StatusError("CANCELLED", "The client has left.")));
    request.on("data", onData).on("end", onEnd).on("error", onError).on("close", onClose);
  });
}

/** One array of its own memory, so that it can be handed to a thread whole. */
function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

/** Undoes gzip where the header mentions it; whatever cannot be inflated within the limit counts as empty. */
export async function inflated(body: Uint8Array, contentEncoding: string | undefined): Promise<Uint8Array> {
  if (!contentEncoding?.includes("gzip")) return body;
  try {
    return await gunzipAsync(body, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch {
    return new Uint8Array(0);
  }
}
