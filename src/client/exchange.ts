/** @file What went wrong with the answer of a server that listens: too late, cut off, wrongly encoded, or redirected without end. */
import { FaceError, systemCode } from "../base/errors.ts";
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

/** @param url the address as the user knows it. @returns undefined where no answer began, or the error says it all. */
export function exchangeFailure(url: string, error: unknown, exchange: Exchange): FaceError | undefined {
  const { headers, timeoutMs, isKnown = false } = exchange;
  const cause = causeOf(error);
  if (!(cause instanceof Error)) return undefined;
  const [code = "", { message, name }] = [systemCode(cause), cause];
  const unreachable = (what: string, hint: string) =>
    new FaceError("SERVER_UNREACHABLE", `${url} ${what}`, { hint, cause: error });
  const wrong = (what: string, hint: string) => new FaceError("SERVER_ERROR", what, { hint, cause: error });
  if (name === "TimeoutError") {
    const what = headers === undefined ? "did not answer" : "did not complete its answer";
    return unreachable(
      `${what} within ${timeoutMs / 1000} s`,
      `check the address, try again when the server is less busy, or ${LOOK}`,
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
  if (/HEADERS_OVERFLOW/.test(code)) return wrong(`the answer of ${url} has too long headers`, LOOK);
  if (/^(?:UND_ERR_SOCKET|ECONNRESET)$/.test(code) && (headers !== undefined || isKnown || hasBegun(cause))) {
    return unreachable("closed the connection before its answer was complete", `try again, or ${LOOK}`);
  }
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
