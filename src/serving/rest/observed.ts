/** @file What is known of a request while it is answered, and the report when it is over. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Observer } from "../observe/finished.ts";
import type { Trace } from "../observe/trace.ts";
import { type ModelPath, parseModelPath } from "./path.ts";

/** What the parts that answer a request find out about it. */
export interface RequestFacts {
  readonly trace: Trace | undefined;
  /** Address of the client. */
  readonly address: string;
  keyId?: string | undefined;
  /** Bytes of the body as it was read. */
  bytesIn?: number;
}

const LEFT = 499;

/** The pattern of a model's path; other paths as they are, without a query, which may hold secrets. */
function routeOf(path: ModelPath, target: string): string {
  if (path.kind !== "model") return target.split(/[?#]/, 1)[0]!;
  const by = { latest: "", version: "/versions/{version}", label: "/labels/{label}" }[path.version.by];
  const { action } = path;
  const verb = action === "status" ? "" : action === "metadata" ? "/metadata" : `:${action}`;
  return `/v1/models/{model}${by}${verb}`;
}

/** A request with its id and its target, which fastify rewrites. */
export interface Asked {
  readonly raw: IncomingMessage;
  readonly id: string;
  readonly originalUrl: string;
}

/** An answer with its headers, which fastify keeps. */
interface Replied {
  readonly raw: ServerResponse;
  getHeader(name: string): unknown;
}

/** Reports a request when its answer is sent, or its client has left. */
export function observe(
  { raw, id, originalUrl: target }: Asked,
  reply: Replied,
  facts: RequestFacts,
  observer: Observer,
): void {
  const [at, startedMs] = [Date.now(), performance.now()];
  const method = raw.method ?? "";
  const { raw: response } = reply;
  response.once("close", () => {
    const path = parseModelPath(method, target);
    observer.finished({
      at,
      protocol: "REST",
      method,
      route: routeOf(path, target),
      model: path.kind === "model" ? path.name : "",
      status: response.writableFinished ? response.statusCode : LEFT,
      ms: performance.now() - startedMs,
      bytesIn: facts.bytesIn ?? 0,
      bytesOut: Number(reply.getHeader("content-length") ?? 0),
      address: facts.address,
      keyId: facts.keyId,
      requestId: id,
      trace: facts.trace,
    });
  });
}
