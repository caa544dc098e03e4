/** @file The error class, the catalogue of its codes, and what errors of the operating system mean. */

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
  | "DEADLINE_EXCEEDED"
  | "PERMISSION_DENIED"
  | "UNAUTHENTICATED";

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
  FACE_NOT_FOUND: kind(
    "INVALID_ARGUMENT",
    11,
    "A photograph shows no face that the detector is sure of, or a picture that was given as a face's crop is of one colour.",
  ),
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
  UNAUTHENTICATED: kind(
    "UNAUTHENTICATED",
    9,
    "A server wants an API key and got none, or one that is unknown, revoked or expired.",
  ),
  PERMISSION_DENIED: kind("PERMISSION_DENIED", 9, "An API key does not allow what was asked with it."),
  PORT_IN_USE: kind("UNAVAILABLE", 10, "Another program listens on the port."),
  PLATFORM_UNSUPPORTED: kind(
    "FAILED_PRECONDITION",
    12,
    "This version of Node, this system or this installation cannot run faceid.",
  ),
  GALLERY_NOT_FOUND: kind("NOT_FOUND", 13, "No gallery of that name is at the given address."),
  GALLERY_INVALID: kind(
    "FAILED_PRECONDITION",
    13,
    "A gallery's folder or tables are damaged, belong to something else, or were made by a newer faceid.",
  ),
  GALLERY_MISMATCH: kind(
    "FAILED_PRECONDITION",
    13,
    "A gallery holds embeddings of another model, which cannot be compared with this one's.",
  ),
  GALLERY_UNAVAILABLE: kind(
    "UNAVAILABLE",
    13,
    "A gallery's database cannot be reached, or another process has its folder open.",
  ),
  PERSON_NOT_FOUND: kind("NOT_FOUND", 13, "The gallery has no such person or face."),
  PERSON_EXISTS: kind("ALREADY_EXISTS", 13, "The gallery has a person of that name already."),
  PERSON_CHANGED: kind("ABORTED", 13, "A person was changed by somebody else since it was read."),
  SHAPE_MISMATCH: kind(
    "INVALID_ARGUMENT",
    1,
    "A tensor's shape, type or values are not what the operation takes.",
  ),
  INTERNAL: kind("INTERNAL", 70, "A mistake in faceid itself; please report it."),
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** A failure with a code, what came and what was wanted, and what to do about it. */
export class FaceError extends Error {
  readonly code: ErrorCode;
  /** What the user can do, as an imperative; printed below the message. */
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
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

/**
 * What two pieces of work give that run side by side; both are waited for.
 * @throws the error of the first, else of the second; where each has a FaceError of its own, one with the first's code and the
 *   messages and hints of both.
 */
export async function bothOf<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  const ended = await Promise.allSettled([first, second]);
  const [a, b] = ended.map((each) => (each.status === "rejected" ? (each.reason as unknown) : undefined));
  if (a instanceof FaceError && b instanceof FaceError && a.message !== b.message) {
    const hints = [...new Set([a.hint, b.hint])].filter((hint) => hint !== undefined);
    throw new FaceError(a.code, `${a.message}; ${b.message}`, {
      ...(hints.length > 0 && { hint: hints.join("; ") }),
      cause: a,
    });
  }
  return [await first, await second];
}

/** The system's code (`ENOENT`, `ENOSPC` …) of a failed file or socket call, if there is one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** A code in words: what is wrong, and what to do. */
interface SystemReason {
  readonly words: string;
  readonly hint: string;
}

const reason = (words: string, hint: string): SystemReason => ({ words, hint });

const PERMISSION = "check who owns it and its permissions, or choose another place";
const NETWORK = "check the address, the network and the proxy, then try again";
const FULL = "free some space or choose another folder";
const OPEN_FILES = "close other programs, or raise the limit (ulimit -n)";

/** Codes that reach users, of files and of sockets. */
export const SYSTEM_REASONS: Readonly<Record<string, SystemReason>> = {
  ENOENT: reason("there is no such file or folder", "check the path"),
  EACCES: reason("permission is denied", PERMISSION),
  EPERM: reason("the operation is not permitted", PERMISSION),
  EROFS: reason("the file system is read-only", "choose another place"),
  EISDIR: reason("it is a folder, a file is wanted", "name a file"),
  EFTYPE: reason(
    "it is a pipe or a device, a regular file is wanted",
    "write its content to a file and name that; pipes, devices and <(…) are not read",
  ),
  ENOTDIR: reason("a part of the path is a file, a folder is wanted", "check the path"),
  EEXIST: reason("it exists already", "choose another name, or remove it first"),
  ENOTEMPTY: reason("the folder is not empty", "choose another folder, or empty it first"),
  ENAMETOOLONG: reason("the path is too long", "choose a shorter name"),
  ELOOP: reason("the symbolic links form a loop", "repair the links"),
  EINVAL: reason("the system refuses the path or the operation", "check the path"),
  EXDEV: reason("the two places are on different file systems", "choose folders on one file system"),
  EBUSY: reason("another program uses it", "close that program, then try again"),
  ETXTBSY: reason("another program uses it", "close that program, then try again"),
  EIO: reason("the disk or the network drive failed", "check the disk and the connection to it"),
  ENOSPC: reason("no space is left on the disk", FULL),
  EDQUOT: reason("the disk quota is used up", FULL),
  EFBIG: reason(
    "the file would be larger than is allowed",
    "raise the limit on the size of files (ulimit -f), or choose another folder",
  ),
  EMFILE: reason("too many files are open in this process", OPEN_FILES),
  ENFILE: reason("too many files are open on this machine", OPEN_FILES),
  ENOMEM: reason("no memory is left", "close other programs, or use a machine with more memory"),
  EADDRINUSE: reason("another program listens on it", "stop that program, or choose another port"),
  EADDRNOTAVAIL: reason("this machine does not have that address", "choose an address of this machine"),
  ECONNREFUSED: reason("the connection was refused", "check that the server runs and that the port is right"),
  ECONNRESET: reason("the connection was closed by the other side", "try again"),
  ENOTFOUND: reason("the host name is unknown", "check the host's name and the network"),
  EAI_AGAIN: reason("the host name could not be looked up", NETWORK),
  ETIMEDOUT: reason("no answer came in time", NETWORK),
  EHOSTUNREACH: reason("the host cannot be reached", NETWORK),
  ENETUNREACH: reason("the network cannot be reached", NETWORK),
  EPIPE: reason("the reader closed the connection", "try again"),
};

/** Codes of a disk that takes no more. */
export const FULL_CODES: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/** The system's error in words, `EISDIR, it is a folder, a file is wanted`; undefined for any other error. */
function systemReason(error: unknown): string | undefined {
  const found = systemCode(error);
  // A folder that is made with those above it may exist; where it may not, a file has its name.
  const isMade = error instanceof Error && "syscall" in error && error.syscall === "mkdir";
  const code = found === "EEXIST" && isMade ? "ENOTDIR" : found;
  const known = code === undefined ? undefined : SYSTEM_REASONS[code];
  // Only some systems have EFTYPE; elsewhere the code is ours and tells nothing.
  return known && (code === "EFTYPE" ? known.words : `${code}, ${known.words}`);
}

export const CUT_OFF = "the file is cut off";
export const DAMAGED = "its bytes are damaged";
export const SCANS_MISSING = "some of its scans are missing";
export const UNUSUAL_JPEG = "it is a kind of JPEG that is not read, such as one of 12 bits a colour";
export const UNKNOWN_REASON = "the reason is not known";

/** What the messages of libraries mean, the first that fits. Their own words stay in the error's cause. */
const LIBRARY_REASONS: readonly (readonly [pattern: RegExp, words: string])[] = [
  // The reader of protocol buffers.
  [/^premature EOF|^index out of range|^(?:Offset|offset).*(?:bounds|range)/, CUT_OFF],
  [
    /^(?:illegal tag|invalid (?:wire type|end group|varint)|cant skip|cannot skip|parse .* failed|The encoded data was not valid)/,
    DAMAGED,
  ],
  // libvips and the decoders below it.
  [/exceeds pixel limit|Maximum supported image dimension/, "it has too many pixels"],
  // The second are sharp's words where those of libvips are lost.
  [/Corrupt JPEG data|^Warning treated as error/, DAMAGED],
  [/Unsupported (?:JPEG data precision|marker type)/, UNUSUAL_JPEG],
  [/premature end|unexpected end of|bad seek|missing SOS|not enough (?:data|image)|remaining data/i, CUT_OFF],
  [/^(?:Vips\w*|vips\w*|Input buffer|webp\w*|gifload\w*|tiff\w*|heif\w*|lib\w+|\w+2vips)\b.*[: ]/, DAMAGED],
  // Archives.
  [
    /end of central directory|unexpected end of file|invalid (?:stored block|distance|code lengths)|incorrect (?:header|data) check/i,
    CUT_OFF,
  ],
  // PGlite, and WebAssembly that ends.
  [
    /^PGlite failed|^Aborted\(|^memory access out of bounds|^unreachable$|^table index is out/,
    "the database's files are damaged",
  ],
  // OpenSSL.
  [/wrong version number|packet length too long/, "no TLS is spoken there"],
  [/PEM routines|no start line|^error:[0-9A-F]{8}/, "it is not in PEM form"],
  [/^unknown error\.?$/i, UNKNOWN_REASON],
];

/** Any thrown value as text; the errors of the system and of libraries in words. */
export function messageOf(error: unknown): string {
  const system = systemReason(error);
  if (system !== undefined) return system;
  if (!(error instanceof Error)) return String(error);
  if (error instanceof FaceError) return error.message;
  return LIBRARY_REASONS.find(([pattern]) => pattern.test(error.message))?.[1] ?? error.message;
}

/** What a call of the system was about: `/data/a.jpg`, `port 8501`, `example.org`. */
function subjectOf(error: Error): string {
  const { path, dest, port, hostname, syscall } = error as Error & Record<string, unknown>;
  const place = dest ?? path ?? (port === undefined ? hostname : `port ${port}`);
  return String(place ?? syscall ?? "the system");
}

/** Any thrown value as our error where it is one, or an error of the system; undefined for anything else. */
export function asFaceError(error: unknown): FaceError | undefined {
  if (error instanceof FaceError) return error;
  const [code, text] = [systemCode(error), systemReason(error)];
  if (!(error instanceof Error) || code === undefined || text === undefined) return undefined;
  const ours = FULL_CODES.includes(code)
    ? "DISK_FULL"
    : code === "EADDRINUSE"
      ? "PORT_IN_USE"
      : "FILE_INVALID";
  const { hint } = SYSTEM_REASONS[code]!;
  return new FaceError(ours, `${subjectOf(error)}: ${text}`, { hint, cause: error });
}

/** Single-letter insertions, deletions, substitutions and swaps of neighbours between two texts (Damerau, 1964). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? before[j - 2]! + 1 : substituted;
      next.push(Math.min(substituted, row[j]! + 1, next[j - 1]! + 1, swapped));
    }
    [before, row] = [row, next];
  }
  return row[b.length]!;
}

/** The known name with the fewest edits, if at most one letter in `tolerance` differs. */
export function nearestName(name: string, known: readonly string[], tolerance = 3): string | undefined {
  const [nearest] = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ distance }) => distance <= name.length / tolerance)
    .toSorted((a, b) => a.distance - b.distance);
  return nearest?.candidate;
}

/** `, did you mean dataset?`, or nothing where no known name is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? "" : `, did you mean ${nearest}?`;
}
