/** @file The port for administrators: metrics, health and reload over HTTP, reload, reflection and health over gRPC. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { FaceError } from "../base/errors.ts";
import { ModelServerConfigSchema } from "../proto/tensorflow_serving/model_service_pb.ts";
import { refuseOtherSites } from "./access/access.ts";
import type { Need } from "./access/gate.ts";
import type { InjectedGrpc } from "./grpc/grpc-server.ts";
import { writeErrorJson } from "./json/write.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import { portError } from "./ports.ts";
import { parseTextProto } from "./repository/text-proto.ts";
import { RequestMemory } from "./request-memory.ts";
import { admitRest, type Entrance, METRICS_NEED, refusedAnswer } from "./rest/admission.ts";
import { BodyTooLarge, collectBody } from "./rest/body.ts";
import type { RestAnswer, RestContext } from "./rest/handler.ts";
import { metricsAnswer, probeAnswer } from "./rest/probes.ts";
import { invalidArgument, STATUS, toStatusError } from "./status.ts";

/** What the port serves. */
export interface AdminContext
  extends Entrance,
    Pick<RestContext, "catalog" | "metrics" | "draining" | "log"> {
  readonly budget: MemoryBudget;
  readonly metricsPath: string;
  readonly grpc: InjectedGrpc;
}

export interface AdminServer {
  readonly port: number;
  close(graceMs: number): Promise<void>;
}

export const RELOAD_PATH = "/v1/config:reload";
const MOST_CONFIG_BYTES = 2 ** 20;
/** What an HTTP/2 connection begins with. */
const PREFACE = Buffer.from("PRI");
const FIRST_BYTES_MS = 10_000;

const RELOAD: Need = { scope: "admin", always: true };
const JSON_TYPE = { "content-type": "application/json" } as const;

async function reload(context: AdminContext, request: IncomingMessage): Promise<RestAnswer> {
  refuseOtherSites(request.headers);
  using memory = new RequestMemory(context.budget);
  const limits = { maxBytes: MOST_CONFIG_BYTES, mayShare: false, refuseWrong: true };
  const body = await collectBody(request, { ...limits, memory });
  let config: ReturnType<typeof parseTextProto<typeof ModelServerConfigSchema>>;
  try {
    config = parseTextProto(ModelServerConfigSchema, Buffer.from(body).toString("utf8"));
  } catch (error) {
    if (error instanceof FaceError) throw invalidArgument(error.message);
    throw error;
  }
  if (config.config.case !== "modelConfigList") throw invalidArgument("a model_config_list is wanted");
  await context.catalog.reload(config);
  return { status: 200, headers: JSON_TYPE, body: "{}\n" };
}

async function answer(context: AdminContext, request: IncomingMessage): Promise<RestAnswer> {
  const target = request.url ?? "";
  const isReload = request.method === "POST" && target === RELOAD_PATH;
  const isMetrics = target.split("?", 1)[0] === context.metricsPath;
  try {
    if (isMetrics) {
      await admitRest(context, request, METRICS_NEED);
      return metricsAnswer(target, context.metricsPath, context);
    }
    if (isReload) await admitRest(context, request, RELOAD);
  } catch (error) {
    return refusedAnswer(error);
  }
  try {
    if (isReload) return await reload(context, request);
  } catch (error) {
    if (error instanceof BodyTooLarge)
      return { status: 413, headers: JSON_TYPE, body: writeErrorJson(error.message) };
    const { status, message } = toStatusError(error);
    return { status: STATUS[status].http, headers: JSON_TYPE, body: writeErrorJson(message, status) };
  }
  const missing = writeErrorJson(
    `nothing is here; there are ${context.metricsPath}, /healthz, /readyz and POST ${RELOAD_PATH}`,
  );
  return probeAnswer(target, context) ?? { status: 404, headers: JSON_TYPE, body: missing };
}

/** Passes a connection to HTTP/1 or HTTP/2 by its first bytes. */
function byProtocol(socket: Socket, http1: (socket: Socket) => void, http2: (socket: Socket) => void): void {
  let first: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), FIRST_BYTES_MS).unref();
  const look = (chunk: Buffer) => {
    first = Buffer.concat([first, chunk]);
    if (first.length < PREFACE.length) return;
    clearTimeout(timer);
    socket.off("data", look).pause();
    socket.unshift(first);
    (first.subarray(0, PREFACE.length).equals(PREFACE) ? http2 : http1)(socket);
  };
  socket
    .on("data", look)
    .on("error", () => undefined)
    .once("close", () => clearTimeout(timer));
}

/**
 * Opens the port.
 * @throws FaceError `PORT_IN_USE`.
 */
export async function startAdmin(context: AdminContext, port: number, address: string): Promise<AdminServer> {
  const http1 = createHttpServer((request: IncomingMessage, response: ServerResponse) => {
    void answer(context, request)
      .catch((error: unknown): RestAnswer => {
        const { message } = toStatusError(error);
        context.log.error("an administrator's request failed", { cause: String(error) });
        return { status: 500, headers: JSON_TYPE, body: writeErrorJson(message) };
      })
      .then(({ status, headers, body }) => response.writeHead(status, { ...headers }).end(body));
  });
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    byProtocol(
      socket,
      (each) => {
        http1.emit("connection", each);
        each.resume();
      },
      (each) => context.grpc.inject(each),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(portError("admin", port, error)));
    server.listen({ port, host: address }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async (graceMs) => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      http1.closeIdleConnections();
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await context.grpc.close(graceMs);
      http1.closeIdleConnections();
      await closed;
      clearTimeout(timer);
    },
  };
}
