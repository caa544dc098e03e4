/** @file What went wrong with the answer of a server that listens: too late, cut off, wrongly encoded, or redirected without end. */
import { FaceError, SYSTEM_REASONS, systemCode } from "../base/errors.ts";
import { excerpt } from "./body.ts";

/** How far an exchange came. */
export interface Exchange {
  /** The limit for the whole exchange. */
  readonly timeoutMs: number;
  /** The headers of the answer, where they came. */
  readonly headers?: Headers | undefined;
  /** Whether this server has answered in HTTP before. */
  readonly isKnown?: boolean;
}

const LOOK = "look into the log of the server, and of a proxy before it";
/** Most characters of a header that a message repeats. */
const MOST_HEADER = 40;

/** The reason within an error of `fetch`. */
export const causeOf = (error: unknown): unknown =>
  error instanceof Error && error.cause instanceof Error ? error.cause : error;

/** Whether the other side sent anything before it closed the connection, as far as undici says so. */
function hasBegun(cause: unknown): boolean {
  const { socket } = cause as { readonly socket?: { readonly bytesRead?: unknown } };
  return typeof socket?.bytesRead === "number" && socket.bytesRead > 0;
}

const unreachable = (url: string, what: string, hint: string, cause: unknown) =>
  new FaceError("SERVER_UNREACHABLE", `${url} ${what}`, { hint, cause });

/** A connection that ended within an answer. */
export const cutOff = (url: string, cause: unknown): FaceError =>
  unreachable(url, "closed the connection before its answer was complete", `try again, or ${LOOK}`, cause);

/** A connection that the other side, or a proxy or firewall before it, reset before an answer: what speaks there is not known. */
export const wasReset = (url: string, cause: unknown): FaceError =>
  unreachable(
    url,
    "reset the connection before it answered",
    `try again; if it does so again, check the port, and whether the server has a certificate, or ${LOOK}`,
    cause,
  );

/**
 * What to do about a server that cannot be reached: a host that is unknown wants another remedy than a port on which nobody
 * listens.
 * @param code of the system, where it gave one.
 * @param line the command that starts a server there, where that is this machine.
 */
export function reachHint(code: string | undefined, line: string | undefined): string {
  const known = SYSTEM_REASONS[code ?? ""];
  if (known !== undefined && code !== "ECONNREFUSED") return known.hint;
  const start = line === undefined ? "" : `, or start one:\n  ${line}`;
  return `check that the server runs and that the address is right${start}`;
}

/** @param url the address as the user knows it. @returns undefined where no answer began, or the error says it all. */
export function exchangeFailure(url: string, error: unknown, exchange: Exchange): FaceError | undefined {
  const { headers, timeoutMs, isKnown = false } = exchange;
  const cause = causeOf(error);
  if (!(cause instanceof Error)) return undefined;
  const [code = "", { message, name }] = [systemCode(cause), cause];
  const wrong = (what: string, hint: string) => new FaceError("SERVER_ERROR", what, { hint, cause: error });
  if (name === "TimeoutError") {
    const what = headers === undefined ? "did not answer" : "did not complete its answer";
    return unreachable(
      url,
      `${what} within ${timeoutMs / 1000} s`,
      `check the address, try again when the server is less busy, or ${LOOK}`,
      error,
    );
  }
  if (/^redirect count exceeded/.test(message)) {
    return wrong(
      `${url} redirects again and again`,
      `pass the address that it redirects to in the end, or ${LOOK}`,
    );
  }
  if (/^URL scheme must be/.test(message))
    return wrong(`${url} redirects to an address that is not HTTP's`, LOOK);
  if (message === "bad port") {
    // https://fetch.spec.whatwg.org/#port-blocking
    const what = "has a port that HTTP clients do not connect to, since it belongs to another protocol";
    return unreachable(url, what, "check the port; a server that listens on it takes another one", error);
  }
  if (/HEADERS_OVERFLOW/.test(code)) return wrong(`the answer of ${url} has too long headers`, LOOK);
  if (/^(?:UND_ERR_SOCKET|ECONNRESET)$/.test(code) && (headers !== undefined || isKnown || hasBegun(cause))) {
    return cutOff(url, error);
  }
  if (/before secure TLS connection/.test(message)) {
    return unreachable(
      url,
      "closed the connection before TLS was agreed on",
      "write http:// where the server has no certificate, and check the port",
      error,
    );
  }
  if (code === "ECONNRESET") return wasReset(url, error);
  if (headers === undefined) return undefined;
  const encoding = headers.get("content-encoding");
  if (encoding !== null && /^(?:Z_|ERR__ERROR|ZSTD_)/.test(code)) {
    const header = `Content-Encoding: ${excerpt(encoding, MOST_HEADER)}`;
    const what = `the answer of ${url} has the header ${header}, but its bytes cannot be decoded so`;
    return wrong(what, "remove or correct the header where the server, or a proxy before it, sets it");
  }
  return /^HPE_/.test(code)
    ? wrong(`the answer of ${url} begins as HTTP and goes on with bytes that are not`, LOOK)
    : undefined;
}
