/** @file Reads and writes JSON: small documents at once, large ones in worker threads, which keeps the event loop free. */
import { FaceError, systemCode } from "../../base/errors.ts";
import { Limiter } from "../../base/limiter.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { WorkerClient, WorkerPool } from "../../base/worker-client.ts";
import type { RequestMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";
import { type CodecCalls, type Outcome, readPredict, type SignatureLookup } from "./codec-calls.ts";
import { type ExamplesJson, readExamplesJson } from "./examples.ts";
import { type PhotosJson, readPhotosJson } from "./photos.ts";
import type { JsonFormat, PredictJson } from "./tensors.ts";
import { writePredictJson } from "./write.ts";

/** Bodies up to this size are read at once: sending them to a thread would take longer. */
const INLINE_BYTES = 16 * 1024;
/** Answers with up to this many numbers are written at once, in about a millisecond. */
const INLINE_ELEMENTS = 2048;

/** Heap of a thread. Numbers lie outside it; only a document with millions of strings comes near the limit. */
const HEAP_MEGABYTES = 1024;

/** Settings of the codec. */
export interface CodecOptions {
  /** Worker threads for large documents. */
  readonly workers: number;
  /** Documents that may wait for a worker; more are refused. */
  readonly maxQueued: number;
}

/** Reads requests and writes answers; the threads for large documents start when first needed. */
export class JsonCodec implements AsyncDisposable {
  readonly #threads: WorkerPool<CodecCalls>;
  readonly #limiter: Limiter;

  constructor({ workers, maxQueued }: CodecOptions) {
    const limits = { heapMegabytes: HEAP_MEGABYTES };
    this.#threads = new WorkerPool(
      workers,
      () => new WorkerClient<CodecCalls>(import.meta.url, "codec-worker", undefined, limits),
    );
    this.#limiter = new Limiter(workers, {
      maxQueued,
      refusal: () =>
        new StatusError("UNAVAILABLE", "The server is busy reading other large requests; try again."),
    });
  }

  /**
   * @param options.memory for the numbers of a large document.
   * @throws StatusError with TensorFlow Serving's message, or `UNAVAILABLE` when too many documents wait.
   */
  async readPredict(
    bytes: Uint8Array,
    lookup: SignatureLookup,
    { signal, memory }: { signal?: AbortSignal; memory?: RequestMemory } = {},
  ): Promise<PredictJson> {
    if (bytes.length <= INLINE_BYTES) return readPredict(bytes, lookup);
    // A number with its comma takes about as many bytes in a text as in memory, or more.
    const into = memory?.text(bytes.length);
    const transfer = movable(bytes);
    return await this.#inThread(
      (threads) => threads.call("readPredict", [bytes, lookup, into], transfer),
      signal,
    );
  }

  /** @throws StatusError as `readPredict`. */
  async readExamples(bytes: Uint8Array, signal?: AbortSignal): Promise<ExamplesJson> {
    if (bytes.length <= INLINE_BYTES) return readExamplesJson(bytes);
    return await this.#inThread((threads) => threads.call("readExamples", [bytes], movable(bytes)), signal);
  }

  /**
   * Reads a body with photographs; see `readPhotosJson`.
   * @throws StatusError `INVALID_ARGUMENT`, or as `readPredict`.
   */
  async readPhotos(bytes: Uint8Array, names: readonly string[], signal?: AbortSignal): Promise<PhotosJson> {
    if (bytes.length <= INLINE_BYTES) return readPhotosJson(bytes, names);
    return await this.#inThread(
      (threads) => threads.call("readPhotos", [bytes, names], movable(bytes)),
      signal,
    );
  }

  /** @throws StatusError as `readPredict`. */
  async writePredict(outputs: TensorMap, format: JsonFormat, signal?: AbortSignal): Promise<Uint8Array> {
    let elements = 0;
    for (const { data } of outputs.values()) elements += data.length;
    if (elements <= INLINE_ELEMENTS) return writePredictJson(outputs, format);
    return await this.#inThread((threads) => threads.call("writePredict", [outputs, format]), signal);
  }

  /** Makes a call in a thread when one is free. */
  async #inThread<T>(
    call: (threads: WorkerPool<CodecCalls>) => Promise<Outcome<T>>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const outcome = await this.#limiter.run(() => call(this.#threads).catch(lost), signal);
    if ("result" in outcome) return outcome.result;
    throw new StatusError(outcome.error.status, outcome.error.message);
  }

  /** Ends the threads at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads.terminate();
  }
}

/** A document that can move to a thread. Moving a view would move its whole buffer, so a view of a larger one is copied. */
function movable({ buffer, byteLength }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && byteLength === buffer.byteLength ? [buffer] : [];
}

/** The error of a request whose document ended its thread. */
function lost(error: unknown): never {
  const cause = error instanceof FaceError ? error.cause : undefined;
  if (systemCode(cause) === "ERR_WORKER_OUT_OF_MEMORY") {
    const message = "The request takes more memory to read than the server gives it.";
    throw new StatusError("RESOURCE_EXHAUSTED", message, { cause });
  }
  throw new StatusError("INTERNAL", "The request could not be read.", { cause: cause ?? error });
}
