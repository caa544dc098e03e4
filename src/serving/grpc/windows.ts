/** @file Room for large messages on their way in, which grpc-js has no option for on the side of the server. */
import type { Http2Server, ServerHttp2Session, Settings } from "node:http2";

/**
 * Bytes that a client may send ahead of what has been read, on one connection and in one call. HTTP/2 begins with
 * 65,535, at which a pair of photographs as floats stops and waits for a word of the server nine times.
 */
export const WINDOW_BYTES = 4 * 2 ** 20;

/**
 * Bytes that a client may send in one frame, which HTTP/2 begins with 16,384 of. Each frame takes a turn of its own
 * through streams and callbacks; clients that grpc's core stands behind (Python, C++) send as large ones as they may.
 */
export const FRAME_BYTES = 2 ** 20;

/** What is used of grpc-js that its types keep to themselves; where a version lacks it, messages merely come slower. */
interface Inner {
  readonly commonServerOptions?: { settings?: Settings };
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/** The same of a call: whoever intercepts it stands in front of the one that reads. */
interface InnerCall {
  readonly call?: InnerCall;
  readonly nextCall?: InnerCall;
  readonly decoder?: { readPartialMessage?: Uint8Array[] };
}

/** Widens the frames and the window of each call of a grpc-js server; to be used before the first address is bound. */
export function widenCalls(server: object): void {
  const options = (server as Inner).commonServerOptions;
  if (options === undefined) return;
  options.settings = { ...options.settings, initialWindowSize: WINDOW_BYTES, maxFrameSize: FRAME_BYTES };
}

/**
 * Lets go of the pieces that a message came in, which grpc-js keeps beside the message itself until the call is over:
 * what outlives a few collections of young memory is freed by a full one only, and that takes long.
 */
export function dropPieces(call: object): void {
  let inner: InnerCall | undefined = call;
  while (inner !== undefined && inner.decoder === undefined) inner = inner.call ?? inner.nextCall;
  if (inner?.decoder?.readPartialMessage !== undefined) inner.decoder.readPartialMessage = [];
}

/** Widens the window of each connection; to be used when all addresses are bound. */
export function widenConnections(server: object): void {
  for (const listener of (server as Inner).http2Servers?.keys() ?? []) {
    listener.on("session", (session: ServerHttp2Session) => session.setLocalWindowSize(WINDOW_BYTES));
  }
}
