/** @file Larger HTTP/2 windows and frames for large messages; grpc-js has no options for those of a server. */
import type { Http2Server, ServerHttp2Session, Settings } from "node:http2";

/**
 * Bytes that a client may send before the server acknowledges, on a connection and in a call. With HTTP/2's default of
 * 65,535, a pair of images as floats waits nine times.
 */
export const WINDOW_BYTES = 4 * 2 ** 20;

/**
 * Largest frame; HTTP/2's default is 16,384. Each frame passes streams and callbacks on its own, and clients on grpc's C
 * core (Python, C++) send frames as large as allowed.
 */
export const FRAME_BYTES = 2 ** 20;

/** Private fields of a grpc-js server. In a version without them, messages are only slower. */
interface Inner {
  readonly commonServerOptions?: { settings?: Settings };
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/** Enlarges the frames and the window of each call; call it before the first address is bound. */
export function widenCalls(server: object): void {
  const options = (server as Inner).commonServerOptions;
  if (options === undefined) return;
  options.settings = { ...options.settings, initialWindowSize: WINDOW_BYTES, maxFrameSize: FRAME_BYTES };
}

/** Limits on connections. */
export interface ConnectionLimits {
  readonly maxConnections: number;
  /** Time for a client to acknowledge the server's settings. */
  readonly settleMs: number;
}

/** Limits the connections and enlarges the window of each; call it when all addresses are bound. */
export function tuneConnections(server: object, { maxConnections, settleMs }: ConnectionLimits): void {
  for (const listener of (server as Inner).http2Servers?.keys() ?? []) {
    (listener as Http2Server & { maxConnections: number }).maxConnections = maxConnections;
    listener.on("session", (session: ServerHttp2Session) => {
      session.setLocalWindowSize(WINDOW_BYTES);
      // Node 20 keeps a connection on which an illegal frame came open for ever, and says nothing. Later ones are found
      // by keepalive pings.
      const timer = setTimeout(() => session.destroy(), settleMs).unref();
      session.once("localSettings", () => clearTimeout(timer));
      session.once("close", () => clearTimeout(timer));
    });
  }
}
