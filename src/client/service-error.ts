/** @file What a server with galleries says when it refuses, and the errors for one that is silent or is none. */
import { FaceError, messageOf, systemCode } from "../base/errors.ts";
import { excerpt, readText } from "./body.ts";
import { causeOf, type Exchange, exchangeFailure, reachHint } from "./exchange.ts";

/** Most bytes that are read of a refusal, and most characters of its message. */
export const MOST_REFUSAL_BYTES = 2 ** 18;
const MOST_MESSAGE = 8192;

/** A refusal or failure of the server. */
export class ServiceError extends FaceError {
  /** The HTTP status. */
  readonly httpStatus: number;
  /** The code that the server gave, such as `PERSON_NOT_FOUND`. */
  readonly serverCode: string;

  constructor(httpStatus: number, serverCode: string, message: string, hint: string | undefined) {
    super("SERVER_ERROR", message, hint === undefined ? {} : { hint });
    this.httpStatus = httpStatus;
    this.serverCode = serverCode;
  }
}

/** The command that serves a gallery at an address of this machine; the page, which reads this too, knows no folder. */
function galleryLine(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== "http:" || !/^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname)) return undefined;
  const address = `--bind_address 127.0.0.1 --rest_api_port ${port || 80} --port 0`;
  return `faceid serve --gallery NAME=FOLDER ${address}`;
}

/** Waits for a server. @throws FaceError `SERVER_UNREACHABLE` when it does not answer, or stops in the middle. */
export async function reading<T>(url: string, exchange: Exchange, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const cause = causeOf(error);
    throw (
      exchangeFailure(url, error, exchange) ??
      new FaceError("SERVER_UNREACHABLE", `no server answers at ${url}: ${messageOf(cause)}`, {
        hint: reachHint(systemCode(cause), galleryLine(url)),
        cause: error,
      })
    );
  }
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error for an answer that no gallery gives. @param got what came instead. */
export const unlike = ({ status }: Response, url: string, got: string): ServiceError =>
  new ServiceError(
    status,
    "UNKNOWN",
    `the answer of ${url} is not that of a gallery: status ${status}, ${got}`,
    "check that faceid serve --gallery runs at the address, and that no proxy answers in its place",
  );

const textOr = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** What a server says of a failure: ours in `error`, or any other text. */
export async function refusalOf(response: Response, url: string, timeoutMs: number): Promise<ServiceError> {
  const { status, statusText, headers } = response;
  const { text } = await reading(url, { timeoutMs, headers }, readText(response, MOST_REFUSAL_BYTES));
  const { error } = Object(parsed(text)) as { error?: unknown };
  if (typeof error === "string")
    return new ServiceError(status, "UNKNOWN", excerpt(error, MOST_MESSAGE), undefined);
  const { code, message, hint } = Object(error) as Record<string, unknown>;
  const said = textOr(message);
  if (said !== undefined) {
    return new ServiceError(status, textOr(code) ?? "UNKNOWN", excerpt(said, MOST_MESSAGE), textOr(hint));
  }
  return new ServiceError(status, "UNKNOWN", `the server answered ${status} ${statusText}`.trim(), undefined);
}
