/** @file How requests are gathered into batches: TensorFlow Serving's parameters, their defaults and their rules. */
import { availableParallelism } from "node:os";
import type { BatchingParameters } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { invalidArgument } from "../status.ts";

/** One set of parameters. */
export interface BatchOptions {
  /** Most rows of a batch, and of one request unless large ones are split. */
  readonly maxBatchSize: number;
  /** How long a batch waits to be filled once something could run it. */
  readonly timeoutMs: number;
  /** Batches that may wait; further requests are refused. */
  readonly maxEnqueuedBatches: number;
  /** Batches run at once. */
  readonly threads: number;
  readonly threadPoolName: string;
  /** Sizes that batches are padded to, ascending; empty for any size. */
  readonly allowedBatchSizes: readonly number[];
  /** Whether inputs of different sizes are padded to the largest, with their own first element. */
  readonly padVariableLengthInputs: boolean;
  /** Whether a request of more rows than a batch is spread over several. */
  readonly splitLargeRequests: boolean;
  /**
   * Whether a request that cannot share a batch fails, as in TensorFlow Serving; otherwise it is run by itself, and only
   * requests of equal rows are brought together.
   */
  readonly isStrict: boolean;
  /** Most rows run at once when requests are split. */
  readonly maxExecutionBatchSize: number;
}

/**
 * What is used where nobody says anything: no waiting, small batches, and large requests split, so that batching never
 * makes a request fail or slower than it would be alone.
 */
export function defaultBatchOptions(threads = availableParallelism()): BatchOptions {
  return {
    maxBatchSize: 64,
    timeoutMs: 0,
    maxEnqueuedBatches: 64,
    threads,
    threadPoolName: "model_server_batch_threads",
    allowedBatchSizes: [],
    padVariableLengthInputs: false,
    splitLargeRequests: true,
    isStrict: false,
    // On a processor a row costs the same in a batch of any size; short runs keep every thread supplied.
    maxExecutionBatchSize: 8,
  };
}

const MICROS_PER_MS = 1000;
/** TensorFlow Serving's defaults for a parameters file that leaves something out. */
const FILE_DEFAULTS = {
  maxBatchSize: 1000,
  maxEnqueuedBatches: 10,
  threadPoolName: "batch_threads",
} as const;

/**
 * The options of a parameters file.
 * @throws StatusError `INVALID_ARGUMENT` for sizes that contradict each other.
 */
export function batchOptions(parameters: BatchingParameters): BatchOptions {
  const number = (value: bigint | undefined, fallback: number) =>
    value === undefined ? fallback : Number(value);
  const maxBatchSize = number(parameters.maxBatchSize, FILE_DEFAULTS.maxBatchSize);
  const options: BatchOptions = {
    maxBatchSize,
    timeoutMs: number(parameters.batchTimeoutMicros, 0) / MICROS_PER_MS,
    maxEnqueuedBatches: number(parameters.maxEnqueuedBatches, FILE_DEFAULTS.maxEnqueuedBatches),
    threads: number(parameters.numBatchThreads, availableParallelism()),
    threadPoolName: parameters.threadPoolName ?? FILE_DEFAULTS.threadPoolName,
    allowedBatchSizes: parameters.allowedBatchSizes.map(Number),
    padVariableLengthInputs: parameters.padVariableLengthInputs,
    splitLargeRequests: parameters.enableLargeBatchSplitting ?? false,
    isStrict: true,
    maxExecutionBatchSize: number(parameters.maxExecutionBatchSize, maxBatchSize),
  };
  checkOptions(options);
  return options;
}

function checkOptions(options: BatchOptions): void {
  const { maxBatchSize, maxExecutionBatchSize, allowedBatchSizes, splitLargeRequests } = options;
  for (const [name, value] of [
    ["max_batch_size", maxBatchSize],
    ["max_enqueued_batches", options.maxEnqueuedBatches],
    ["num_batch_threads", options.threads],
    ["max_execution_batch_size", maxExecutionBatchSize],
  ] as const) {
    if (!(value > 0)) throw invalidArgument(`${name} must be positive; was ${value}`);
  }
  if (options.timeoutMs < 0) throw invalidArgument("batch_timeout_micros must not be negative");
  if (maxExecutionBatchSize > maxBatchSize) {
    throw invalidArgument(
      `max_execution_batch_size must not exceed max_batch_size; ${maxExecutionBatchSize} > ${maxBatchSize}`,
    );
  }
  const isAscending = allowedBatchSizes.every((size, i) => size > (allowedBatchSizes[i - 1] ?? 0));
  if (!isAscending) throw invalidArgument("allowed_batch_sizes entries must be positive and ascending");
  const largest = splitLargeRequests ? maxExecutionBatchSize : maxBatchSize;
  const last = allowedBatchSizes.at(-1);
  if (last !== undefined && last !== largest) {
    throw invalidArgument(
      `Last entry in allowed_batch_sizes must match max_batch_size; last entry was ${last}; expected ${largest}`,
    );
  }
}

/** Rows a batch of `rows` is run with. */
export function allowedSize(rows: number, { allowedBatchSizes }: BatchOptions): number {
  return allowedBatchSizes.find((size) => size >= rows) ?? rows;
}
