/** @file Every failure a user or a client can meet: one catalogue of codes, one error class. */

/** The canonical status codes of gRPC that our failures map to. */
export type CanonicalStatus =
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "DEADLINE_EXCEEDED";

interface ErrorKind {
  /** What a server answers when this reaches it. */
  readonly status: CanonicalStatus;
  /** What the command exits with. */
  readonly exit: number;
  /** One sentence for docs/errors.md. */
  readonly meaning: string;
}

/** Code → server status, exit code and meaning. docs/errors.md lists the same codes; a test compares the two. */
export const ERRORS = {
  CONFIG_INVALID: {
    status: "INVALID_ARGUMENT",
    exit: 2,
    meaning: "A flag, variable or configuration value is unknown or out of range.",
  },
  DATASET_NOT_FOUND: {
    status: "NOT_FOUND",
    exit: 3,
    meaning: "The dataset's folder or module does not exist.",
  },
  DATASET_INVALID: {
    status: "INVALID_ARGUMENT",
    exit: 3,
    meaning: "The dataset exists but cannot be used: empty, wrong layout, no possible pairs.",
  },
  IMAGE_UNREADABLE: {
    status: "INVALID_ARGUMENT",
    exit: 3,
    meaning: "A file could not be decoded as an image.",
  },
  DOWNLOAD_FAILED: {
    status: "UNAVAILABLE",
    exit: 4,
    meaning: "A download was refused, cut off or did not match its checksum.",
  },
  ARCHIVE_INVALID: {
    status: "DATA_LOSS",
    exit: 4,
    meaning: "An archive is damaged or tries to write outside its folder.",
  },
  CHECKPOINT_INVALID: {
    status: "DATA_LOSS",
    exit: 5,
    meaning: "A checkpoint is missing, damaged or of another format.",
  },
  CHECKPOINT_MISMATCH: {
    status: "FAILED_PRECONDITION",
    exit: 5,
    meaning: "A checkpoint belongs to another network or configuration.",
  },
  TRAINING_DIVERGED: {
    status: "ABORTED",
    exit: 6,
    meaning: "The loss became NaN or infinite; the last good checkpoint was kept.",
  },
  INTERRUPTED: {
    status: "CANCELLED",
    exit: 130,
    meaning: "The user stopped the command; what was done so far is saved.",
  },
  DISK_FULL: {
    status: "RESOURCE_EXHAUSTED",
    exit: 7,
    meaning: "A file could not be written because the disk or quota is full.",
  },
  FILE_INVALID: {
    status: "INVALID_ARGUMENT",
    exit: 3,
    meaning: "A file is missing, unreadable, or not in the expected format.",
  },
  MODEL_NOT_FOUND: {
    status: "NOT_FOUND",
    exit: 8,
    meaning: "No model, or no such version of it, is at the given place.",
  },
  MODEL_INVALID: { status: "DATA_LOSS", exit: 8, meaning: "A model file is damaged or contradicts itself." },
  MODEL_UNSUPPORTED: {
    status: "UNIMPLEMENTED",
    exit: 8,
    meaning: "A model uses operations or features that faceid cannot run.",
  },
  PACK_UNKNOWN: { status: "NOT_FOUND", exit: 8, meaning: "No model pack of that name is in the catalogue." },
  PACK_MISSING: {
    status: "FAILED_PRECONDITION",
    exit: 8,
    meaning: "A model pack is not on this machine, and may not or cannot be fetched.",
  },
  PACK_INVALID: {
    status: "DATA_LOSS",
    exit: 8,
    meaning: "A file kept or given for a model pack is missing or not the one of the catalogue.",
  },
  SERVER_UNREACHABLE: { status: "UNAVAILABLE", exit: 9, meaning: "No server answers at the address." },
  SERVER_ERROR: { status: "UNAVAILABLE", exit: 9, meaning: "The server answered with an error." },
  PORT_IN_USE: { status: "UNAVAILABLE", exit: 10, meaning: "Another program listens on the port." },
  SHAPE_MISMATCH: {
    status: "INVALID_ARGUMENT",
    exit: 1,
    meaning: "A tensor's shape or type is not what the operation takes.",
  },
  INTERNAL: { status: "INTERNAL", exit: 70, meaning: "A mistake in faceid itself; please report it." },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** A failure with a code, what came and what was wanted, and what to do about it. */
export class FaceError extends Error {
  readonly code: ErrorCode;
  /** What the user can do, as an imperative; printed below the message. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "FaceError";
    this.code = code;
    this.hint = options.hint;
  }

  get status(): CanonicalStatus {
    return ERRORS[this.code].status;
  }

  get exitCode(): number {
    return ERRORS[this.code].exit;
  }
}

/** The system's code (`ENOENT`, `ENOSPC` …) of a failed file or socket call, if there is one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Any thrown value as one line of text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
