/** @file What REST and gRPC requests have in common: an id, and the log lines and figures of their answers. */
import { randomUUID } from "node:crypto";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { ServerMetrics } from "./metrics.ts";
import { type Catalog, isKnown } from "./repository/catalog.ts";
import type { StatusError } from "./status.ts";

/** Header of a REST request and answer, key of a gRPC call's metadata. */
export const REQUEST_ID_HEADER = "x-request-id";

/** Ids that are safe in a log line and a header. */
const USABLE = /^[\w.:/+=-]{1,128}$/;

/** The client's id if it is usable, a new one otherwise. */
export function requestId(given: unknown): string {
  return typeof given === "string" && USABLE.test(given) ? given : randomUUID();
}

/** A request that is being answered. */
export interface RequestRecord {
  readonly requestId: string;
  /** Names the request in the log: its method and path. */
  readonly fields: Readonly<Record<string, string>>;
  readonly startedMs: number;
  /** Model name, API and entrypoint for the metrics; absent for calls that TensorFlow Serving does not count. */
  readonly labels: readonly [model: string, api: string, entrypoint: "REST" | "GRPC"] | undefined;
}

interface RecordContext {
  readonly log: Log;
  readonly metrics: ServerMetrics;
  readonly catalog: Catalog;
}

/** The label of all models that the server does not know: clients may send any number of names, of any length. */
const UNKNOWN_MODEL = "(unknown)";

/** Logs and counts an answer. @param failure why the request failed, if it did. */
export function recordAnswer(
  { log, metrics, catalog }: RecordContext,
  { requestId, fields, startedMs, labels }: RequestRecord,
  failure?: StatusError,
): void {
  const status = failure?.status ?? "OK";
  if (labels !== undefined) {
    const [model, api, entrypoint] = labels;
    const name = model === "" || isKnown(catalog, model) ? model : UNKNOWN_MODEL;
    metrics.request(name, api, entrypoint, status, startedMs);
  }
  log.debug("answered", { requestId, ...fields, status, ms: Math.round(performance.now() - startedMs) });
  if (failure === undefined || (failure.cause === undefined && status !== "INTERNAL")) return;
  // A mistake of the client is explained in its answer; the log is for faults of the server.
  const level = status === "INVALID_ARGUMENT" ? "debug" : "error";
  log[level]("a request failed", { requestId, ...fields, cause: messageOf(failure.cause ?? failure) });
}
