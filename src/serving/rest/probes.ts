/** @file The pages outside `/v1/`: health and metrics, on the REST port and on the port for administrators. */
import { isAvailable } from "../repository/catalog.ts";
import type { RestAnswer, RestContext } from "./handler.ts";

const TEXT = { "content-type": "text/plain" } as const;
const page = (status: number, body: string): RestAnswer => ({ status, headers: TEXT, body });

type ProbeContext = Pick<RestContext, "catalog" | "draining">;

/** Whether the process responds, or every model of the configuration has an available version; undefined for other targets. */
export function probeAnswer(target: string, { catalog, draining }: ProbeContext): RestAnswer | undefined {
  if (target === "/healthz") return page(200, "ok\n");
  if (target !== "/readyz") return undefined;
  if (draining?.aborted) return page(503, "the server is about to stop\n");
  const missing = catalog.names().filter((name) => !isAvailable(catalog, name));
  return missing.length === 0 ? page(200, "ok\n") : page(503, `not available: ${missing.join(", ")}\n`);
}

/** The metrics. @param target with a query it is refused, as by TensorFlow Serving. */
export function metricsAnswer(
  target: string,
  path: string,
  { metrics }: Pick<RestContext, "metrics">,
): RestAnswer {
  if (target === path) return page(200, metrics.page());
  return page(400, `Unexpected path: ${target}. Should be ${path}`);
}
