/** @file What the server counts and times: TensorFlow Serving's names, and a few of ours beside them. */
import { type Counter, exponentialBounds, type Histogram, MetricPage } from "./metrics.ts";
import type { StatusCode } from "./status.ts";

const SERVING = ":tensorflow:serving:";
const SAVED_MODEL = ":tensorflow:cc:saved_model:";

/** From 10 microseconds to about half an hour. */
const LATENCY_BOUNDS = exponentialBounds(10, 1.8, 33);
/** Doubling sizes, from 1. */
const SIZE_BOUNDS = exponentialBounds(1, 2, 15);

/** By which door a request came. */
export type Entrypoint = "REST" | "GRPC";
/** All metrics of one server. */
export class ServerMetrics {
  readonly page = new MetricPage();
  /** Labels: model_name, status. */
  readonly requestCount: Counter = this.page.counter(`${SERVING}request_count`, ["model_name", "status"]);
  /** Microseconds; labels: model_name, API, entrypoint. Answered requests only. */
  readonly requestLatency: Histogram = this.page.histogram(
    `${SERVING}request_latency`,
    ["model_name", "API", "entrypoint"],
    LATENCY_BOUNDS,
  );
  /** Microseconds in the engine; labels: model_name, API, runtime. */
  readonly runtimeLatency: Histogram = this.page.histogram(
    `${SERVING}runtime_latency`,
    ["model_name", "API", "runtime"],
    LATENCY_BOUNDS,
  );
  /** Microseconds a request waited for its batch; labels: thread_pool_name. */
  readonly queuingLatency: Histogram = this.page.histogram(
    `${SERVING}batching_session:queuing_latency`,
    ["thread_pool_name"],
    LATENCY_BOUNDS,
  );
  /** Batches run. */
  readonly wrappedRunCount: Counter = this.page.counter(`${SERVING}batching_session:wrapped_run_count`);
  /** Rows added to reach an allowed size; labels: execution_batch_size. */
  readonly paddingSize: Histogram = this.page.histogram(
    `${SERVING}batching_session:padding_size`,
    ["execution_batch_size"],
    SIZE_BOUNDS,
  );
  /** Rows of a request. */
  readonly inputBatchSize: Histogram = this.page.histogram(
    `${SERVING}batching_session:input_batch_size`,
    [],
    SIZE_BOUNDS,
  );
  /** Rows of a batch as it was run. */
  readonly processedBatchSize: Histogram = this.page.histogram(
    `${SERVING}batching_session:processed_batch_size`,
    [],
    SIZE_BOUNDS,
  );
  /** Labels: model_path, status. */
  readonly warmupLatency: Histogram = this.page.histogram(
    `${SERVING}model_warmup_latency`,
    ["model_path", "status"],
    LATENCY_BOUNDS,
  );
  /** Labels: model_path, status. */
  readonly loadAttempts: Counter = this.page.counter(`${SAVED_MODEL}load_attempt_count`, [
    "model_path",
    "status",
  ]);
  /** Microseconds; labels: model_path. */
  readonly loadLatency: Counter = this.page.counter(`${SAVED_MODEL}load_latency`, ["model_path"]);

  /**
   * Counts a request and, if it was answered, its time.
   * @param api `Predict` and the like over gRPC; the verb of the path over REST, empty where it has none.
   */
  request(model: string, api: string, from: Entrypoint, status: StatusCode, startedMs: number): void {
    this.requestCount.add([model, status]);
    if (status === "OK") this.requestLatency.observe([model, api, from], elapsedMicros(startedMs));
  }

  /** Shows how many requests wait for a batch, as our own gauge. */
  watchQueues(read: () => Iterable<readonly [readonly string[], number]>): void {
    this.page.gauge(":faceid:serving:queue_depth", ["model_name", "version"], read);
  }
}

/** Microseconds since a moment of `performance.now()`. */
export function elapsedMicros(startedMs: number): number {
  return (performance.now() - startedMs) * 1000;
}
