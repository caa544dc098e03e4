/** @file Room for large messages on their way in, which grpc-js has no option for on the side of the server. */
import type { Http2Server, ServerHttp2Session, Settings } from "node:http2";

/**
 * Bytes that a client may send ahead of what has been read, on one connection and in one call. HTTP/2 begins with
 * 65,535, at which a pair of photographs as floats stops and waits for a word of the server nine times.
 */
export const WINDOW_BYTES = 4 * 2 ** 20;

/** What is used of grpc-js that its types keep to themselves; where a version lacks it, messages merely come slower. */
interface Inner {
  readonly commonServerOptions?: { settings?: Settings };
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/** Widens the window of each call of a grpc-js server; to be used before the first address is bound. */
export function widenCalls(server: object): void {
  const options = (server as Inner).commonServerOptions;
  if (options !== undefined) options.settings = { ...options.settings, initialWindowSize: WINDOW_BYTES };
}

/** Widens the window of each connection; to be used when all addresses are bound. */
export function widenConnections(server: object): void {
  for (const listener of (server as Inner).http2Servers?.keys() ?? []) {
    listener.on("session", (session: ServerHttp2Session) => session.setLocalWindowSize(WINDOW_BYTES));
  }
}
