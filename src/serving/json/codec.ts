/** @file Runs the JSON of large requests and answers in worker threads, so that the event loop stays free. */
import type { TransferListItem, Worker } from "node:worker_threads";
import { systemCode } from "../../base/errors.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { startWorker } from "../../base/worker.ts";
import type { RequestMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";
import type { CodecReply } from "./codec-worker.ts";
import type { ExamplesJson } from "./examples.ts";
import {
  type CodecJob,
  type CodecResult,
  doCodecJob,
  type PlainStatus,
  type SignatureLookup,
} from "./job.ts";
import type { JsonFormat, PredictJson } from "./tensors.ts";

/** Bodies up to this size are read at once: handing them over would take longer. */
const INLINE_BYTES = 16 * 1024;
/** Answers with up to this many numbers are written at once, about a millisecond's work. */
const INLINE_ELEMENTS = 2048;

/** Numbers lie outside the heap; only a document of millions of strings comes near this. */
const HEAP_MEGABYTES = 1024;

/** Settings of the codec. */
export interface CodecOptions {
  /** Worker threads for large documents. */
  readonly workers: number;
  /** Documents that may wait for a worker; more are refused. */
  readonly maxQueued: number;
}

interface Waiting {
  readonly job: CodecJob;
  readonly transfer: readonly TransferListItem[];
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: CodecResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads and writes predict JSON; large documents go to threads that are started when first needed. */
export class JsonCodec implements AsyncDisposable {
  readonly #options: CodecOptions;
  readonly #queue: Waiting[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Waiting>();
  #isClosed = false;

  constructor(options: CodecOptions) {
    this.#options = options;
  }

  /**
   * @param options.memory for the numbers of a large document.
   * @throws StatusError with the contract's message, or `UNAVAILABLE` when too many documents wait.
   */
  async readPredict(
    bytes: Uint8Array,
    lookup: SignatureLookup,
    { signal, memory }: { signal?: AbortSignal; memory?: RequestMemory } = {},
  ): Promise<PredictJson> {
    // A number with what parts it from the next takes about as many bytes in a text as in memory, or more.
    const into = bytes.length > INLINE_BYTES ? memory?.text(bytes.length) : undefined;
    return (await this.#read({ kind: "read", bytes, lookup, into }, signal)) as PredictJson;
  }

  /** @throws StatusError as `readPredict`. */
  async readExamples(bytes: Uint8Array, signal?: AbortSignal): Promise<ExamplesJson> {
    return (await this.#read({ kind: "examples", bytes }, signal)) as ExamplesJson;
  }

  #read(
    job: Exclude<CodecJob, { kind: "write" }>,
    signal: AbortSignal | undefined,
  ): Promise<CodecResult> | CodecResult {
    const { bytes } = job;
    if (bytes.length <= INLINE_BYTES) return doCodecJob(job);
    // A body that is a view of a larger buffer must be copied; moving it would take the rest along.
    const isWhole = bytes.byteLength === bytes.buffer.byteLength;
    const transfer = isWhole && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
    return this.#submit(job, transfer, signal);
  }

  async writePredict(outputs: TensorMap, format: JsonFormat, signal?: AbortSignal): Promise<Uint8Array> {
    const job: CodecJob = { kind: "write", outputs, format };
    let elements = 0;
    for (const { data } of outputs.values()) elements += data.length;
    if (elements <= INLINE_ELEMENTS) return doCodecJob(job) as Uint8Array;
    return (await this.#submit(job, [], signal)) as Uint8Array;
  }

  #submit(
    job: CodecJob,
    transfer: readonly TransferListItem[],
    signal: AbortSignal | undefined,
  ): Promise<CodecResult> {
    if (this.#isClosed || this.#queue.length >= this.#options.maxQueued) {
      throw new StatusError("UNAVAILABLE", "The server is busy reading other large requests; try again.");
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, transfer, signal, resolve, reject });
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const waiting = this.#queue[0]!;
      if (waiting.signal?.aborted === true) {
        this.#queue.shift();
        waiting.reject(waiting.signal.reason);
        continue;
      }
      const worker = this.#idle.pop() ?? this.#start();
      if (worker === undefined) return;
      this.#queue.shift();
      this.#busy.set(worker, waiting);
      worker.ref();
      worker.postMessage(waiting.job, [...waiting.transfer]);
    }
  }

  #start(): Worker | undefined {
    if (this.#busy.size >= this.#options.workers) return undefined;
    const worker = startWorker(import.meta.url, "codec-worker", undefined, {
      heapMegabytes: HEAP_MEGABYTES,
    });
    worker.on("message", (reply: CodecReply) => {
      this.#finish(worker, reply);
      worker.unref();
      this.#idle.push(worker);
      this.#dispatch();
    });
    worker.on("error", (cause) => this.#finish(worker, { error: lossOf(cause), cause }));
    worker.on("exit", () => {
      this.#finish(worker, { error: lossOf(undefined) });
      const place = this.#idle.indexOf(worker);
      if (place >= 0) this.#idle.splice(place, 1);
      if (!this.#isClosed) this.#dispatch();
    });
    return worker;
  }

  #finish(worker: Worker, reply: CodecReply & { cause?: unknown }): void {
    const waiting = this.#busy.get(worker);
    if (waiting === undefined) return;
    this.#busy.delete(worker);
    if ("result" in reply) waiting.resolve(reply.result);
    else {
      const { status, message } = reply.error;
      waiting.reject(new StatusError(status, message, { cause: reply.cause }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const workers = [...this.#idle, ...this.#busy.keys()];
    // An idle process would end before its threads have, and whoever awaits this would never hear of it.
    for (const worker of workers) worker.ref();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** What a client is told whose document ended a thread. */
function lossOf(cause: unknown): PlainStatus {
  return systemCode(cause) === "ERR_WORKER_OUT_OF_MEMORY"
    ? {
        status: "RESOURCE_EXHAUSTED",
        message: "The request takes more memory to read than the server gives it.",
      }
    : { status: "INTERNAL", message: "The request could not be read." };
}
