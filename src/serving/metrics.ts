/** @file Counters, gauges and histograms in the text form of TensorFlow Serving's Prometheus page. */

// The form differs from what Prometheus libraries write (names that begin with a colon, braces even without labels, no
// help lines), and dashboards made for TensorFlow Serving rely on it, so it is written here.

/** Values of a metric's labels, in the order of their names. */
type LabelValues = readonly string[];

interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  lines(): Iterable<string>;
}

/** `a="b",c="d"` with backslashes and quotation marks escaped. */
function labelText(names: readonly string[], values: LabelValues): string {
  return names
    .map(
      (name, index) => `${name}="${(values[index] ?? "").replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`,
    )
    .join(",");
}

/** A number as C's `%g` prints it. */
export function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const [mantissa = "", exponent = "0"] = value.toExponential(5).split("e");
  const power = Number(exponent);
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : String(value);
  if (power >= -4 && power < 6) return String(Number(value.toPrecision(6)));
  const digits = mantissa.replace(/\.?0+$/, "");
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** A number that only grows, per combination of labels. */
export class Counter implements Family {
  readonly type = "counter";
  readonly #name: string;
  readonly #labels: readonly string[];
  readonly #values = new Map<string, number>();

  constructor(name: string, labels: readonly string[] = []) {
    this.#name = name;
    this.#labels = labels;
  }

  add(values: LabelValues = [], amount = 1): void {
    const key = labelText(this.#labels, values);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  /** What was counted so far. */
  value(values: LabelValues = []): number {
    return this.#values.get(labelText(this.#labels, values)) ?? 0;
  }

  *lines(): Iterable<string> {
    for (const [key, value] of this.#values) yield `${this.#name}{${key}} ${numberText(value)}`;
  }
}

/** A number read at the moment the page is asked for. */
export class Gauge implements Family {
  readonly type = "gauge";
  readonly #name: string;
  readonly #labels: readonly string[];
  readonly #read: () => Iterable<readonly [LabelValues, number]>;

  constructor(name: string, labels: readonly string[], read: () => Iterable<readonly [LabelValues, number]>) {
    this.#name = name;
    this.#labels = labels;
    this.#read = read;
  }

  *lines(): Iterable<string> {
    for (const [values, value] of this.#read()) {
      yield `${this.#name}{${labelText(this.#labels, values)}} ${numberText(value)}`;
    }
  }
}

interface Distribution {
  /** How many observations fell into each bucket, the last one without an upper end. */
  readonly counts: Float64Array;
  sum: number;
  count: number;
}

/** How observations spread over buckets of growing width. */
export class Histogram implements Family {
  readonly type = "histogram";
  readonly #name: string;
  readonly #labels: readonly string[];
  /** Upper ends of all buckets but the last. */
  readonly #bounds: readonly number[];
  readonly #distributions = new Map<string, Distribution>();

  constructor(name: string, labels: readonly string[], bounds: readonly number[]) {
    this.#name = name;
    this.#labels = labels;
    this.#bounds = bounds;
  }

  observe(values: LabelValues, value: number): void {
    const key = labelText(this.#labels, values);
    let distribution = this.#distributions.get(key);
    if (distribution === undefined) {
      distribution = { counts: new Float64Array(this.#bounds.length + 1), sum: 0, count: 0 };
      this.#distributions.set(key, distribution);
    }
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    distribution.counts[bucket < 0 ? this.#bounds.length : bucket]!++;
    distribution.sum += value;
    distribution.count++;
  }

  *lines(): Iterable<string> {
    for (const [key, { counts, sum, count }] of this.#distributions) {
      const prefix = key === "" ? "" : `${key},`;
      let cumulative = 0;
      for (const [index, bucket] of counts.entries()) {
        cumulative += bucket;
        const bound = index < this.#bounds.length ? numberText(this.#bounds[index]!) : "+Inf";
        yield `${this.#name}_bucket{${prefix}le="${bound}"} ${numberText(cumulative)}`;
      }
      yield `${this.#name}_sum{${key}} ${numberText(sum)}`;
      yield `${this.#name}_count{${key}} ${numberText(count)}`;
    }
  }
}

/** Upper ends that begin at `first` and grow by `factor`. */
export function exponentialBounds(first: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first * factor ** index);
}

/** Named families that print themselves as one page. */
export class MetricPage {
  readonly #families = new Map<string, Family>();

  counter(name: string, labels?: readonly string[]): Counter {
    return this.#add(name, new Counter(name, labels));
  }

  gauge(
    name: string,
    labels: readonly string[],
    read: () => Iterable<readonly [LabelValues, number]>,
  ): Gauge {
    return this.#add(name, new Gauge(name, labels, read));
  }

  histogram(name: string, labels: readonly string[], bounds: readonly number[]): Histogram {
    return this.#add(name, new Histogram(name, labels, bounds));
  }

  #add<F extends Family>(name: string, family: F): F {
    this.#families.set(name, family);
    return family;
  }

  /** The whole page. */
  text(): string {
    let page = "";
    for (const [name, family] of this.#families) {
      page += `# TYPE ${name} ${family.type}\n`;
      for (const line of family.lines()) page += `${line}\n`;
    }
    return page;
  }
}
