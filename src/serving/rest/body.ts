/** @file The body of a REST request: collected within limits, inflated within limits. */
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { copyBytes, type RequestMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";

/** Largest inflated body: TensorFlow Serving's limit. A larger one counts as empty, as there. */
export const MAX_INFLATED_BYTES = 104_857_600;
const gunzipAsync = promisify(gunzip);
/** Shorter bodies are as fast put together in memory of their own. */
const LEAST_SHARED_BYTES = 16 * 1024;

/** A body larger than the server takes; the connection is closed after the answer. */
export class BodyTooLarge extends Error {}

/** How long a body that is refused is still read, and dropped, so that its sender gets to read the answer. */
const LINGER_MS = 2000;
const TOO_MANY = "The server holds too many large requests at once; try again.";

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
   * Collects a body and undoes its gzip. The caller releases the length of what it gets when the request is over.
   * @param memory where a large body may lie, for a reader that can do with shared memory.
   * @throws BodyTooLarge, or StatusError `UNAVAILABLE` when the bodies of all requests together are too large.
   */
  async collect(request: IncomingMessage, memory?: RequestMemory): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let taken = 0;
    try {
      const announced = Number(request.headers["content-length"] ?? 0);
      const encoding = request.headers["content-encoding"];
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

/** Like iterating over the stream, but leaves the connection open for an answer when `take` throws. */
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
    // What is announced can be refused before anything has come.
    onData(new Uint8Array(0));
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
async function inflated(body: Uint8Array, contentEncoding: string | undefined): Promise<Uint8Array> {
  if (!contentEncoding?.includes("gzip")) return body;
  try {
    return await gunzipAsync(body, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch {
    return new Uint8Array(0);
  }
}
