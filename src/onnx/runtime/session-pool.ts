/** @file One ONNX model in several worker threads, so that its runs leave the calling thread free. */
import type { NumericDType, Shape, Tensor, TensorMap } from "../../base/tensor.ts";
import { buffersOf, ConcatenatedView, isShared, materialize, partsOf, sizeOf } from "../../base/tensor.ts";
import { WorkerClient, WorkerPool } from "../../base/worker-client.ts";
import { FasterWay, type Way } from "./faster-way.ts";
// Also for its effect on the environment of the threads.
import "./runtime.ts";
import type { RuntimeOptions } from "./runtime.ts";

/** An input in memory that both threads see; the session's thread copies its parts to where the runtime reads them. */
export interface SharedInput {
  readonly dtype: NumericDType;
  readonly shape: Shape;
  readonly parts: readonly Float32Array[];
}

export type SessionInputs = ReadonlyMap<string, Tensor | SharedInput>;

/** What a session's thread can be asked. */
export interface SessionCalls {
  run(inputs: SessionInputs, outputs: readonly string[] | undefined): TensorMap;
}

/** What a session's thread is started with. */
export interface SessionData {
  readonly bytes: Uint8Array;
  readonly options: RuntimeOptions;
  readonly niceness: number;
  readonly rowsAtATime?: number | undefined;
}

/** A run that takes less is not worth sharing among threads, nor the memory of a further session. */
const WORTH_SHARING_MS = 2;
/** The way of a lone run through one of the sessions for all runs. */
const ORDINARY: Way = 1;

export interface SessionPoolOptions {
  readonly runtime?: RuntimeOptions;
  /** The inputs that the model reads; others are not sent to it. Default: all that a run is given. */
  readonly inputNames?: readonly string[];
  /** How much lower than others the priority of the threads is, on Linux: from 0, the default, to 19. */
  readonly niceness?: number;
  /**
   * Threads of a further session for the runs that find no other in the pool, so that they have all cores. It is opened after
   * the first of them that took long enough to gain from it, and used where it is faster: a network of many small operators is
   * not. Default 1: no such session.
   */
  readonly aloneThreads?: number;
  /**
   * How many rows of its inputs each thread of a session computes at a time, for a model that treats rows by themselves
   * (`rowsAtATime`). Default: all.
   */
  readonly rowsAtATime?: number | undefined;
}

/**
 * Sessions of one ONNX model, each in its own thread; a run goes to the thread with the fewest runs, or to the session for
 * runs that are alone.
 */
export class SessionPool implements AsyncDisposable {
  readonly #threads: WorkerPool<SessionCalls>;
  readonly #alone: AloneSession | undefined;
  /** For a run that is alone: the session with all cores, or `ORDINARY`. */
  readonly #ways = new FasterWay();
  readonly #inputNames: ReadonlySet<string> | undefined;

  private constructor(
    threads: WorkerPool<SessionCalls>,
    alone: AloneSession | undefined,
    inputNames: readonly string[] | undefined,
  ) {
    this.#threads = threads;
    this.#alone = alone;
    this.#inputNames = inputNames && new Set(inputNames);
  }

  /**
   * Loads a model whose parameters are all stored in it into `size` threads.
   * @throws FaceError `MODEL_UNSUPPORTED` when the runtime cannot load it.
   */
  static async open(
    bytes: Uint8Array,
    size = 1,
    { runtime = {}, inputNames, niceness = 0, aloneThreads = 1, rowsAtATime }: SessionPoolOptions = {},
  ): Promise<SessionPool> {
    // One copy for all threads, now and when one is replaced.
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    const start = (options: RuntimeOptions) => () => {
      const data: SessionData = { bytes: shared, options, niceness, rowsAtATime };
      return new WorkerClient<SessionCalls>(import.meta.url, "session-worker", data);
    };
    const threads = new WorkerPool(size, start(runtime));
    await threads.open();
    const alone =
      aloneThreads > 1 ? new AloneSession(start({ ...runtime, threads: aloneThreads })) : undefined;
    return new SessionPool(threads, alone, inputNames);
  }

  /**
   * Runs the model once. Inputs in shared memory are not copied on their way and must not change until the answer.
   * @param outputs which outputs to compute; all when left out.
   * @throws FaceError `MODEL_UNSUPPORTED` with the runtime's message when the inputs do not fit, `INTERNAL` when the
   *   thread dies; later runs get a new thread.
   */
  async run(inputs: TensorMap, outputs?: readonly string[]): Promise<TensorMap> {
    const read = [...inputs].filter(([name]) => this.#inputNames?.has(name) ?? true);
    const sent = read.map(([name, value]) => [name, sharedInput(value) ?? compact(value)] as const);
    const copied = sent.flatMap(([, value]) => ("parts" in value ? [] : [value]));
    // Only copies made here may be moved; the caller keeps the rest.
    const isOurs = sent.every(([, value], i) => value !== read[i]![1]);
    const args = [new Map(sent), outputs] as [SessionInputs, readonly string[] | undefined];
    const buffers = isOurs ? buffersOf(copied) : [];
    if (this.#alone === undefined || this.#threads.pending > 0) {
      return this.#threads.call("run", args, buffers);
    }
    const alone = this.#alone.whenIdle();
    const way = alone === undefined ? ORDINARY : this.#ways.choose();
    const startedMs = performance.now();
    const answer = await (way === ORDINARY ? this.#threads : alone!).call("run", args, buffers);
    const ms = performance.now() - startedMs;
    if (ms >= WORTH_SHARING_MS) this.#alone.open();
    if (alone !== undefined) {
      const elements = read.reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0);
      this.#ways.add(way, elements, ms);
    }
    return answer;
  }

  /** Waits for the runs that are pending, then ends the threads. */
  async close(): Promise<void> {
    await Promise.all([this.#threads.close(), this.#alone?.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The session for runs that are alone. */
export class AloneSession implements AsyncDisposable {
  readonly #start: () => WorkerClient<SessionCalls>;
  #thread: WorkerClient<SessionCalls> | undefined;
  #isClosed = false;

  constructor(start: () => WorkerClient<SessionCalls>) {
    this.#start = start;
  }

  /** Starts its thread, if there is none. */
  open(): void {
    if (!this.#isClosed && this.#thread?.alive !== true) this.#thread = this.#start();
  }

  /** Its thread, if that is open and has nothing to do; otherwise the run takes another of the pool. */
  whenIdle(): WorkerClient<SessionCalls> | undefined {
    return this.#thread?.alive === true && this.#thread.pending === 0 ? this.#thread : undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function sharedInput(value: Tensor): SharedInput | undefined {
  if (value.dtype === "string" || !isShared(value)) return undefined;
  return {
    dtype: value.dtype,
    shape: value.shape,
    parts: partsOf(value).map(({ data }) => data as Float32Array),
  };
}

/** Strings side by side in memory of their own, which is sent once for all of them. */
function compactStrings({ shape, data }: Tensor<"string">): Tensor<"string"> {
  const memory = new Uint8Array(data.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  const strings = data.map((bytes) => {
    memory.set(bytes, at);
    at += bytes.length;
    return memory.subarray(at - bytes.length, at);
  });
  return { dtype: "string", shape, data: strings };
}

/** A tensor that owns its memory: sending a view copies all the memory behind it, so a small view is copied first. */
function compact(value: Tensor): Tensor {
  if (value instanceof ConcatenatedView) return materialize(value);
  if (value.dtype === "string") return compactStrings(value as Tensor<"string">);
  const data = value.data as Float32Array;
  const isSmallView = data.byteLength * 2 < data.buffer.byteLength;
  return isSmallView ? ({ ...value, data: data.slice() } as Tensor) : value;
}
