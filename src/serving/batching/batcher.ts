/** @file Puts requests into batches, with TensorFlow Serving's parameters, limits and messages. */
import { setMaxListeners } from "node:events";
import { Limiter } from "../../base/limiter.ts";
import type { TensorMap } from "../../base/tensor.ts";
import type { Duration } from "../engine/run-statistics.ts";
import { elapsedMicros, type ServerMetrics } from "../metrics.ts";
import { allOf } from "../request-memory.ts";
import { invalidArgument, StatusError } from "../status.ts";
import { allowedSize, type BatchOptions } from "./options.ts";
import { checkOutputs, joinOutputs, rowsOf, sliceTensors, stackInputs } from "./tensors.ts";

/** Runs one batch. */
export type RunBatch = (inputs: TensorMap, outputNames: readonly string[]) => Promise<TensorMap>;

interface Task {
  readonly inputs: TensorMap;
  readonly rows: number;
  readonly signal: AbortSignal | undefined;
  readonly queuedMs: number;
  readonly resolve: (outputs: TensorMap) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  readonly tasks: Task[];
  rows: number;
  readonly openedMs: number;
}

/** Limits the batches that run at a time, over all queues, and serves the queues in turn; likewise parts of large requests. */
export class BatchThreads {
  readonly #count: number;
  readonly #parts: Limiter;
  #busy = 0;
  /** Queues with a batch to run, in the order they are served. */
  readonly #waiting = new Set<BatchQueue>();

  constructor(count: number) {
    this.#count = count;
    this.#parts = new Limiter(count);
  }

  /** Runs a part of a large request when it is its turn. */
  async runPart(work: () => Promise<void>): Promise<void> {
    await this.#parts.run(work);
  }

  /** Adds a queue that may have a batch to run. */
  offer(queue: BatchQueue): void {
    this.#waiting.add(queue);
    this.#serve();
  }

  #serve(): void {
    for (const queue of this.#waiting) {
      if (this.#busy >= this.#count) return;
      const work = queue.take();
      // A queue goes to the end after each batch, so that none starves.
      this.#waiting.delete(queue);
      if (work === undefined) continue;
      if (queue.depth > 0) this.#waiting.add(queue);
      this.#busy++;
      void work().finally(() => {
        this.#busy--;
        this.#serve();
      });
    }
  }
}

/** Counters of a queue. */
export interface QueueFigures {
  readonly metrics?: ServerMetrics | undefined;
  /** How long requests wait for their batch. */
  readonly waits?: Duration;
}

/** The batches of one signature and set of outputs. */
export class BatchQueue {
  readonly #run: RunBatch;
  readonly #outputNames: readonly string[];
  readonly #options: BatchOptions;
  readonly #threads: BatchThreads;
  readonly #metrics: ServerMetrics | undefined;
  readonly #waits: Duration | undefined;
  readonly #batches: Batch[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(
    run: RunBatch,
    outputNames: readonly string[],
    options: BatchOptions,
    threads: BatchThreads,
    { metrics, waits }: QueueFigures = {},
  ) {
    this.#run = run;
    this.#outputNames = outputNames;
    this.#options = options;
    this.#threads = threads;
    this.#metrics = metrics;
    this.#waits = waits;
  }

  /** Batches that wait. */
  get depth(): number {
    return this.#batches.length;
  }

  /**
   * Adds a request.
   * @returns the outputs for its rows.
   * @throws StatusError `INVALID_ARGUMENT` for a request that is too large, `UNAVAILABLE` when the queue is full.
   */
  async submit(inputs: TensorMap, signal?: AbortSignal): Promise<TensorMap> {
    const rows = rowsOf(inputs);
    this.#metrics?.inputBatchSize.observe([], rows);
    const { maxBatchSize, splitLargeRequests, maxExecutionBatchSize } = this.#options;
    if (!splitLargeRequests) {
      if (rows > maxBatchSize) {
        throw invalidArgument(`Task size ${rows} is larger than maximum input batch size ${maxBatchSize}`);
      }
      return this.#enqueue(inputs, rows, signal);
    }
    if (rows <= maxExecutionBatchSize) return this.#enqueue(inputs, rows, signal);
    const parts: Promise<TensorMap>[] = [];
    this.#checkCapacity(rows);
    // One listener for each part is no leak, of which Node would warn.
    if (signal !== undefined) setMaxListeners(0, signal);
    for (let from = 0; from < rows; from += maxExecutionBatchSize) {
      const to = Math.min(rows, from + maxExecutionBatchSize);
      // The capacity was checked for all parts together.
      parts.push(this.#enqueue(sliceTensors(inputs, from, to), to - from, signal, { isChecked: true }));
    }
    return joinOutputs(await allOf(parts));
  }

  #checkCapacity(rows: number): void {
    const { maxEnqueuedBatches, maxExecutionBatchSize } = this.#options;
    const capacity = (maxEnqueuedBatches - this.#batches.length) * maxExecutionBatchSize;
    // A request larger than the whole queue is accepted when the queue is empty; otherwise it never could be.
    if (rows <= capacity || this.#batches.length === 0) return;
    throw new StatusError(
      "UNAVAILABLE",
      "The batch scheduling queue to which this task was submitted is full; task size is " +
        `${rows} but scheduling capacity is only ${capacity} (num_enqueued_batches=${this.#batches.length}, ` +
        `max_enqueued_batches=${maxEnqueuedBatches})`,
    );
  }

  #enqueue(
    inputs: TensorMap,
    rows: number,
    signal: AbortSignal | undefined,
    { isChecked = false } = {},
  ): Promise<TensorMap> {
    const batch = this.#openBatch(rows, isChecked);
    return new Promise((resolve, reject) => {
      const leave = () => this.#abandon(batch, task);
      const settled =
        <V>(settle: (value: V) => void) =>
        (value: V) => {
          signal?.removeEventListener("abort", leave);
          settle(value);
        };
      const task: Task = {
        inputs,
        rows,
        signal,
        queuedMs: performance.now(),
        resolve: settled(resolve),
        reject: settled(reject),
      };
      batch.tasks.push(task);
      batch.rows += rows;
      signal?.addEventListener("abort", leave, { once: true });
      this.#threads.offer(this);
    });
  }

  /** Removes an aborted task that still waits. */
  #abandon(batch: Batch, task: Task): void {
    const place = this.#batches.indexOf(batch);
    if (place < 0) return;
    batch.tasks.splice(batch.tasks.indexOf(task), 1);
    batch.rows -= task.rows;
    if (batch.tasks.length === 0) this.#batches.splice(place, 1);
    this.#isStillWanted(task);
  }

  /** The batch that the next task of this size joins. */
  #openBatch(rows: number, isChecked: boolean): Batch {
    const { maxEnqueuedBatches, splitLargeRequests } = this.#options;
    const last = this.#batches.at(-1);
    if (last !== undefined && last.rows + rows <= this.#largestBatch) return last;
    if (this.#batches.length >= maxEnqueuedBatches && !splitLargeRequests) {
      throw new StatusError(
        "UNAVAILABLE",
        "The batch scheduling queue to which this task was submitted is full; currently " +
          `${this.#batches.length} batches enqueued and max_enqueued_batches is ${maxEnqueuedBatches}`,
      );
    }
    if (splitLargeRequests && !isChecked) this.#checkCapacity(rows);
    const batch: Batch = { tasks: [], rows: 0, openedMs: performance.now() };
    this.#batches.push(batch);
    return batch;
  }

  get #largestBatch(): number {
    const { splitLargeRequests, maxExecutionBatchSize, maxBatchSize } = this.#options;
    return splitLargeRequests ? maxExecutionBatchSize : maxBatchSize;
  }

  /** The next batch as a function that runs it, if one is full or has waited long enough. */
  take(): (() => Promise<void>) | undefined {
    const [next] = this.#batches;
    if (next === undefined) return undefined;
    const waitMs = next.openedMs + this.#options.timeoutMs - performance.now();
    if (next.rows < this.#largestBatch && this.#batches.length === 1 && waitMs > 0) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#threads.offer(this);
      }, waitMs);
      return undefined;
    }
    this.#batches.shift();
    return () => this.#process(next);
  }

  async #process({ tasks }: Pick<Batch, "tasks">): Promise<void> {
    const waiting = tasks.filter((task) => this.#isStillWanted(task));
    const [first] = waiting;
    if (first === undefined) return;
    let isRunning = false;
    try {
      const rows = waiting.reduce((sum, task) => sum + task.rows, 0);
      const size = allowedSize(rows, this.#options);
      this.#observe(waiting, rows, size);
      const isAlone = waiting.length === 1 && size === rows;
      const inputs = isAlone
        ? first.inputs
        : stackInputs(
            waiting.map((task) => task.inputs),
            size,
            this.#options.padVariableLengthInputs,
          );
      isRunning = true;
      const outputs = await this.#run(inputs, this.#outputNames);
      isRunning = false;
      if (isAlone && !this.#options.isStrict) first.resolve(outputs);
      else share(waiting, outputs, size);
    } catch (error) {
      if (isRunning && waiting.length > 1) return this.#processAlone(waiting);
      for (const task of waiting) task.reject(error);
    }
  }

  /** Runs the members of a failed batch one by one, so that only those fail that made it fail. */
  async #processAlone(tasks: readonly Task[]): Promise<void> {
    for (const task of tasks) await this.#process({ tasks: [task] });
  }

  /** Rejects a task whose client has left or whose time is over. */
  #isStillWanted({ signal, reject }: Task): boolean {
    if (signal?.aborted !== true) return true;
    const isLate = signal.reason instanceof StatusError && signal.reason.status === "DEADLINE_EXCEEDED";
    reject(
      isLate
        ? new StatusError("RESOURCE_EXHAUSTED", "Run() timeout exceeded while waiting in batching queue")
        : signal.reason,
    );
    return false;
  }

  #observe(tasks: readonly Task[], rows: number, size: number): void {
    for (const { queuedMs } of tasks) this.#waits?.add(performance.now() - queuedMs);
    const metrics = this.#metrics;
    if (metrics === undefined) return;
    metrics.batchesRun.add();
    metrics.processedBatchSize.observe([], size);
    metrics.paddingSize.observe([String(size)], size - rows);
    for (const { queuedMs } of tasks) {
      metrics.queuingLatency.observe([this.#options.threadPoolName], elapsedMicros(queuedMs));
    }
  }
}

/** Resolves each task with its rows of the outputs. */
function share(tasks: readonly Task[], outputs: TensorMap, size: number): void {
  checkOutputs(outputs, size);
  let from = 0;
  for (const task of tasks) {
    task.resolve(sliceTensors(outputs, from, from + task.rows));
    from += task.rows;
  }
}
