/** @file Reads and writes documents, JSON and tensors on the wire: small ones at once, large ones in worker threads, which keeps the event loop free. */
import { FaceError, systemCode } from "../../base/errors.ts";
import { Limiter } from "../../base/limiter.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { WorkerClient, WorkerPool } from "../../base/worker-client.ts";
import { STRING_BYTES, workOf } from "../grpc/tensor-message.ts";
import { type InferBody, readInferBody } from "../open-inference/body.ts";
import type { RequestMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";
import type {
  AnswerForm,
  CodecCalls,
  Outcome,
  SignatureLookup,
  TensorPlans,
  WriterArguments,
} from "./codec-calls.ts";
import { ON_HEAP, readPredict, readTensors, resultOf, written } from "./codec-calls.ts";
import { type ExamplesJson, readExamplesJson } from "./examples.ts";
import { type SentTensors, unpackStrings, unpackTensors } from "./packed-strings.ts";
import { type PhotoList, type PhotosJson, readPhotosJson } from "./photos.ts";
import type { PredictJson } from "./tensors.ts";

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

type ResultOf<K extends keyof CodecCalls> = ReturnType<CodecCalls[K]> extends Outcome<infer T> ? T : never;

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
    const read = await this.#call("readPredict", [bytes, lookup, into], signal, { length, moved });
    if (moved.length > 0) memory?.giveBack(length);
    memory?.take(bytesIn(read.inputs));
    return { ...read, inputs: await unpackTensors(read.inputs) };
  }

  /** @throws StatusError as `readPredict`. */
  async readExamples(bytes: Uint8Array, { signal, memory }: CallOptions = {}): Promise<ExamplesJson> {
    if (bytes.length <= INLINE_BYTES) return readExamplesJson(bytes);
    const read = await this.#call("readExamples", [bytes], signal, sent(bytes));
    memory?.take(read.examples.bytes.length + read.examples.ends.length * STRING_BYTES);
    return { ...read, examples: await unpackStrings(read.examples) };
  }

  /**
   * Reads a body with photographs; see `readPhotosJson`.
   * @throws StatusError `INVALID_ARGUMENT`, or as `readPredict`.
   */
  async readPhotos(
    bytes: Uint8Array,
    names: readonly string[],
    signal?: AbortSignal,
    list?: PhotoList,
  ): Promise<PhotosJson> {
    if (bytes.length <= INLINE_BYTES) return readPhotosJson(bytes, names, list);
    return await this.#call("readPhotos", [bytes, names, list], signal, sent(bytes));
  }

  /**
   * Reads the tensors of a gRPC request as planned.
   * @param bytes the message, which must not be used afterwards.
   * @throws StatusError `INVALID_ARGUMENT` for tensors whose values do not fit; `UNAVAILABLE` as `readPredict`.
   */
  async readTensors(
    bytes: Uint8Array,
    plans: TensorPlans,
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
    return await unpackTensors(
      await this.#call("readTensors", [bytes, plans], signal, { moved: movable(bytes) }),
    );
  }

  /**
   * Reads the body of an infer request over REST; see `readInferBody`.
   * @throws StatusError `INVALID_ARGUMENT`, or as `readPredict`.
   */
  async readInfer(
    bytes: Uint8Array,
    jsonLength: number,
    { signal, memory }: CallOptions,
  ): Promise<InferBody> {
    if (jsonLength <= INLINE_BYTES && bytes.length <= INLINE_COPY) {
      return readInferBody(bytes, jsonLength, memory ?? ON_HEAP);
    }
    const read = await this.#call("readInfer", [bytes, jsonLength], signal, sent(bytes));
    memory?.take(bytesIn(read.inputs));
    return { ...read, inputs: await unpackTensors(read.inputs) };
  }

  /**
   * The bytes of an answer.
   * @param args what the form's writer takes.
   * @throws StatusError as `readPredict`.
   */
  async write<F extends AnswerForm>(
    form: F,
    args: WriterArguments<F>,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const atOnce =
      form === "predictMessage" || form === "inferMessage"
        ? INLINE_COPY / MOST_ELEMENT_BYTES
        : INLINE_ELEMENTS;
    if (elementsIn(args[0]) <= atOnce) return written(form, args);
    return await this.#call("write", [form, args], signal);
  }

  /**
   * Makes a call in a thread when one is free.
   * @param document the size of a document to read, and what of its memory moves to the thread.
   */
  async #call<K extends keyof CodecCalls>(
    name: K,
    args: Parameters<CodecCalls[K]>,
    signal: AbortSignal | undefined,
    { length = 0, moved = [] }: { readonly length?: number; readonly moved?: ArrayBuffer[] } = {},
  ): Promise<ResultOf<K>> {
    const call = () => this.#threads.call(name, args, moved).catch(lost);
    const run = () => this.#limiter.run(call, signal);
    const answer = await (length <= LARGE_BYTES ? run() : this.#large.run(run, signal));
    return resultOf(answer as Outcome<ResultOf<K>>);
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

/** A document that is sent to a thread as a whole. */
const sent = (bytes: Uint8Array) => ({ length: bytes.length, moved: movable(bytes) });

/** Bytes of tensors that came from a thread, but for those in the request's shared memory, which are counted. */
function bytesIn(tensors: SentTensors): number {
  let bytes = 0;
  for (const value of tensors.values()) {
    if ("ends" in value) bytes += value.bytes.length + value.ends.length * STRING_BYTES;
    else if ((value.data as Float32Array).buffer instanceof ArrayBuffer) {
      bytes += (value.data as Float32Array).byteLength;
    }
  }
  return bytes;
}

/** Numbers in an answer. */
function elementsIn(answer: WriterArguments[0]): number {
  if ("method" in answer)
    return answer.method === "classify" ? answer.batch * answer.count : answer.values.length;
  let elements = 0;
  for (const part of answer.values()) elements += "data" in part ? part.data.length : elementsIn(part);
  return elements;
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
