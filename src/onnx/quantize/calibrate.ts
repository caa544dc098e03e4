/** @file Measures the ranges of a model's inner values for quantisation. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { floats, type TensorMap } from "../../base/tensor.ts";
import { ModelProtoSchema, ValueInfoProtoSchema } from "../../proto/onnx/onnx_pb.ts";
import { ONNX_TYPE } from "../dtypes.ts";
import { openRuntime } from "../runtime/runtime.ts";
import type { ValueRange } from "./quantize.ts";

/** Histogram bins for finding the best place to clip a value. */
const BINS = 2048;
/** Steps of the 8-bit grid. */
const LEVELS = 256;
/** Clipping bounds that are tried, from the whole span down to a third of it. */
const CUTS = 40;
const LEAST_KEPT = 1 / 3;

/** The model with inner values among its outputs. */
function withOutputs(bytes: Uint8Array, names: readonly string[]): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const { graph } = model;
  const given = new Set([...graph!.input, ...graph!.output].map(({ name }) => name));
  for (const name of names.filter((each) => !given.has(each))) {
    const type = { value: { case: "tensorType" as const, value: { elemType: ONNX_TYPE.float32 } } };
    graph!.output.push(create(ValueInfoProtoSchema, { name, type }));
  }
  return toBinary(ModelProtoSchema, model);
}

/** A histogram of magnitudes that widens for larger values. */
class Magnitudes {
  #counts = new Float64Array(BINS);
  #span = 0;
  #low = 0;
  #high = 0;

  add(values: Float32Array): void {
    let most = 0;
    for (const value of values) {
      if (value < this.#low) this.#low = value;
      else if (value > this.#high) this.#high = value;
      const size = Math.abs(value);
      if (size > most) most = size;
    }
    if (most === 0) return;
    if (this.#span === 0) this.#span = most;
    while (this.#span < most) this.#widen();
    const perUnit = BINS / this.#span;
    for (const value of values) {
      const bin = Math.floor(Math.abs(value) * perUnit);
      this.#counts[bin < BINS ? bin : BINS - 1]!++;
    }
  }

  #widen(): void {
    const wide = new Float64Array(BINS);
    this.#counts.forEach((count, bin) => {
      wide[bin >> 1]! += count;
    });
    this.#counts = wide;
    this.#span *= 2;
  }

  /** Squared error when magnitudes above a bound are clipped and the rest is rounded to the grid. */
  #error(bound: number): number {
    const width = this.#span / BINS;
    const rounding = (bound / (LEVELS - 1)) ** 2 / 12;
    return this.#counts.reduce((sum, count, bin) => {
      const excess = (bin + 0.5) * width - bound;
      return sum + count * (excess > 0 ? excess ** 2 : rounding);
    }, 0);
  }

  /** The range with the least error. */
  range(): ValueRange {
    const most = Math.max(-this.#low, this.#high);
    let [best, least] = [most, this.#error(most)];
    for (let cut = 1; cut <= CUTS; cut++) {
      const bound = most * (1 - (cut / CUTS) * (1 - LEAST_KEPT));
      const error = this.#error(bound);
      if (error < least) [best, least] = [bound, error];
    }
    return { low: Math.max(this.#low, -best), high: Math.min(this.#high, best) };
  }
}

/**
 * Runs a model on batches and finds for each of the named values the range that 8 bits represent with the least error: a
 * few outliers are clipped if that lowers the error of the rest.
 */
export async function measureRanges(
  bytes: Uint8Array,
  names: readonly string[],
  batches: AsyncIterable<TensorMap> | Iterable<TensorMap>,
): Promise<Map<string, ValueRange>> {
  const session = await openRuntime(withOutputs(bytes, names));
  const measured = new Map(names.map((name) => [name, new Magnitudes()]));
  try {
    for await (const batch of batches) {
      const inner = names.filter((name) => !batch.has(name));
      const results = await session.run(batch, inner);
      for (const [name, magnitudes] of measured)
        magnitudes.add(floats(batch.get(name) ?? results.get(name)!));
    }
  } finally {
    await session.close();
  }
  return new Map([...measured].map(([name, magnitudes]) => [name, magnitudes.range()]));
}

/** The greatest magnitude in each channel of the named values `[batch, channels, …]`, over batches. */
export async function measurePeaks(
  bytes: Uint8Array,
  names: readonly string[],
  batches: AsyncIterable<TensorMap> | Iterable<TensorMap>,
): Promise<Map<string, Float32Array>> {
  const session = await openRuntime(withOutputs(bytes, names));
  const peaks = new Map<string, Float32Array>();
  try {
    for await (const batch of batches) {
      for (const [name, { shape, data }] of await session.run(batch, names)) {
        const [channels, plane] = [shape[1]!, shape.slice(2).reduce((product, side) => product * side, 1)];
        const peak = peaks.get(name) ?? new Float32Array(channels);
        peaks.set(name, peak);
        (data as Float32Array).forEach((value, i) => {
          const channel = Math.floor(i / plane) % channels;
          peak[channel] = Math.max(peak[channel]!, Math.abs(value));
        });
      }
    }
  } finally {
    await session.close();
  }
  return peaks;
}
