/** @file A model whose requests are put into batches. */
import { Limiter } from "../../base/limiter.ts";
import type { TensorMap } from "../../base/tensor.ts";
import { statisticsOf } from "../engine/run-statistics.ts";
import type { BatchLimits, RunOptions, Servable } from "../engine/servable.ts";
import { elapsedMicros, type ServerMetrics } from "../metrics.ts";
import { allOf } from "../request-memory.ts";
import { StatusError } from "../status.ts";
import { BatchQueue, type BatchThreads } from "./batcher.ts";
import type { BatchOptions } from "./options.ts";
import { checkOutputs, isNotRowByRow, joinOutputs, rowsOf, sliceTensors } from "./tensors.ts";

/** A part of a large request that takes less time is too small for a message to another thread. */
const SHORT_RUN_MS = 2;
const MOST_ROWS_AT_ONCE = 1 << 16;
/** With more queues, idle ones are dropped. */
const MOST_QUEUES = 64;

/** The rows of a request if all its inputs have the same number, else 0. */
function commonRows(inputs: TensorMap): number {
  const [rows = 0, ...others] = new Set([...inputs.values()].map(({ shape }) => shape[0] ?? 0));
  return others.length === 0 ? rows : 0;
}

/** Whether an input has no elements, however many rows: nothing is shared with others, and pieces of it save nothing. */
const hasEmpty = (inputs: TensorMap): boolean => [...inputs.values()].some(({ data }) => data.length === 0);

/** A limit without waiting: further requests are refused. */
function withoutQueue(limit: number): Limiter {
  const refusal = () => new StatusError("UNAVAILABLE", `${limit} requests wait already; try again`);
  return new Limiter(limit, { maxQueued: 0, refusal });
}

/** The row shapes of a request, which requests in a batch have in common. */
function rowKeys(inputs: TensorMap): string[] {
  return [...inputs].map(([name, { shape }]) => `${name} ${shape.slice(1).join(",")}`).sort();
}

/** A servable that batches requests, with a queue for each signature, set of outputs and shape of rows. */
export class BatchedServable implements Servable {
  readonly name: string;
  readonly version: bigint;
  readonly signatures: Servable["signatures"];
  readonly signatureDefs: Servable["signatureDefs"];
  readonly description: Servable["description"];
  readonly problems: readonly string[];
  readonly #servable: Servable;
  readonly #options: BatchOptions;
  readonly #threads: BatchThreads;
  readonly #metrics: ServerMetrics | undefined;
  readonly #queues = new Map<string, BatchQueue>();
  /** Signatures whose outputs turned out not to have a row for each row of the inputs. */
  readonly #unbatchable = new Set<string>();
  /** Requests that run without a batch are limited as the queues are. */
  readonly #alone: Limiter;
  readonly #preparing: Limiter;
  readonly #statistics = statisticsOf(this);
  /** Called when the model is unloaded. */
  onClose: (() => void) | undefined;

  constructor(servable: Servable, options: BatchOptions, threads: BatchThreads, metrics?: ServerMetrics) {
    const { maxEnqueuedBatches, maxExecutionBatchSize } = options;
    this.name = servable.name;
    this.version = servable.version;
    this.signatures = servable.signatures;
    this.signatureDefs = servable.signatureDefs;
    this.description = servable.description;
    this.problems = servable.problems ?? [];
    this.#servable = servable;
    this.#options = options;
    this.#threads = threads;
    this.#metrics = metrics;
    this.#statistics.sharesRuns = true;
    this.#alone = withoutQueue(maxEnqueuedBatches + options.threads);
    this.#preparing = withoutQueue(maxEnqueuedBatches * maxExecutionBatchSize);
  }

  /** Batches that wait, over all queues. */
  get depth(): number {
    let depth = 0;
    for (const queue of this.#queues.values()) depth += queue.depth;
    return depth;
  }

  async run(
    signatureName: string,
    given: TensorMap,
    outputNames: readonly string[],
    options: RunOptions = {},
  ): Promise<TensorMap> {
    const { signal } = options;
    const { isStrict, splitLargeRequests, maxBatchSize } = this.#options;
    const whole = (part: TensorMap) => this.#timed(signatureName, part, outputNames);
    if (isStrict) {
      const isAlone = hasEmpty(given) && (splitLargeRequests || rowsOf(given) <= maxBatchSize);
      if (isAlone) return this.#alone.run(() => whole(given));
      return this.#queueFor(signatureName, outputNames, []).submit(given, signal);
    }
    const inputs = await this.#prepare(signatureName, given, options);
    const rows = this.#canBatch(signatureName) && !hasEmpty(inputs) ? commonRows(inputs) : 0;
    if (rows === 0) return this.#alone.run(() => whole(inputs));
    try {
      if (rows > maxBatchSize) {
        return await this.#alone.run(() => this.#inParts(inputs, rows, whole, signal));
      }
      return await this.#queueFor(signatureName, outputNames, rowKeys(inputs)).submit(inputs, signal);
    } catch (error) {
      if (!isNotRowByRow(error)) throw error;
      this.#unbatchable.add(signatureName);
      // A client that has left holds no lease, so the model may be closed by now.
      signal?.throwIfAborted();
      return this.#alone.run(() => whole(inputs));
    }
  }

  batchingOf(signatureName: string): BatchLimits | undefined {
    return this.#canBatch(signatureName) ? this.#options : undefined;
  }

  /** Whether requests may be joined and split: not where the signature fixes the number of rows. */
  #canBatch(signatureName: string): boolean {
    const inputs = this.signatures.get(signatureName)?.inputs.values() ?? [];
    const isFixed = [...inputs].some(({ shape }) => shape?.[0] !== undefined && shape[0] >= 0);
    return !isFixed && !this.#unbatchable.has(signatureName);
  }

  /**
   * Runs a large request in short parts: all threads of the engine work on it, other requests run in between, and it
   * stops when its client leaves. Parts that take little time grow, to save messages; the wait for parts of other large
   * requests does not count, or none of them would ever grow.
   */
  async #inParts(
    inputs: TensorMap,
    rows: number,
    run: (part: TensorMap) => Promise<TensorMap>,
    signal: AbortSignal | undefined,
  ): Promise<TensorMap> {
    const outputs = new Map<number, TensorMap>();
    let most = this.#options.maxExecutionBatchSize;
    let next = 0;
    const work = async () => {
      while (next < rows) {
        await this.#threads.runPart(async () => {
          signal?.throwIfAborted();
          const [from, to] = [next, Math.min(rows, next + most)];
          if (from === to) return;
          next = to;
          const startedMs = performance.now();
          const part = await run(sliceTensors(inputs, from, to));
          checkOutputs(part, to - from);
          outputs.set(from, part);
          const isQuick = performance.now() - startedMs < SHORT_RUN_MS;
          if (isQuick && to - from === most) most = Math.min(2 * most, MOST_ROWS_AT_ONCE);
        });
      }
    };
    const stop = (error: unknown) => {
      next = rows;
      throw error;
    };
    await allOf(Array.from({ length: this.#options.threads }, () => work().catch(stop)));
    return joinOutputs([...outputs].sort(([a], [b]) => a - b).map(([, part]) => part));
  }

  /** Decodes before queueing, so that no thread of the engine waits for it and its errors concern one request. */
  async #prepare(signatureName: string, inputs: TensorMap, options: RunOptions): Promise<TensorMap> {
    if (this.#servable.makeReady === undefined) return inputs;
    return await this.#preparing.run(() => this.#servable.makeReady!(signatureName, inputs, options));
  }

  async #timed(signatureName: string, inputs: TensorMap, outputNames: readonly string[]): Promise<TensorMap> {
    const startedMs = performance.now();
    const { isStrict } = this.#options;
    const run = isStrict ? undefined : this.#servable.runReady?.bind(this.#servable);
    const outputs = await (run ?? this.#servable.run.bind(this.#servable))(
      signatureName,
      inputs,
      outputNames,
    );
    this.#statistics.compute.add(performance.now() - startedMs);
    this.#metrics?.runtimeLatency.observe([this.name, "Predict", "TF1"], elapsedMicros(startedMs));
    return outputs;
  }

  #queueFor(signatureName: string, outputNames: readonly string[], shapes: readonly string[]): BatchQueue {
    const key = JSON.stringify([signatureName, outputNames.toSorted(), shapes]);
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    if (this.#queues.size >= MOST_QUEUES) this.#dropIdleQueues();
    const queue = new BatchQueue(
      (batch, names) => this.#timed(signatureName, batch, names),
      outputNames,
      this.#options,
      this.#threads,
      { metrics: this.#metrics, waits: this.#statistics.queue },
    );
    this.#queues.set(key, queue);
    return queue;
  }

  /** Clients may send rows of ever new shapes. */
  #dropIdleQueues(): void {
    for (const [key, queue] of this.#queues) if (queue.depth === 0) this.#queues.delete(key);
  }

  close(): Promise<void> {
    this.onClose?.();
    return this.#servable.close();
  }
}
