/** @file Errors as clients get them: a canonical code with its numbers, and a message without internals. */

import type { DuplicateKey } from "../artifact/json.ts";
import { type CanonicalStatus, FaceError } from "../base/errors.ts";

/** Every canonical code a server of TensorFlow's protocols may answer. */
export type StatusCode = CanonicalStatus | "OK" | "UNKNOWN" | "OUT_OF_RANGE";

interface StatusNumbers {
  /** The number on gRPC's wire and in `StatusProto`. */
  readonly grpc: number;
  readonly http: number;
}

/** Canonical code → its number in gRPC and the HTTP status that TensorFlow Serving answers for it. */
export const STATUS = {
  OK: { grpc: 0, http: 200 },
  CANCELLED: { grpc: 1, http: 499 },
  UNKNOWN: { grpc: 2, http: 500 },
  INVALID_ARGUMENT: { grpc: 3, http: 400 },
  DEADLINE_EXCEEDED: { grpc: 4, http: 504 },
  NOT_FOUND: { grpc: 5, http: 404 },
  ALREADY_EXISTS: { grpc: 6, http: 409 },
  PERMISSION_DENIED: { grpc: 7, http: 403 },
  RESOURCE_EXHAUSTED: { grpc: 8, http: 429 },
  FAILED_PRECONDITION: { grpc: 9, http: 400 },
  ABORTED: { grpc: 10, http: 409 },
  OUT_OF_RANGE: { grpc: 11, http: 400 },
  UNIMPLEMENTED: { grpc: 12, http: 501 },
  INTERNAL: { grpc: 13, http: 500 },
  UNAVAILABLE: { grpc: 14, http: 503 },
  DATA_LOSS: { grpc: 15, http: 500 },
  UNAUTHENTICATED: { grpc: 16, http: 401 },
} as const satisfies { readonly [C in StatusCode]: StatusNumbers };

/** Longest message, in characters: names that clients send, which messages repeat, may have any length. */
const MOST_CHARACTERS = 8192;

const shortened = (text: string) =>
  text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...TRUNCATED` : text;

/** An answer other than OK. Its message is part of the protocol and goes to the client as it is. */
export class StatusError extends Error {
  readonly status: StatusCode;
  /** What the server's owner can do about it, for the log alone. */
  readonly hint: string | undefined;

  constructor(status: StatusCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(shortened(message), options.cause === undefined ? {} : { cause: options.cause });
    this.name = "StatusError";
    this.status = status;
    this.hint = options.hint;
  }

  /** `CODE: message`, as TensorFlow prints a status inside another message. */
  get text(): string {
    return `${this.status}: ${this.message}`;
  }
}

/** A request that does not fit the contract. */
export function invalidArgument(message: string): StatusError {
  return new StatusError("INVALID_ARGUMENT", message);
}

/** A body whose meaning is open: which of two values counts is up to the reader of JSON. */
export const keyTwice = ({ key }: DuplicateKey): StatusError =>
  invalidArgument(`the body has the key ${JSON.stringify(key)} twice`);

/** Codes of ours whose messages speak only of what the client sent. */
export const CLIENT_CODES: ReadonlySet<string> = new Set([
  "SHAPE_MISMATCH",
  "IMAGE_UNREADABLE",
  "FACE_NOT_FOUND",
  "SEVERAL_FACES",
  "FACE_UNFIT",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
]);

/** Errors of V8 and Node for memory that is not there, or for more than they give at all. */
const NO_MEMORY =
  /allocation failed|invalid (?:array buffer |typed array |string |array )?(?:length|size)|out of memory|allocate memory|larger than 0x/i;

/** Whether memory was asked for that is not there. */
function isWithoutMemory(error: unknown): boolean {
  return error instanceof Error && !(error instanceof FaceError) && NO_MEMORY.test(error.message);
}

/**
 * Any failure as an answer to a client. Messages of ours that describe the request pass; everything else may name
 * files or internals, so the client gets a plain sentence and the log keeps the cause.
 */
export function toStatusError(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (error instanceof FaceError && CLIENT_CODES.has(error.code)) {
    return new StatusError(error.status, error.message, { cause: error });
  }
  if (error instanceof FaceError && error.status !== "INTERNAL") {
    return new StatusError(error.status, "The model could not answer; the server's log says why.", {
      cause: error,
    });
  }
  if (isWithoutMemory(error)) {
    return new StatusError("RESOURCE_EXHAUSTED", "The server has no memory for this request at present.", {
      cause: error,
    });
  }
  return new StatusError("INTERNAL", "Internal error; the server's log says why.", { cause: error });
}

/** The end of a message that a signature is not there: a model without any, which is a pack, reads whole photographs. */
export const photosInstead = (signatures: ReadonlyMap<string, unknown>): string =>
  signatures.size === 0 ? "; this model takes photographs, at :verify, :detect and :embed" : "";
