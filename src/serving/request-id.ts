/** @file The name under which a request is found in the log: the client's own, or one made for it. */
import { randomUUID } from "node:crypto";

/** Header of a REST request and answer, key of a gRPC call's metadata. */
export const REQUEST_ID_HEADER = "x-request-id";

/** What may stand in a log line and a header without harm. */
const USABLE = /^[\w.:/+=-]{1,128}$/;

/** The client's id where it is usable, a new one otherwise. */
export function requestId(given: unknown): string {
  return typeof given === "string" && USABLE.test(given) ? given : randomUUID();
}
