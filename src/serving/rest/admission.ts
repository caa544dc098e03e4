/** @file What each route takes of the gate, and how a refusal is answered over REST. */
import type { IncomingMessage } from "node:http";
import { FaceError } from "../../base/errors.ts";
import { type ApiKey, oneHeader } from "../access/access.ts";
import type { ClientAddresses } from "../access/client-address.ts";
import type { Gate, Need } from "../access/gate.ts";
import { RateExceeded } from "../access/rates.ts";
import { writeErrorJson } from "../json/write.ts";
import { STATUS, type StatusCode } from "../status.ts";
import type { RestAnswer } from "./handler.ts";

const OURS = /:(?:verify|detect|embed)$/i;
const GALLERIES = /^\/v1\/(?:galleries|service|openapi\.json)(?:[/:?]|$)/;

const V2_HEALTH = /^\/v2\/health\//;
const V2_CHANGES = /^\/v2\/repository\/models\//;

/** What a request under `/v1/` or `/v2` takes. A preflight of a browser carries no key. */
export function needOf(method: string, target: string): Need | undefined {
  if (method === "OPTIONS" || V2_HEALTH.test(target)) return undefined;
  if (V2_CHANGES.test(target)) return { scope: "admin", always: true };
  // Routes of galleries check scope and gallery themselves.
  if (GALLERIES.test(target)) return { always: true };
  return { scope: "predict", always: OURS.test(target) };
}

/** What the metrics page takes. */
export const METRICS_NEED: Need = { scope: "read", always: false };

/** The address of a request's client. @param proxies whom to believe about it; left out, nobody. */
export function clientOf(request: IncomingMessage, proxies: ClientAddresses | undefined): string {
  const peer = request.socket.remoteAddress ?? "";
  return proxies === undefined ? peer : proxies.of(peer, oneHeader(request.headersDistinct[proxies.header]));
}

/** The checks of a request before its route answers. */
export interface Entrance {
  readonly gate?: Gate | undefined;
  /** Proxies that are believed about the addresses of clients; left out, none. */
  readonly proxies?: ClientAddresses | undefined;
}

/**
 * Lets a request in, before its body is read.
 * @param need what it takes; left out, nothing.
 * @throws FaceError `UNAUTHENTICATED`, `PERMISSION_DENIED`, or RateExceeded.
 */
export function admitRest(
  { gate, proxies }: Entrance,
  request: IncomingMessage,
  need: Need | undefined,
): ApiKey | undefined | Promise<ApiKey | undefined> {
  if (gate === undefined || need === undefined) return undefined;
  // Node keeps the first of several headers; here all must be seen.
  const authorization = oneHeader(request.headersDistinct.authorization);
  return gate.admit({ authorization, address: clientOf(request, proxies) }, need);
}

const JSON_TYPE = { "content-type": "application/json" } as const;
const MS_PER_SECOND = 1000;

/** When a client may ask again. */
export const retryAfter = ({ retryAfterMs }: RateExceeded): Record<string, string> => ({
  "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / MS_PER_SECOND))),
});

/** The answer to a request that was not let in. @throws any other error again. */
export function refusedAnswer(error: unknown): RestAnswer {
  const answer = (status: StatusCode, message: string, headers: Record<string, string>): RestAnswer => ({
    status: STATUS[status].http,
    headers: { ...JSON_TYPE, ...headers },
    body: writeErrorJson(message, status),
  });
  if (error instanceof RateExceeded) {
    return answer(error.status, error.message, retryAfter(error));
  }
  if (error instanceof FaceError && error.code === "UNAUTHENTICATED") {
    return answer(error.status, error.message, { "www-authenticate": "Bearer" });
  }
  if (error instanceof FaceError && error.code === "PERMISSION_DENIED") {
    return answer(error.status, error.message, {});
  }
  throw error;
}
