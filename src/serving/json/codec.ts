/** @file Reads and writes documents, JSON and tensors on the wire: small ones at once, large ones in worker threads, which keeps the event loop free. */
import { FaceError, systemCode } from "../../base/errors.ts";
import { Limiter } from "../../base/limiter.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { WorkerClient, WorkerPool } from "../../base/worker-client.ts";
import type { Classifications } from "../classifications.ts";
import {
  classifyResponse,
  multiInferenceResponse,
  predictResponse,
  regressResponse,
} from "../grpc/response-messages.ts";
import { STRING_BYTES, type TensorPlan, workOf } from "../grpc/tensor-message.ts";
import type { InferenceAnswer } from "../multi-inference.ts";
import type { Regressions } from "../regress.ts";
import type { Answered } from "../repository/catalog.ts";
import type { RequestMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";
import {
  type CodecCalls,
  type Outcome,
  readPredict,
  readTensors,
  type SignatureLookup,
} from "./codec-calls.ts";
import { type ExamplesJson, readExamplesJson } from "./examples.ts";
import { type SentTensors, unpackStrings, unpackTensors } from "./packed-strings.ts";
import { type PhotosJson, readPhotosJson } from "./photos.ts";
import type { JsonFormat, PredictJson } from "./tensors.ts";
import { writeClassifyJson, writePredictJson, writeRegressJson } from "./write.ts";

/** Bodies up to this size are read at once: sending them to a thread would take longer. */
const INLINE_BYTES = 16 * 1024;
/** Answers with up to this many numbers are written at once, in about a millisecond. */
const INLINE_ELEMENTS = 2048;

/** Tensors up to this size are copied at once. */
const INLINE_COPY = 4 * 2 ** 20;
/** The most that an element takes in an answer: a negative number as a varint. */
const MOST_ELEMENT_BYTES = 10;
/** Documents above this size are read one at a time. */
const LARGE_BYTES = 8 * 2 ** 20;

/** Heap of a thread. Numbers lie outside it; only a document with millions of strings comes near the limit. */
const HEAP_MEGABYTES = 1024;

/** What bounds a call. */
interface CallOptions {
  readonly signal?: AbortSignal;
  /** What the result takes is counted here. */
  readonly memory?: RequestMemory;
}

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
  /** Documents that take many times their own size while they are read are read one at a time. */
  readonly #large: Limiter;

  constructor({ workers, maxQueued }: CodecOptions) {
    const limits = { heapMegabytes: HEAP_MEGABYTES };
    this.#threads = new WorkerPool(
      workers,
      () => new WorkerClient<CodecCalls>(import.meta.url, "codec-worker", undefined, limits),
    );
    const refusal = () =>
      new StatusError("UNAVAILABLE", "The server is busy reading other large requests; try again.");
    this.#limiter = new Limiter(workers, { maxQueued, refusal });
    this.#large = new Limiter(1, { maxQueued, refusal });
  }

  /**
   * @param options.memory for the numbers of a large document.
   * @throws StatusError with TensorFlow Serving's message, or `UNAVAILABLE` when too many documents wait.
   */
  async readPredict(
    bytes: Uint8Array,
    lookup: SignatureLookup,
    { signal, memory }: CallOptions = {},
  ): Promise<PredictJson> {
    if (bytes.length <= INLINE_BYTES) return readPredict(bytes, lookup);
    // A number with its comma takes about as many bytes in a text as in memory, or more.
    const into = memory?.text(bytes.length);
    const { length } = bytes;
    const moved = movable(bytes);
    const read = await this.#inThread(
      (threads) => threads.call("readPredict", [bytes, lookup, into], moved),
      {
        bytes: length,
        signal,
      },
    );
    if (moved.length > 0) memory?.giveBack(length);
    memory?.take(bytesIn(read.inputs));
    return { ...read, inputs: await unpackTensors(read.inputs) };
  }

  /** @throws StatusError as `readPredict`. */
  async readExamples(bytes: Uint8Array, { signal, memory }: CallOptions = {}): Promise<ExamplesJson> {
    if (bytes.length <= INLINE_BYTES) return readExamplesJson(bytes);
    const read = await this.#inThread((threads) => threads.call("readExamples", [bytes], movable(bytes)), {
      bytes: bytes.length,
      signal,
    });
    memory?.take(read.examples.bytes.length + read.examples.ends.length * STRING_BYTES);
    return { ...read, examples: await unpackStrings(read.examples) };
  }

  /**
   * Reads a body with photographs; see `readPhotosJson`.
   * @throws StatusError `INVALID_ARGUMENT`, or as `readPredict`.
   */
  async readPhotos(bytes: Uint8Array, names: readonly string[], signal?: AbortSignal): Promise<PhotosJson> {
    if (bytes.length <= INLINE_BYTES) return readPhotosJson(bytes, names);
    return await this.#inThread((threads) => threads.call("readPhotos", [bytes, names], movable(bytes)), {
      bytes: bytes.length,
      signal,
    });
  }

  /**
   * Reads the tensors of a gRPC request as planned.
   * @param bytes the message, which must not be used afterwards.
   * @throws StatusError `INVALID_ARGUMENT` for tensors whose values do not fit; `UNAVAILABLE` as `readPredict`.
   */
  async readTensors(
    bytes: Uint8Array,
    plans: ReadonlyMap<string, TensorPlan>,
    { signal, memory }: CallOptions = {},
  ): Promise<TensorMap> {
    let [work, size, strings] = [0, 0, 0];
    for (const plan of plans.values()) {
      work += workOf(plan);
      if (plan.dtype === "string") strings += plan.bytes;
      else size += plan.bytes;
    }
    memory?.take(strings);
    if (work <= INLINE_BYTES && size <= INLINE_COPY && strings <= INLINE_COPY) {
      return readTensors(bytes, plans, memory);
    }
    memory?.take(size);
    const sent = await this.#inThread(
      (threads) => threads.call("readTensors", [bytes, plans], movable(bytes)),
      {
        bytes: 0,
        signal,
      },
    );
    return await unpackTensors(sent);
  }

  /** @throws StatusError as `readPredict`. */
  async writePredict(outputs: TensorMap, format: JsonFormat, signal?: AbortSignal): Promise<Uint8Array> {
    let elements = 0;
    for (const { data } of outputs.values()) elements += data.length;
    if (elements <= INLINE_ELEMENTS) return writePredictJson(outputs, format);
    return await this.#write((threads) => threads.call("writePredict", [outputs, format]), signal);
  }

  async writeClassify(answer: Classifications, signal?: AbortSignal): Promise<Uint8Array> {
    if (elementsOf(answer) <= INLINE_ELEMENTS) return writeClassifyJson(answer);
    return await this.#write((threads) => threads.call("writeClassify", [answer]), signal);
  }

  async writeRegress(answer: Regressions, signal?: AbortSignal): Promise<Uint8Array> {
    if (elementsOf(answer) <= INLINE_ELEMENTS) return writeRegressJson(answer.values);
    return await this.#write((threads) => threads.call("writeRegress", [answer]), signal);
  }

  /** The bytes of a PredictResponse. */
  async writePredictResponse(
    answered: Answered,
    outputs: TensorMap,
    asContent: boolean,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    let bytes = 0;
    for (const { data } of outputs.values()) bytes += data.length * MOST_ELEMENT_BYTES;
    if (bytes <= INLINE_COPY) return predictResponse(answered, outputs, asContent);
    return await this.#write(
      (threads) => threads.call("predictResponse", [answered, outputs, asContent]),
      signal,
    );
  }

  async writeClassifyResponse(answer: Answered & Classifications, signal?: AbortSignal): Promise<Uint8Array> {
    if (elementsOf(answer) <= INLINE_ELEMENTS) return classifyResponse(answer);
    return await this.#write((threads) => threads.call("classifyResponse", [answer]), signal);
  }

  async writeRegressResponse(answer: Answered & Regressions, signal?: AbortSignal): Promise<Uint8Array> {
    if (elementsOf(answer) <= INLINE_ELEMENTS) return regressResponse(answer);
    return await this.#write((threads) => threads.call("regressResponse", [answer]), signal);
  }

  async writeMultiInferenceResponse(
    answers: readonly InferenceAnswer[],
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const elements = answers.reduce((sum, answer) => sum + elementsOf(answer), 0);
    if (elements <= INLINE_ELEMENTS) return multiInferenceResponse(answers);
    return await this.#write((threads) => threads.call("multiInferenceResponse", [answers]), signal);
  }

  #write(
    call: (threads: WorkerPool<CodecCalls>) => Promise<Outcome<Uint8Array>>,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    return this.#inThread(call, { bytes: 0, signal });
  }

  /** Makes a call in a thread when one is free. */
  async #inThread<T>(
    call: (threads: WorkerPool<CodecCalls>) => Promise<Outcome<T>>,
    { bytes, signal }: { readonly bytes: number; readonly signal: AbortSignal | undefined },
  ): Promise<T> {
    const run = () => this.#limiter.run(() => call(this.#threads).catch(lost), signal);
    const outcome = await (bytes <= LARGE_BYTES ? run() : this.#large.run(run, signal));
    if ("result" in outcome) return outcome.result;
    throw new StatusError(outcome.error.status, outcome.error.message);
  }

  /** Ends the threads at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads.terminate();
  }
}

/** What a message of grpc-js has in front. */
const MOST_HEADER = 8;

/** A document that can move to a thread. Moving a view would move its whole buffer, so a view of a larger one is copied. */
function movable({ buffer, byteLength }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength - byteLength <= MOST_HEADER ? [buffer] : [];
}

/** Bytes of tensors that came from a thread, but for those in the request's shared memory, which are counted. */
function bytesIn(sent: SentTensors): number {
  let bytes = 0;
  for (const value of sent.values()) {
    if ("ends" in value) bytes += value.bytes.length + value.ends.length * STRING_BYTES;
    else if ((value.data as Float32Array).buffer instanceof ArrayBuffer) {
      bytes += (value.data as Float32Array).byteLength;
    }
  }
  return bytes;
}

const elementsOf = (answer: Classifications | Regressions) =>
  answer.method === "classify" ? answer.batch * answer.count : answer.values.length;

/** The error of a request whose document ended its thread. */
function lost(error: unknown): never {
  const cause = error instanceof FaceError ? error.cause : undefined;
  if (systemCode(cause) === "ERR_WORKER_OUT_OF_MEMORY") {
    const message = "The request takes more memory to read than the server gives it.";
    throw new StatusError("RESOURCE_EXHAUSTED", message, { cause });
  }
  throw new StatusError("INTERNAL", "The request could not be read.", { cause: cause ?? error });
}
