/** @file What models have answered, in the form of Triton's ModelStatistics. */
import { type Duration, statisticsOf } from "../engine/run-statistics.ts";
import type { Catalog, ModelChoice } from "../repository/catalog.ts";

/** How often, and how many nanoseconds in all. */
export interface StatisticDuration {
  readonly count: number;
  readonly ns: number;
}

/** The figures of one version with the names of the JSON form. */
export interface VersionStatistics {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since 1970; 0 before the first request. */
  readonly last_inference: number;
  /** Rows that were answered. */
  readonly inference_count: number;
  /** Runs of the graph. */
  readonly execution_count: number;
  readonly inference_stats: Readonly<Record<StatisticName, StatisticDuration>>;
  /** Not measured. */
  readonly batch_stats: readonly [];
}

type StatisticName = "success" | "fail" | "queue" | "compute_input" | "compute_infer" | "compute_output";

const NS_PER_MS = 1e6;
const NOT_MEASURED: StatisticDuration = { count: 0, ns: 0 };

const durationOf = ({ count, totalMs }: Duration): StatisticDuration => ({
  count,
  ns: Math.round(totalMs * NS_PER_MS),
});

function statisticsOfVersion(catalog: Catalog, choice: ModelChoice): VersionStatistics {
  using lease = catalog.acquire(choice);
  const { servable } = lease;
  const figures = statisticsOf(servable);
  return {
    name: servable.name,
    version: String(servable.version),
    last_inference: figures.lastRequestMs,
    inference_count: figures.rows,
    execution_count: figures.compute.count,
    inference_stats: {
      success: durationOf(figures.success),
      fail: durationOf(figures.fail),
      queue: durationOf(figures.queue),
      compute_input: NOT_MEASURED,
      compute_infer: durationOf(figures.compute),
      compute_output: NOT_MEASURED,
    },
    batch_stats: [],
  };
}

/**
 * The figures of the versions that answer requests, since each was loaded.
 * @param choice left out, of all models; of the latest version, of all versions of the model.
 * @throws StatusError `NOT_FOUND` for a model or version that does not answer.
 */
export function modelStatistics(catalog: Catalog, choice?: ModelChoice): VersionStatistics[] {
  if (choice !== undefined && choice.version.by !== "latest") return [statisticsOfVersion(catalog, choice)];
  const names = choice === undefined ? catalog.names() : [choice.name];
  const found = names.flatMap((name) =>
    catalog
      .versions(name)
      .filter(({ state }) => state === "AVAILABLE")
      .map(({ version }) => statisticsOfVersion(catalog, { name, version: { by: "version", version } })),
  );
  // Says what is wrong, as for a request.
  if (choice !== undefined && found.length === 0) catalog.acquire(choice)[Symbol.dispose]();
  return found;
}
