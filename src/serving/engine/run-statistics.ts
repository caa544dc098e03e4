/** @file What a loaded version has answered: counts and times of its requests and of the runs of its graph. */
import type { TensorMap } from "../../base/tensor.ts";

/** A count and the total duration. */
export class Duration {
  count = 0;
  totalMs = 0;

  add(ms: number): void {
    this.count++;
    this.totalMs += ms;
  }
}

/** The figures of one version since it was loaded. */
export class RunStatistics {
  /** Requests that were answered, from their tensors to the outputs. */
  readonly success = new Duration();
  /** Requests that failed in the model, were refused by its queue or left by their client. */
  readonly fail = new Duration();
  /** Requests that waited for their batch. */
  readonly queue = new Duration();
  /** Runs of the graph that succeeded. */
  readonly compute = new Duration();
  /** Rows of the requests that were answered. */
  rows = 0;
  /** When the last request came, in milliseconds since 1970; 0 before the first. */
  lastRequestMs = 0;
  /** Whether requests share runs, which are counted where they happen; else each request is a run. */
  sharesRuns = false;
}

const statistics = new WeakMap<object, RunStatistics>();

/** The figures of a version, which go when it is unloaded. */
export function statisticsOf(servable: object): RunStatistics {
  let known = statistics.get(servable);
  if (known === undefined) {
    known = new RunStatistics();
    statistics.set(servable, known);
  }
  return known;
}

/** The number of rows that all inputs have; 1 where they have no common one. */
function rowsOfRequest(inputs: TensorMap): number {
  const [rows = 1, ...others] = new Set([...inputs.values()].map(({ shape }) => shape[0]));
  return others.length === 0 ? rows : 1;
}

/** Counts a request while it is answered. */
export async function counted(
  servable: object,
  inputs: TensorMap,
  answer: () => Promise<TensorMap>,
): Promise<TensorMap> {
  const figures = statisticsOf(servable);
  const startedMs = performance.now();
  figures.lastRequestMs = Date.now();
  try {
    const outputs = await answer();
    const ms = performance.now() - startedMs;
    figures.success.add(ms);
    figures.rows += rowsOfRequest(inputs);
    if (!figures.sharesRuns) figures.compute.add(ms);
    return outputs;
  } catch (error) {
    figures.fail.add(performance.now() - startedMs);
    throw error;
  }
}
