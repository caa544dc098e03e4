/** @file The error class and the catalogue of its codes, with server status and exit code of each. */

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

const kind = (status: CanonicalStatus, exit: number, meaning: string): ErrorKind => ({
  status,
  exit,
  meaning,
});

/** Code → server status, exit code and meaning. docs/errors.md lists the same codes; a test compares the two. */
export const ERRORS = {
  CONFIG_INVALID: kind(
    "INVALID_ARGUMENT",
    2,
    "A flag, variable or configuration value is unknown or out of range.",
  ),
  DATASET_NOT_FOUND: kind("NOT_FOUND", 3, "The dataset's folder or module does not exist."),
  DATASET_INVALID: kind(
    "INVALID_ARGUMENT",
    3,
    "The dataset exists but cannot be used: empty, wrong layout, no possible pairs.",
  ),
  IMAGE_UNREADABLE: kind("INVALID_ARGUMENT", 3, "A file could not be decoded as an image."),
  FACE_NOT_FOUND: kind("INVALID_ARGUMENT", 11, "A photograph shows no face that the detector is sure of."),
  SEVERAL_FACES: kind("INVALID_ARGUMENT", 11, "A photograph shows several faces where only one was wanted."),
  FACE_UNFIT: kind(
    "INVALID_ARGUMENT",
    11,
    "A face is too small, cut off, turned away, blurred or badly lit to be compared.",
  ),
  DOWNLOAD_FAILED: kind("UNAVAILABLE", 4, "A download was refused, cut off or did not match its checksum."),
  ARCHIVE_INVALID: kind("DATA_LOSS", 4, "An archive is damaged or tries to write outside its folder."),
  CHECKPOINT_INVALID: kind("DATA_LOSS", 5, "A checkpoint is missing, damaged or of another format."),
  CHECKPOINT_MISMATCH: kind(
    "FAILED_PRECONDITION",
    5,
    "A checkpoint belongs to another network or configuration.",
  ),
  TRAINING_DIVERGED: kind(
    "ABORTED",
    6,
    "The loss became NaN or infinite; the last good checkpoint was kept.",
  ),
  INTERRUPTED: kind("CANCELLED", 130, "The user stopped the command; what was done so far is saved."),
  DISK_FULL: kind("RESOURCE_EXHAUSTED", 7, "A file could not be written because the disk or quota is full."),
  FILE_INVALID: kind("INVALID_ARGUMENT", 3, "A file is missing, unreadable, or not in the expected format."),
  MODEL_NOT_FOUND: kind("NOT_FOUND", 8, "No model, or no such version of it, is at the given place."),
  MODEL_INVALID: kind("DATA_LOSS", 8, "A model file is damaged or contradicts itself."),
  MODEL_UNSUPPORTED: kind("UNIMPLEMENTED", 8, "A model uses operations or features that faceid cannot run."),
  PACK_UNKNOWN: kind("NOT_FOUND", 8, "No model pack of that name is in the catalogue."),
  PACK_MISSING: kind(
    "FAILED_PRECONDITION",
    8,
    "A model pack is not on this machine, and may not or cannot be fetched.",
  ),
  PACK_INVALID: kind(
    "DATA_LOSS",
    8,
    "A file kept or given for a model pack is missing or not the one of the catalogue.",
  ),
  SERVER_UNREACHABLE: kind("UNAVAILABLE", 9, "No server answers at the address."),
  SERVER_ERROR: kind("UNAVAILABLE", 9, "The server answered with an error."),
  PORT_IN_USE: kind("UNAVAILABLE", 10, "Another program listens on the port."),
  GALLERY_NOT_FOUND: kind("NOT_FOUND", 12, "No gallery of that name is at the given address."),
  GALLERY_INVALID: kind(
    "FAILED_PRECONDITION",
    12,
    "A gallery's folder or tables are damaged, belong to something else, or were made by a newer faceid.",
  ),
  GALLERY_MISMATCH: kind(
    "FAILED_PRECONDITION",
    12,
    "A gallery holds embeddings of another model, which cannot be compared with this one's.",
  ),
  GALLERY_UNAVAILABLE: kind(
    "UNAVAILABLE",
    12,
    "A gallery's database cannot be reached, or another process has its folder open.",
  ),
  PERSON_NOT_FOUND: kind("NOT_FOUND", 12, "The gallery has no such person or face."),
  PERSON_EXISTS: kind("ALREADY_EXISTS", 12, "The gallery has a person of that name already."),
  PERSON_CHANGED: kind("ABORTED", 12, "A person was changed by somebody else since it was read."),
  SHAPE_MISMATCH: kind("INVALID_ARGUMENT", 1, "A tensor's shape or type is not what the operation takes."),
  INTERNAL: kind("INTERNAL", 70, "A mistake in faceid itself; please report it."),
} as const;

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
