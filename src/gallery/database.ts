/** @file What a gallery asks of a database, and the errors of one. The room keeps people and the embeddings of their faces in
 * PGlite or PostgreSQL, with the same SQL; it knows nothing of images and models beyond a model's digest.
 */
import { FaceError, FULL_CODES, messageOf, SYSTEM_REASONS, systemCode } from "../base/errors.ts";

/** What can run SQL: a database, or a transaction of one. */
export interface Queries {
  /** Runs one statement; `$1` … take the values. */
  rows<T extends object>(sql: string, values?: readonly unknown[]): Promise<T[]>;
  /** Runs statements without values. */
  run(sql: string): Promise<void>;
}

/** A connection of its own. */
export interface Session extends Queries {
  /** Ends the statement that runs on it, if one does; that one fails. */
  cancel(): Promise<void>;
}

export interface Database extends Queries, AsyncDisposable {
  /** Where it is, without a password. */
  readonly address: string;
  /** Runs `work` in a transaction: all of it is kept, or nothing. */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /**
   * Runs `work` on a connection of its own, outside of any transaction; its settings and locks end with it. Absent where there is
   * one connection for all.
   */
  readonly session?: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
}

/** Whether an address names a PostgreSQL server; anything else is a folder. */
export const isServerAddress = (address: string): boolean => /^postgres(ql)?:\/\//i.test(address);

/** An address as it may be printed: its password and parameters are left out. */
export function printableAddress(address: string): string {
  // A password may hold any character, also where it should be percent-encoded: what stands before the last @ goes first.
  return isServerAddress(address) ? address.replace(/\/\/.*@/s, "//").replace(/\?.*$/s, "") : address;
}

/**
 * Runs the work of a transaction. A statement that failed has ended it, even if the work goes on: PostgreSQL then answers COMMIT
 * by taking everything back, without an error.
 * @throws what that statement failed with.
 */
export async function unlessFailed<T>(queries: Queries, work: (queries: Queries) => Promise<T>): Promise<T> {
  let failure: { readonly error: unknown } | undefined;
  const noted = async <R>(statement: Promise<R>): Promise<R> => {
    try {
      return await statement;
    } catch (error) {
      failure ??= { error };
      throw error;
    }
  };
  const result = await work({
    rows: (sql, values) => noted(queries.rows(sql, values)),
    run: (sql) => noted(queries.run(sql)),
  });
  if (failure !== undefined) throw failure.error;
  return result;
}

/** A transaction as a database, so that what works on one works within the other; a transaction in it is part of it. */
export function withinTransaction(address: string, queries: Queries): Database {
  return {
    address,
    rows: (sql, values) => queries.rows(sql, values),
    run: (sql) => queries.run(sql),
    transaction: (work) => work(queries),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** SQLSTATE (PostgreSQL manual, appendix A), or the system's code. */
const codeOf = (error: unknown) => systemCode(error) ?? "";

export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === "23505";
/** A row that another names is gone, or was never there. */
export const isMissingReference = (error: unknown): boolean => ["23502", "23503"].includes(codeOf(error));
/** A write to a database that takes none: a folder that cannot be written to, or a standby. */
const READ_ONLY = "25006";
export const isReadOnly = (error: unknown): boolean =>
  codeOf(error instanceof FaceError ? error.cause : error) === READ_ONLY;

/** A build by several processes that found too little memory for what they share (`/dev/shm`). */
export const isOutOfSharedMemory = (error: unknown): boolean =>
  /shared memory segment/.test(messageOf(error instanceof FaceError ? error.cause : error));

/** Classes of SQLSTATE: a connection broke, the server stops, no more connections. */
const UNREACHABLE = /^(08|57P|53300)/;
const DENIED = /^(28|3D000|42501)/;

/** Fills a new database before it is published. */
export type Fill = (database: Database) => Promise<void>;

/** How a database is opened. */
export interface OpenOptions {
  /** Makes what is missing, a folder too; a new folder's database is there for others once it is filled. */
  readonly fill?: Fill | undefined;
  /** Stops the making of a database in a folder, of which nothing is left then. */
  readonly signal?: AbortSignal | undefined;
}

/** A write that found no room, by the system's error. */
export function fullError(address: string, error: unknown): FaceError {
  const room = SYSTEM_REASONS[codeOf(error)]?.hint ?? "free some space";
  return new FaceError("DISK_FULL", `the gallery ${address} cannot be written: ${messageOf(error)}`, {
    hint: `${room}, and run the command again: what was acknowledged is kept`,
    cause: error,
  });
}

/** A database's failure in our words; errors of ours and mistakes in our SQL pass unchanged. */
export function databaseError(address: string, error: unknown): unknown {
  if (error instanceof FaceError) return error;
  const code = codeOf(error);
  const text = messageOf(error) || code;
  if (FULL_CODES.includes(code)) return fullError(address, error);
  if (code === "53100" || /No space left on device/i.test(text)) {
    return new FaceError("DISK_FULL", `the gallery ${address} cannot be written: the disk is full`, {
      hint: "free some space and run the command again: what was acknowledged is kept",
      cause: error,
    });
  }
  if (/extension "vector"|type "vector" does not exist/.test(text)) {
    return new FaceError("GALLERY_UNAVAILABLE", `${address} has no pgvector: ${text}`, {
      hint: "install pgvector on that server, or use an image that has it, such as pgvector/pgvector",
      cause: error,
    });
  }
  if (code === READ_ONLY) {
    return new FaceError("GALLERY_UNAVAILABLE", `the gallery ${address} can be read, but not written to`, {
      hint: "check the permissions of its folder, or name a server that takes writes",
      cause: error,
    });
  }
  // Class 22: texts with a null character, numbers and dates out of range.
  if (/^22\w{3}$/.test(code)) {
    return new FaceError("CONFIG_INVALID", `the gallery does not take a value: ${text}`, { cause: error });
  }
  return UNREACHABLE.test(code) || DENIED.test(code) ? connectionError(address, error) : error;
}

/** A database that cannot be reached, takes no more connections, refuses a user or hangs up, by the error that said so. */
export function connectionError(address: string, error: unknown): FaceError {
  const code = codeOf(error);
  const text = messageOf(error) || code;
  return new FaceError("GALLERY_UNAVAILABLE", `the database ${address} cannot be used: ${text}`, {
    hint:
      DENIED.test(code) || /password/.test(text)
        ? "check the user, the password and the database's name in the address"
        : /timeout exceeded when trying to connect/.test(text)
          ? "check that PostgreSQL is running there; if it is, this program's connections were all in use: try again"
          : "check the address, and that PostgreSQL is running there",
    cause: error,
  });
}
