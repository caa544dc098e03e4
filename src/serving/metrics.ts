/** @file What the server counts and times, and the page for Prometheus, with TensorFlow Serving's names and text form. */
// `prom-client` 15.1.3 was tried: it takes the names, but its page has help lines, no braces without labels, `le`
// before the other labels and numbers of 17 digits, while TensorFlow Serving has no help lines, always braces, `le`
// last and C's `%g`. One count with one observation took it 2.0 µs, and this code 0.8 µs (Node 20.20.2).
import { generalText } from "./json/decimal.ts";
import type { StatusCode } from "./status.ts";

/** Values of a metric's labels, in the order of their names. */
type LabelValues = readonly string[];

/** One line of the page: what follows the metric's name, the labels, the value. */
type Sample = readonly [suffix: string, labels: string, value: number];

interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  samples(): Iterable<Sample>;
}

/** `a="b",c="d"` with backslashes, quotation marks and line breaks escaped. */
function labelText(names: readonly string[], values: LabelValues): string {
  const escaped = (value = "") => value.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n");
  return names.map((name, index) => `${name}="${escaped(values[index])}"`).join(",");
}

function numberText(value: number): string {
  return Number.isFinite(value) ? generalText(value, 6) : value > 0 ? "+Inf" : String(value);
}

/** A state for each combination of label values. */
class Labelled<S> {
  readonly #names: readonly string[];
  readonly #initial: () => S;
  readonly #entries = new Map<string, readonly [labels: string, state: S]>();

  constructor(names: readonly string[], initial: () => S) {
    this.#names = names;
    this.#initial = initial;
  }

  at(values: LabelValues): S {
    const key = values.join("\0");
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = [labelText(this.#names, values), this.#initial()];
      this.#entries.set(key, entry);
    }
    return entry[1];
  }

  entries(): Iterable<readonly [labels: string, state: S]> {
    return this.#entries.values();
  }
}

/** A number that only grows, per combination of labels. */
class Counter implements Family {
  readonly type = "counter";
  readonly #totals: Labelled<{ total: number }>;

  constructor(labels: readonly string[]) {
    this.#totals = new Labelled(labels, () => ({ total: 0 }));
  }

  add(values: LabelValues = [], amount = 1): void {
    this.#totals.at(values).total += amount;
  }

  *samples(): Iterable<Sample> {
    for (const [labels, { total }] of this.#totals.entries()) yield ["", labels, total];
  }
}

/** How observations spread over buckets, per combination of labels. */
class Histogram implements Family {
  readonly type = "histogram";
  /** Upper ends of all buckets but the last. */
  readonly #bounds: readonly number[];
  readonly #distributions: Labelled<{ readonly counts: Float64Array; sum: number; count: number }>;

  constructor(labels: readonly string[], bounds: readonly number[]) {
    this.#bounds = bounds;
    const initial = () => ({ counts: new Float64Array(bounds.length + 1), sum: 0, count: 0 });
    this.#distributions = new Labelled(labels, initial);
  }

  observe(values: LabelValues, value: number): void {
    const distribution = this.#distributions.at(values);
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    distribution.counts[bucket < 0 ? this.#bounds.length : bucket]!++;
    distribution.sum += value;
    distribution.count++;
  }

  *samples(): Iterable<Sample> {
    for (const [labels, { counts, sum, count }] of this.#distributions.entries()) {
      const prefix = labels === "" ? "" : `${labels},`;
      let cumulative = 0;
      for (const [index, bucket] of counts.entries()) {
        cumulative += bucket;
        const bound = numberText(this.#bounds[index] ?? Number.POSITIVE_INFINITY);
        yield ["_bucket", `${prefix}le="${bound}"`, cumulative];
      }
      yield ["_sum", labels, sum];
      yield ["_count", labels, count];
    }
  }
}

/** Upper ends that begin at `first` and grow by `factor`. */
function exponentialBounds(first: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first * factor ** index);
}

/** From 10 microseconds to about 25 minutes. */
const LATENCY_BOUNDS = exponentialBounds(10, 1.8, 33);
/** Doubling sizes, from 1. */
const SIZE_BOUNDS = exponentialBounds(1, 2, 15);

/** The interface of a request. */
export type Entrypoint = "REST" | "GRPC";

/** All metrics of one server. Times are in microseconds. */
export class ServerMetrics {
  readonly #families = new Map<string, Family>();
  readonly requestCount = this.#counter("serving:request_count", "model_name", "status");
  /** Requests that succeeded. */
  readonly requestLatency = this.#latency("request_latency", "model_name", "API", "entrypoint");
  /** Time in the engine. */
  readonly runtimeLatency = this.#latency("runtime_latency", "model_name", "API", "runtime");
  readonly warmupLatency = this.#latency("model_warmup_latency", "model_path", "status");
  readonly warmupRecords = this.#counter("serving:model_warmup_records_read", "model_path", "status");
  readonly #exampleCounts = this.#add(
    "serving:request_example_counts",
    new Histogram(["model"], SIZE_BOUNDS),
  );
  readonly #exampleTotal = this.#counter("serving:request_example_count_total", "model");
  /** Time that a request waits for its batch. */
  readonly queuingLatency = this.#latency("batching_session:queuing_latency", "thread_pool_name");
  readonly batchesRun = this.#counter("serving:batching_session:wrapped_run_count");
  /** Rows of padding to reach an allowed size. */
  readonly paddingSize = this.#rows("padding_size", "execution_batch_size");
  /** Rows of a request. */
  readonly inputBatchSize = this.#rows("input_batch_size");
  /** Rows of a batch with padding. */
  readonly processedBatchSize = this.#rows("processed_batch_size");
  readonly loadAttempts = this.#counter("cc:saved_model:load_attempt_count", "model_path", "status");
  readonly loadLatency = this.#counter("cc:saved_model:load_latency", "model_path");
  /** Requests to galleries. */
  readonly galleryRequests = this.#ours("gallery:request_count", new Counter(["status"]));
  /** Faces that were searched for, and those that were named. */
  readonly gallerySearches = this.#ours("gallery:search_count", new Counter(["gallery"]));
  readonly galleryMatches = this.#ours("gallery:match_count", new Counter(["gallery"]));
  /** Time to search all faces of a photograph, by the number of people in powers of ten. */
  readonly galleryLatency = this.#ours(
    "gallery:search_latency",
    new Histogram(["gallery", "people"], LATENCY_BOUNDS),
  );
  /** Photographs that were refused for their faces, by the code of the error. */
  readonly qualityRefusals = this.#ours("gallery:refused_count", new Counter(["gallery", "code"]));

  /**
   * Counts a request and, if it succeeded, its time.
   * @param api `Predict` and the like over gRPC; the verb of the path over REST, empty without one.
   */
  request(model: string, api: string, from: Entrypoint, status: StatusCode, startedMs: number): void {
    this.requestCount.add([model, status]);
    if (status === "OK") this.requestLatency.observe([model, api, from], elapsedMicros(startedMs));
  }

  /** Counts the examples of a request; TensorFlow Serving does so for MultiInference alone. */
  examples(model: string, count: number): void {
    this.#exampleCounts.observe([model], count);
    this.#exampleTotal.add([model], count);
  }

  /** Adds a gauge, not in TensorFlow Serving, of the batches that wait. */
  watchQueues(read: () => Iterable<readonly [readonly string[], number]>): void {
    const names = ["model_name", "version"];
    this.#families.set(":faceid:serving:queue_depth", {
      type: "gauge",
      samples: function* () {
        for (const [values, depth] of read()) yield ["", labelText(names, values), depth];
      },
    });
  }

  #counter(name: string, ...labels: readonly string[]): Counter {
    return this.#add(name, new Counter(labels));
  }

  #latency(name: string, ...labels: readonly string[]): Histogram {
    return this.#add(`serving:${name}`, new Histogram(labels, LATENCY_BOUNDS));
  }

  #rows(name: string, ...labels: readonly string[]): Histogram {
    return this.#add(`serving:batching_session:${name}`, new Histogram(labels, SIZE_BOUNDS));
  }

  #add<F extends Family>(name: string, family: F): F {
    this.#families.set(`:tensorflow:${name}`, family);
    return family;
  }

  /** Adds what TensorFlow Serving does not have. */
  #ours<F extends Family>(name: string, family: F): F {
    this.#families.set(`:faceid:${name}`, family);
    return family;
  }

  /** The page for Prometheus. */
  page(): string {
    let page = "";
    for (const [name, family] of this.#families) {
      page += `# TYPE ${name} ${family.type}\n`;
      for (const [suffix, labels, value] of family.samples()) {
        page += `${name}${suffix}{${labels}} ${numberText(value)}\n`;
      }
    }
    return page;
  }
}

/** Microseconds since a moment of `performance.now()`. */
export function elapsedMicros(startedMs: number): number {
  return (performance.now() - startedMs) * 1000;
}
