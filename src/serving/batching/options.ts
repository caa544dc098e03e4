/** @file The parameters of batching: TensorFlow Serving's, their defaults and checks. */
import { usableCores } from "../../base/platform.ts";
import type { BatchingParameters } from "../../proto/tensorflow_serving/model_service_pb.ts";
import { invalidArgument } from "../status.ts";

/** One set of parameters. */
export interface BatchOptions {
  /** Most rows of a batch, and of one request unless large ones are split. */
  readonly maxBatchSize: number;
  /** How long a batch waits for more requests when a thread is free. */
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
   * Whether a request that does not fit a batch fails, as in TensorFlow Serving; otherwise it runs by itself, and only
   * requests with the same row shapes share a batch.
   */
  readonly isStrict: boolean;
  /** Most rows run at once when requests are split. */
  readonly maxExecutionBatchSize: number;
}

/**
 * The default: no waiting, small batches, large requests split, so that batching makes no request fail or slower than it
 * would be alone.
 */
export function defaultBatchOptions(threads = usableCores()): BatchOptions {
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
    // On a CPU a row costs the same in a batch of any size, and short runs keep all threads busy.
    maxExecutionBatchSize: 8,
  };
}

const MICROS_PER_MS = 1000;
/** TensorFlow Serving's defaults for what a parameters file leaves out. */
const FILE_DEFAULTS = {
  maxBatchSize: 1000,
  maxEnqueuedBatches: 10,
  threadPoolName: "batch_threads",
} as const;

/**
 * The options of a parameters file.
 * @throws StatusError `INVALID_ARGUMENT` for invalid sizes.
 */
export function batchOptions(parameters: BatchingParameters): BatchOptions {
  const number = (value: bigint | undefined, fallback: number) =>
    value === undefined ? fallback : Number(value);
  const maxBatchSize = number(parameters.maxBatchSize, FILE_DEFAULTS.maxBatchSize);
  const options: BatchOptions = {
    maxBatchSize,
    timeoutMs: number(parameters.batchTimeoutMicros, 0) / MICROS_PER_MS,
    maxEnqueuedBatches: number(parameters.maxEnqueuedBatches, FILE_DEFAULTS.maxEnqueuedBatches),
    threads: number(parameters.numBatchThreads, usableCores()),
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

/** The size that a batch of `rows` rows is padded to. */
export function allowedSize(rows: number, { allowedBatchSizes }: BatchOptions): number {
  return allowedBatchSizes.find((size) => size >= rows) ?? rows;
}
