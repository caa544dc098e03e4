/** @file The REST interface on a socket; the only importer of fastify. */
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Server as TlsServer } from "node:tls";
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
} from "fastify";
import { systemCode } from "../../base/errors.ts";
import type { ApiKey } from "../access/access.ts";
import { admitGallery, answerGallery } from "../galleries/answer.ts";
import { isGalleryTarget } from "../galleries/call.ts";
import { failureAnswer, tooLargeAnswer } from "../galleries/failures.ts";
import type { GalleryService } from "../galleries/service.ts";
import { writeErrorJson } from "../json/write.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import type { Observer } from "../observe/finished.ts";
import { newTrace, TRACE_HEADER, traceOf, traceText } from "../observe/trace.ts";
import { answerV2, isV2 } from "../open-inference/rest.ts";
import type { Page } from "../page.ts";
import { portError } from "../ports.ts";
import { REQUEST_ID_HEADER, requestId } from "../request.ts";
import { RequestMemory } from "../request-memory.ts";
import { STATUS, StatusError, toStatusError } from "../status.ts";
import { secureContext, type Tls } from "../tls.ts";
import { admitRest, clientOf, type Entrance, METRICS_NEED, needOf, refusedAnswer } from "./admission.ts";
import { BodyTooLarge, collectBody } from "./body.ts";
import { answerRest, type RestAnswer, type RestContext } from "./handler.ts";
import { observe, type RequestFacts } from "./observed.ts";
import { isPhotoTarget, isUri } from "./path.ts";
import { metricsAnswer, probeAnswer } from "./probes.ts";
import { isFormUpload } from "./upload.ts";

/** Limits against slow, large and many clients. */
export interface RestLimits {
  /** Largest body of one request. */
  readonly maxBodyBytes: number;
  /** A request must arrive completely within this time. */
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
  /** An idle connection is closed after this time. Default 72 seconds. */
  readonly keepAliveMs?: number;
}

/** How to serve. Without a gate anybody may ask anything. */
export interface RestServerOptions extends Entrance {
  readonly limits: RestLimits;
  /** Of the memory of all requests. */
  readonly budget: MemoryBudget;
  /** Gets every request when it is over. */
  readonly observer?: Observer | undefined;
  /** Path of the Prometheus page; default none. */
  readonly metricsPath?: string | undefined;
  readonly tls?: Tls | undefined;
  /** Galleries, answered beside TensorFlow Serving's paths. */
  readonly galleries?: GalleryService | undefined;
  /** The page at `/`. */
  readonly page?: Page | undefined;
  /** Default: all addresses. */
  readonly bindAddress?: string | undefined;
}

/** A REST interface that listens. */
export interface RestServer {
  readonly port: number;
  /** Takes another certificate for connections to come; only where it has one. */
  renew(tls: Tls): void;
  /** Stops accepting and answers what is in flight, for at most this long; then closes every connection. */
  close(graceMs: number): Promise<void>;
}

const METHODS: HTTPMethods[] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"];
const UNDER_V1 = /^\/v1\//i;
const NOT_FOUND_PAGE =
  "<html><head>\n<title>404 Not Found</title>\n</head><body>\n<h1>Not Found</h1>\n" +
  "<p>The requested URL was not found on this server.</p>\n</body></html>\n";
const BAD_REQUEST_PAGE =
  "<html><head>\n<title>400 Bad Request</title>\n</head><body>\n<h1>Bad Request</h1>\n</body></html>\n";
const CHECKS_PER_TIMEOUT = 4;
/** Time from the end of a request to the end of its client's side, where the one says the other. */
const HALF_CLOSE_MS = 5;
const HTML = { "content-type": "text/html", connection: "close" } as const;

/** Builds the interface without listening; `inject` of the result answers in process. */
export function createRestApp(context: RestContext, options: RestServerOptions): FastifyInstance {
  const { requestTimeoutMs } = options.limits;
  // Node checks for late requests at intervals.
  const checking =
    requestTimeoutMs > 0
      ? { connectionsCheckingInterval: Math.ceil(requestTimeoutMs / CHECKS_PER_TIMEOUT) }
      : {};
  const app = fastify({
    genReqId: ({ headers }: IncomingMessage) => requestId(headers[REQUEST_ID_HEADER]),
    requestTimeout: requestTimeoutMs,
    ...(options.limits.keepAliveMs !== undefined && { keepAliveTimeout: options.limits.keepAliveMs }),
    forceCloseConnections: "idle",
    return503OnClosing: false,
    clientErrorHandler: (error: unknown, socket: Socket) => {
      const isLate = systemCode(error) === "ERR_HTTP_REQUEST_TIMEOUT";
      if (socket.writable) socket.end(closing(isLate ? "408 Request Timeout" : "400 Bad Request"));
    },
    // One route takes every path unchanged, since `path.ts` reads it by TensorFlow Serving's rules.
    rewriteUrl: () => "/",
    http: checking,
    ...(options.tls && {
      https: {
        ...checking,
        ...secureContext(options.tls),
        requestCert: options.tls.requireClientCertificate,
        rejectUnauthorized: options.tls.requireClientCertificate,
      },
    }),
  } as Parameters<typeof fastify>[0]) as unknown as FastifyInstance;
  app.server.headersTimeout = requestTimeoutMs;
  // A client may close its side when it has sent its request, and is answered.
  (app.server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  // Requests that wait behind each other on a connection listen to its end, each.
  app.server.on("connection", (socket) => socket.setMaxListeners(0));
  app.server.maxConnections = options.limits.maxConnections;
  // A connection with a request in flight at shutdown is closed after its answer instead of kept alive.
  let isClosing = false;
  app.addHook("preClose", async () => {
    isClosing = true;
  });
  app.addHook("onSend", async (_request, reply) => {
    if (isClosing) reply.header("connection", "close");
  });
  // Answered before fastify would parse the body, which it refuses for content types that it does not know.
  const onRequest = (request: FastifyRequest, reply: FastifyReply) =>
    answer(request, reply, context, options);
  app.route({ method: METHODS, url: "/", onRequest, handler: () => undefined });
  app.setNotFoundHandler((_request, reply) => reply.code(501).headers(HTML).send("Not Implemented"));
  return app;
}

/** The answer to bytes that are not HTTP, and to requests that do not arrive in time. */
function closing(status: string): string {
  return `HTTP/1.1 ${status}\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  context: RestContext,
  options: RestServerOptions,
): Promise<FastifyReply> {
  const target = request.originalUrl;
  reply.header(REQUEST_ID_HEADER, request.id);
  const trace =
    traceOf(request.headers[TRACE_HEADER]) ?? (options.observer?.beginsTraces ? newTrace() : undefined);
  if (trace !== undefined) reply.header(TRACE_HEADER, traceText(trace));
  const facts: RequestFacts = { trace, address: clientOf(request.raw, options.proxies) };
  if (options.observer !== undefined) observe(request, reply, facts, options.observer);
  if (!isUri(target)) return reply.code(400).headers(HTML).send(BAD_REQUEST_PAGE);
  if (UNDER_V1.test(target) || isV2(target)) {
    return send(reply, await answerApi(request, context, options, facts));
  }
  const [path = ""] = target.split("?", 1);
  const file = options.page?.at(request.method, path);
  if (file !== undefined) return reply.headers(file.headers).send(await file.read());
  if (options.metricsPath !== undefined && path === options.metricsPath) {
    try {
      await admitRest(options, request.raw, METRICS_NEED);
    } catch (error) {
      return send(reply, refusedAnswer(error));
    }
    return send(reply, metricsAnswer(target, path, context));
  }
  const probe = probeAnswer(target, context);
  if (probe !== undefined) return send(reply, probe);
  return reply.code(404).headers(HTML).send(NOT_FOUND_PAGE);
}

function send(reply: FastifyReply, { status, headers, body }: RestAnswer): FastifyReply {
  // For text, fastify would add a character set to the content type.
  return reply.code(status).headers(headers).send(asBuffer(body));
}

function asBuffer(body: Uint8Array | string): Buffer {
  if (typeof body === "string") return Buffer.from(body);
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

async function answerApi(
  request: FastifyRequest,
  context: RestContext,
  options: RestServerOptions,
  facts: RequestFacts,
): Promise<RestAnswer> {
  const { budget, limits, galleries } = options;
  const line = {
    id: request.id,
    method: request.method,
    target: request.originalUrl,
    headers: request.raw.headers,
  };
  const ofGallery = galleries !== undefined && isGalleryTarget(line.target) ? galleries : undefined;
  let key: ApiKey | undefined;
  try {
    key = await admitRest(options, request.raw, needOf(line.method, line.target));
    facts.keyId = key?.id;
  } catch (error) {
    return ofGallery === undefined ? refusedAnswer(error) : unread(failureAnswer(error).answer, request.raw);
  }
  // Who may not ask is refused before anything of the body is held.
  const gallery =
    ofGallery === undefined
      ? undefined
      : { service: ofGallery, ...admitGallery(ofGallery, context, line, key) };
  if (gallery !== undefined && "answer" in gallery) return unread(gallery.answer, request.raw);
  const left = new AbortController();
  const leave = () => left.abort(new StatusError("CANCELLED", "The client has left."));
  const { socket, headers } = request.raw;
  let receivedMs = Number.POSITIVE_INFINITY;
  // A client may close its side to say that its request is complete; one that does so later has left.
  const end = () => {
    if (!request.raw.complete) socket.destroy();
    else if (performance.now() > receivedMs + HALF_CLOSE_MS) leave();
  };
  socket.once("close", leave).once("end", end);
  using memory = new RequestMemory(budget);
  try {
    const hasBody = request.method !== "GET" && request.method !== "HEAD";
    // The image decoder cannot read shared memory.
    const mayShare = !isFormUpload(headers["content-type"] ?? "");
    const body = hasBody
      ? await collectBody(request.raw, {
          maxBytes: limits.maxBodyBytes,
          memory,
          mayShare,
          refuseWrong: gallery !== undefined || isV2(line.target) || isPhotoTarget(line.target),
        })
      : new Uint8Array(0);
    receivedMs = performance.now();
    facts.bytesIn = body.length;
    const whole = { ...line, key, trace: facts.trace, body, memory, signal: left.signal };
    if (gallery !== undefined) return await answerGallery(gallery.service, context, gallery.admitted, whole);
    const answerRequest = isV2(line.target) ? answerV2 : answerRest;
    return await answerRequest(context, whole);
  } catch (error) {
    return gallery === undefined ? refusal(error) : refusedBody(error);
  } finally {
    socket.off("close", leave).off("end", end);
  }
}

/** An answer before a request's body was read, after which the connection is of no use. */
function unread(answer: RestAnswer, { headers }: IncomingMessage): RestAnswer {
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  return hasBody ? { ...answer, headers: { ...answer.headers, connection: "close" } } : answer;
}

/** The same for a request to a gallery. */
function refusedBody(error: unknown): RestAnswer {
  if (error instanceof BodyTooLarge) return tooLargeAnswer(error.message);
  const { answer } = failureAnswer(error);
  return { ...answer, headers: { ...answer.headers, connection: "close" } };
}

/** The answer for a body that is too large or cut off. */
function refusal(error: unknown): RestAnswer {
  const headers = { "content-type": "application/json", connection: "close" };
  if (error instanceof BodyTooLarge) return { status: 413, headers, body: writeErrorJson(error.message) };
  const { status, message } = toStatusError(error);
  return { status: STATUS[status].http, headers, body: writeErrorJson(message) };
}

/**
 * Opens the port on all addresses.
 * @throws FaceError `PORT_IN_USE`.
 */
export async function startRest(
  context: RestContext,
  options: RestServerOptions,
  port: number,
): Promise<RestServer> {
  const app = createRestApp(context, options);
  try {
    await listen(app, port, options.bindAddress);
  } catch (error) {
    await app.close();
    throw portError("REST", port, error);
  }
  return {
    port: (app.server.address() as AddressInfo).port,
    renew: (tls) => (app.server as unknown as TlsServer).setSecureContext(secureContext(tls)),
    close: async (graceMs) => {
      const timer = setTimeout(() => app.server.closeAllConnections(), graceMs);
      await app.close();
      clearTimeout(timer);
    },
  };
}

/** Listens on the address, or else on IPv6 and IPv4, or on IPv4 alone where the machine has no IPv6. */
async function listen(app: FastifyInstance, port: number, address: string | undefined): Promise<void> {
  if (address !== undefined) {
    await app.listen({ port, host: address });
    return;
  }
  try {
    await app.listen({ port, host: "::" });
  } catch (error) {
    if (systemCode(error) !== "EAFNOSUPPORT") throw error;
    await app.listen({ port, host: "0.0.0.0" });
  }
}
