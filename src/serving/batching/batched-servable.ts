/** @file A model whose requests are gathered into batches. */
import type { TensorMap } from "../../base/tensor.ts";
import type { RunOptions, Servable } from "../engine/servable.ts";
import { allOf } from "../request-memory.ts";
import { elapsedMicros, type ServerMetrics } from "../server-metrics.ts";
import { StatusError } from "../status.ts";
import { BatchQueue, type BatchThreads } from "./batcher.ts";
import type { BatchOptions } from "./options.ts";
import { checkOutputs, isNotRowByRow, joinOutputs, sliceRows } from "./tensors.ts";

/** A piece of a large request that takes less is too small to be worth a message to another thread. */
const SHORT_RUN_MS = 2;
const MOST_ROWS_AT_ONCE = 1 << 16;
/** Beyond this many queues the idle ones are dropped. */
const MOST_QUEUES = 64;

/** The rows of a request if all its inputs have equally many, else 0. */
function commonRows(inputs: TensorMap): number {
  const [rows = 0, ...others] = new Set([...inputs.values()].map(({ shape }) => shape[0] ?? 0));
  return others.length === 0 ? rows : 0;
}

/** What requests must have in common to be brought together. */
function rowKeys(inputs: TensorMap): string[] {
  return [...inputs].map(([name, { shape }]) => `${name} ${shape.slice(1).join(",")}`).sort();
}

/** The same model with its requests gathered into batches, a queue for each signature and set of outputs. */
export class BatchedServable implements Servable {
  readonly #servable: Servable;
  readonly #options: BatchOptions;
  readonly #threads: BatchThreads;
  readonly #metrics: ServerMetrics | undefined;
  readonly #queues = new Map<string, BatchQueue>();
  /** Signatures whose outputs turned out not to have a row for each row of the inputs. */
  readonly #alone = new Set<string>();
  #aloneUnderWay = 0;
  #becomingReady = 0;
  /** Called when the model is unloaded. */
  onClose: (() => void) | undefined;

  constructor(servable: Servable, options: BatchOptions, threads: BatchThreads, metrics?: ServerMetrics) {
    this.#servable = servable;
    this.#options = options;
    this.#threads = threads;
    this.#metrics = metrics;
  }

  get name(): string {
    return this.#servable.name;
  }

  get version(): bigint {
    return this.#servable.version;
  }

  get signatures(): Servable["signatures"] {
    return this.#servable.signatures;
  }

  get signatureDefs(): Servable["signatureDefs"] {
    return this.#servable.signatureDefs;
  }

  get description(): Servable["description"] {
    return this.#servable.description;
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
    if (this.#options.isStrict) return this.#queueFor(signatureName, outputNames, []).submit(given, signal);
    const inputs = await this.#ready(signatureName, given, options);
    const whole = (part: TensorMap) => this.#timed(signatureName, part, outputNames);
    const rows = this.#canShare(signatureName) ? commonRows(inputs) : 0;
    if (rows === 0) return this.#runAlone(() => whole(inputs));
    try {
      if (rows > this.#options.maxBatchSize) {
        return await this.#runAlone(() => this.#inParts(inputs, rows, whole, signal));
      }
      return await this.#queueFor(signatureName, outputNames, rowKeys(inputs)).submit(inputs, signal);
    } catch (error) {
      if (!isNotRowByRow(error)) throw error;
      this.#alone.add(signatureName);
      // Who has left holds the model no longer, which may be closed by now.
      signal?.throwIfAborted();
      return this.#runAlone(() => whole(inputs));
    }
  }

  /** Whether requests may be brought together or taken apart: not where a signature says how many rows there are. */
  #canShare(signatureName: string): boolean {
    const inputs = this.signatures.get(signatureName)?.inputs.values() ?? [];
    const isFixed = [...inputs].some(({ shape }) => shape?.[0] !== undefined && shape[0] >= 0);
    return !isFixed && !this.#alone.has(signatureName);
  }

  /**
   * Runs a request of very many rows in short pieces: all threads of the engine share it, others get their turn between
   * two pieces, and when its client leaves there is an end to it. Pieces that take no time grow: sending is work too.
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
        signal?.throwIfAborted();
        const [from, to] = [next, Math.min(rows, next + most)];
        next = to;
        const startedMs = performance.now();
        const told = await run(
          new Map([...inputs].map(([name, value]) => [name, sliceRows(value, from, to)])),
        );
        checkOutputs(told, to - from);
        outputs.set(from, told);
        const isQuick = performance.now() - startedMs < SHORT_RUN_MS;
        if (isQuick && to - from === most) most = Math.min(2 * most, MOST_ROWS_AT_ONCE);
      }
    };
    const stop = (error: unknown) => {
      next = rows;
      throw error;
    };
    await allOf(Array.from({ length: this.#options.threads }, () => work().catch(stop)));
    return joinOutputs([...outputs].sort(([a], [b]) => a - b).map(([, told]) => told));
  }

  /** A request is decoded before it queues: no thread of the engine waits for that, and no other request fails with it. */
  async #ready(signatureName: string, inputs: TensorMap, options: RunOptions): Promise<TensorMap> {
    if (this.#servable.makeReady === undefined) return inputs;
    const { maxEnqueuedBatches, maxExecutionBatchSize } = this.#options;
    if (this.#becomingReady >= maxEnqueuedBatches * maxExecutionBatchSize) {
      throw new StatusError("UNAVAILABLE", `${this.#becomingReady} requests wait already; try again`);
    }
    this.#becomingReady++;
    try {
      return await this.#servable.makeReady(signatureName, inputs, options);
    } finally {
      this.#becomingReady--;
    }
  }

  /** Requests that cannot share a batch are bounded as the queues are. */
  async #runAlone(run: () => Promise<TensorMap>): Promise<TensorMap> {
    const { maxEnqueuedBatches, threads } = this.#options;
    if (this.#aloneUnderWay >= maxEnqueuedBatches + threads) {
      throw new StatusError("UNAVAILABLE", `${this.#aloneUnderWay} requests wait already; try again`);
    }
    this.#aloneUnderWay++;
    try {
      return await run();
    } finally {
      this.#aloneUnderWay--;
    }
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
      this.#metrics,
    );
    this.#queues.set(key, queue);
    return queue;
  }

  /** Clients may send rows of ever new shapes; a queue without requests is not missed. */
  #dropIdleQueues(): void {
    for (const [key, queue] of this.#queues) if (queue.depth === 0) this.#queues.delete(key);
  }

  close(): Promise<void> {
    this.onClose?.();
    return this.#servable.close();
  }
}
