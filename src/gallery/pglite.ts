/** @file PGlite with pgvector in a folder as a gallery's database; the only door to both packages. */
import { closeSync, existsSync } from "node:fs";
import {
  access,
  chmod,
  constants,
  copyFile,
  mkdtemp,
  readdir,
  rm,
  rmdir,
  stat,
  statfs,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";
import { vector } from "@electric-sql/pglite-pgvector";
import { FaceError, FULL_CODES, messageOf, systemCode } from "../base/errors.ts";
import { makeFolder, publishFolder, TEMPORARY_FILE } from "../base/files.ts";
import { bytesText } from "../base/log.ts";
import { WorkerClient } from "../base/worker-client.ts";
import {
  type Database,
  databaseError,
  type Fill,
  fullError,
  type OpenOptions,
  type Queries,
  unlessFailed,
} from "./database.ts";
import { FolderLock } from "./folder-lock.ts";
import type { NewDatabaseCalls } from "./new-database-worker.ts";
import { migrate } from "./schema.ts";

/** The part of a folder that belongs to PGlite. */
const DATA = "database";

/**
 * PGlite does not come back from a write that fails for want of space, so a write is refused before: this covers a segment of
 * the write-ahead log (16 MB), the next one that it prepares, and a large photograph in both log and table.
 */
const LEAST_FREE = 128e6;

/** @throws FaceError `DISK_FULL` */
async function requireSpace(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= LEAST_FREE) return;
  const free = bytesText(bavail * bsize);
  throw new FaceError(
    "DISK_FULL",
    `the gallery ${folder} is not written to: ${free} are free on its disk, ${bytesText(LEAST_FREE)} are wanted`,
    { hint: "free some space and run the command again: what was acknowledged is kept" },
  );
}

type Write = (stream: unknown, buffer: Int8Array, offset: number, length: number, position: number) => number;

/** The parts of Emscripten's file system for Node through which it calls the system. */
interface SystemCalls {
  tryFSOperation<T>(work: () => T): T;
  readonly stream_ops: { write: Write };
}

/** Emscripten's files: those of the system have its descriptor. */
interface EngineFiles {
  readonly filesystems: { readonly NODEFS: SystemCalls };
  readonly streams: readonly ({ readonly nfd?: number } | null | undefined)[];
}

/** Passes through the engine, which knows errors of the system by their codes. */
class NoRoom extends Error {}

const refuse = () => {
  throw new NoRoom();
};

/** Functions of the engine that PGlite calls for each message. PGlite swallows errors and calls again, except for the last two. */
const STEPS_OF_ENGINE = ["_PostgresMainLoopOnce", "_PostgresSendReadyForQueryIfNecessary", "stackRestore"];

/**
 * A folder whose first write that finds no room ends the engine there, as a power cut would: PostgreSQL would try again for ever, or
 * say that its files are damaged. What was committed is in its log, from which the next opening restores it.
 */
class WatchedFolder extends NodeFS {
  /** The system's error of that write. */
  full: unknown;
  #stop = () => {};
  #files: EngineFiles | undefined;

  override async init(...[pglite, options]: Parameters<NodeFS["init"]>): ReturnType<NodeFS["init"]> {
    const { emscriptenOpts } = await super.init(pglite, options);
    const watch = (engine: { readonly FS: unknown }) => {
      this.#files = engine.FS as EngineFiles;
      this.#watch(this.#files.filesystems.NODEFS);
      this.#stop = () =>
        Object.assign(engine, Object.fromEntries(STEPS_OF_ENGINE.map((step) => [step, refuse])));
    };
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), watch] } };
  }

  /** Closes the files that the engine has left open when it ended. */
  abandon(): void {
    const descriptors = (this.#files?.streams ?? []).map((stream) => stream?.nfd);
    // Streams that were duplicated share one.
    for (const each of new Set(descriptors)) if (typeof each === "number") closeSync(each);
    this.#files = undefined;
  }

  #watch(calls: SystemCalls): void {
    const attempt = calls.tryFSOperation.bind(calls);
    calls.tryFSOperation = (work) => {
      // Not the error number that PostgreSQL would make something of; nor does it go on after it.
      if (this.full !== undefined) throw new NoRoom();
      try {
        return attempt(() => this.#noting(work));
      } catch (error) {
        throw this.full === undefined ? error : new NoRoom();
      }
    };
    const { write } = calls.stream_ops;
    // The system writes what has room before it refuses the rest, and nobody else looks how much that was.
    calls.stream_ops.write = (stream, buffer, offset, length, position) => {
      let done = 0;
      while (done < length) done += write(stream, buffer, offset + done, length - done, position + done);
      return done;
    };
  }

  #noting<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (FULL_CODES.includes(systemCode(error) ?? "")) {
        this.full = error;
        this.#stop();
      }
      throw error;
    }
  }
}

/** An engine and the folder that it writes to. */
interface Engine {
  readonly pglite: PGlite;
  readonly files: WatchedFolder;
}

/** How an engine starts on a folder, and starts anew there. */
type StartEngine = () => Promise<Engine>;

/** @param address how the gallery is called in errors. */
async function startEngine(address: string, data: string): Promise<Engine> {
  const files = new WatchedFolder(data);
  try {
    return { pglite: await PGlite.create({ fs: files, extensions: { vector } }), files };
  } catch (error) {
    if (files.full !== undefined) files.abandon();
    throw openFailure(address, files.full === undefined ? error : fullError(address, files.full));
  }
}

/** Makes an empty database. @throws FaceError as an opening does. */
export async function makeEmpty(address: string, data: string): Promise<void> {
  const { pglite } = await startEngine(address, data);
  await pglite.close();
}

const requireGoing = (address: string, signal: AbortSignal | undefined) => {
  if (signal?.aborted === true)
    throw new FaceError("INTERRUPTED", `making the gallery ${address} was stopped`);
};

/** The same in a thread that the signal ends at once. @throws FaceError `INTERRUPTED` on the signal. */
async function makeEmptyUnless(signal: AbortSignal, address: string, data: string): Promise<void> {
  requireGoing(address, signal);
  const thread = new WorkerClient<NewDatabaseCalls>(import.meta.url, "new-database-worker", undefined, {
    label: "the thread that makes a gallery",
  });
  const stop = () => void thread.terminate();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await thread.call("makeEmpty", [address, data]);
    await thread.close();
  } catch (error) {
    await thread.terminate();
    requireGoing(address, signal);
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Statements of a transaction between two looks at the free space. */
const STATEMENTS_BETWEEN = 64;

type Runner = Pick<PGlite, "query" | "exec">;

function queriesOf(runner: Runner): Queries {
  return {
    rows: async <T extends object>(sql: string, values: readonly unknown[] = []) =>
      (await runner.query<T>(sql, [...values])).rows,
    run: async (sql) => {
      await runner.exec(sql);
    },
  };
}

/** The same, which look at the free space once in a while: a long transaction writes much before its end. */
function spacedQueries(folder: string, queries: Queries): Queries {
  let count = 0;
  const spaced = async () => {
    if (++count % STATEMENTS_BETWEEN === 0) await requireSpace(folder);
  };
  return {
    rows: async (sql, values) => {
      await spaced();
      return await queries.rows(sql, values);
    },
    run: async (sql) => {
      await spaced();
      await queries.run(sql);
    },
  };
}

/** Between two attempts to start an engine anew, which reads its whole log. */
const RESTART_MS = 5000;

class PgliteDatabase implements Database {
  readonly address: string;
  readonly #folder: string;
  readonly #start: StartEngine;
  readonly #free: () => Promise<void>;
  #engine: Engine;
  #restarting: Promise<Engine> | undefined;
  #nextRestartMs = 0;

  /**
   * @param address how the folder was called.
   * @param folder where the files are.
   * @param start starts an engine on the folder, and another one where the first found no room and there is room again.
   * @param free called when it is closed.
   */
  static async open(
    address: string,
    folder: string,
    start: StartEngine,
    free: () => Promise<void>,
  ): Promise<PgliteDatabase> {
    return new PgliteDatabase(address, folder, { start, free, engine: await start() });
  }

  private constructor(
    address: string,
    folder: string,
    { start, free, engine }: { start: StartEngine; free: () => Promise<void>; engine: Engine },
  ) {
    this.address = address;
    this.#folder = folder;
    this.#start = start;
    this.#free = free;
    this.#engine = engine;
  }

  async rows<T extends object>(sql: string, values?: readonly unknown[]): Promise<T[]> {
    return await this.#guarded(({ pglite }) => queriesOf(pglite).rows<T>(sql, values));
  }

  async run(sql: string): Promise<void> {
    await this.#guarded(({ pglite }) => queriesOf(pglite).run(sql));
  }

  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    await requireSpace(this.#folder);
    return await this.#guarded(({ pglite }) =>
      pglite.transaction((runner) => unlessFailed(spacedQueries(this.#folder, queriesOf(runner)), work)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // Closing writes; what an engine without room has in memory is in its log, or was not acknowledged.
      await this.#restarting?.catch(() => undefined);
      const { files } = this.#engine;
      if (files.full === undefined) await this.#guarded(({ pglite }) => pglite.close());
      else files.abandon();
    } finally {
      await this.#free();
    }
  }

  async #guarded<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = await this.#running();
    try {
      return await work(engine);
    } catch (error) {
      const { full } = engine.files;
      throw full === undefined ? databaseError(this.address, error) : fullError(this.address, full);
    }
  }

  /** The engine; another one where it has ended and there is room again. */
  async #running(): Promise<Engine> {
    const { full } = this.#engine.files;
    if (full === undefined) return this.#engine;
    if (this.#restarting === undefined) {
      if (Date.now() < this.#nextRestartMs) throw fullError(this.address, full);
      this.#restarting = this.#restart().finally(() => {
        this.#restarting = undefined;
      });
    }
    return await this.#restarting;
  }

  async #restart(): Promise<Engine> {
    await requireSpace(this.#folder);
    this.#nextRestartMs = Date.now() + RESTART_MS;
    this.#engine.files.abandon();
    this.#engine = await this.#start();
    return this.#engine;
  }
}

const notFound = (folder: string) =>
  new FaceError("GALLERY_NOT_FOUND", `there is no gallery in ${folder}`, {
    hint: "faceid gallery create makes one; faceid gallery enrol FOLDER fills it from a folder of people",
  });

/** A new database that a process which was killed did not finish. */
const isUnfinished = (name: string) => TEMPORARY_FILE.test(name);

/**
 * Checks the folder, or makes it; one that holds other files is not ours to fill.
 * @returns whether there is no gallery yet, and the folders that were made for one, the innermost last.
 */
async function claimFolder(folder: string, create: boolean): Promise<{ isNew: boolean; made: string[] }> {
  try {
    const made = create ? await makeFolder(folder) : [];
    const names = await readdir(folder);
    if (names.includes(DATA)) return { isNew: false, made };
    if (names.every((name) => FolderLock.owns(name) || isUnfinished(name))) {
      if (create) return { isNew: true, made };
      throw notFound(folder);
    }
  } catch (error) {
    if (error instanceof FaceError) throw error;
    if (systemCode(error) === "ENOENT" && !create) throw notFound(folder);
    if (FULL_CODES.includes(systemCode(error) ?? "")) throw fullError(folder, error);
    const reason = systemCode(error) === "EEXIST" ? "it is a file, not a folder" : messageOf(error);
    throw new FaceError("GALLERY_UNAVAILABLE", `the gallery ${folder} cannot be opened: ${reason}`, {
      hint: "name a folder that may be written to",
      cause: error,
    });
  }
  throw new FaceError("GALLERY_INVALID", `${folder} holds other files and no gallery`, {
    hint: "name an empty folder or one that does not exist yet",
  });
}

/** What every database of PostgreSQL has; where it is missing, PGlite would make a new database over the files that are there. */
const VERSION_FILE = "PG_VERSION";

/** @throws FaceError `GALLERY_INVALID` for a database of which a part is there, such as a copy that was stopped. */
async function requireDatabase(folder: string): Promise<void> {
  const path = join(folder, DATA, VERSION_FILE);
  const about = await stat(path).catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw openFailure(folder, error);
  });
  if (about?.isFile() === true) return;
  throw new FaceError("GALLERY_INVALID", `the gallery ${folder} is incomplete: there is no file ${path}`, {
    hint: "restore the folder from a copy, or enrol into a new one",
  });
}

/** Any permission to write. */
const WRITABLE = 0o222;
/** Permissions of a copied file. The folder around the copy is open to its owner alone. */
const OWN_FILE = 0o600;

/**
 * Whether a gallery cannot be written to; undefined where it can. PGlite keeps to the permissions even for a user who need not,
 * such as root.
 */
async function readOnlyReason(folder: string): Promise<string | undefined> {
  try {
    for (const path of [folder, join(folder, DATA)].filter(existsSync)) {
      await access(path, constants.W_OK);
      if (((await stat(path)).mode & WRITABLE) === 0) return "its permissions allow nobody to write";
    }
    return undefined;
  } catch (error) {
    return ["EROFS", "EACCES", "EPERM"].includes(systemCode(error) ?? "") ? messageOf(error) : undefined;
  }
}

const openFailure = (folder: string, error: unknown) => {
  const known = databaseError(folder, error);
  if (known instanceof FaceError) return known;
  return new FaceError("GALLERY_INVALID", `the gallery ${folder} cannot be opened: ${messageOf(error)}`, {
    hint: "restore the folder from a copy, or enrol into a new one",
    cause: error,
  });
};

/** Copies a folder; the copies may be written to, whatever the permissions of the originals. */
async function copyWritable(from: string, to: string): Promise<void> {
  await makeFolder(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      await copyWritable(source, target);
    } else {
      await copyFile(source, target);
      await chmod(target, OWN_FILE);
    }
  }
}

/** PGlite writes when it opens a folder, so one that is read-only is copied, and the copy takes no changes. */
async function openCopy(folder: string): Promise<Database> {
  await FolderLock.requireFree(folder);
  const copy = await mkdtemp(join(tmpdir(), "faceid-gallery-"));
  const free = () => rm(copy, { recursive: true, force: true });
  try {
    await copyWritable(join(folder, DATA), copy);
    let settings = "";
    const start = async () => {
      const engine = await startEngine(folder, copy);
      await engine.pglite.exec(settings);
      return engine;
    };
    const database = await PgliteDatabase.open(folder, copy, start, free);
    await migrate(database);
    settings = "SET default_transaction_read_only = on";
    await database.run(settings);
    return database;
  } catch (error) {
    await free();
    throw openFailure(folder, error);
  }
}

/** Makes a database under another name and renames it, so that a folder has a whole gallery or none. */
async function makeDatabase(folder: string, fill: Fill, signal: AbortSignal | undefined): Promise<void> {
  await publishFolder(join(folder, DATA), async (temporary) => {
    if (signal !== undefined) await makeEmptyUnless(signal, folder, temporary);
    const start = () => startEngine(folder, temporary);
    await using database = await PgliteDatabase.open(folder, temporary, start, async () => {});
    await fill(database);
    requireGoing(folder, signal);
  });
}

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of (await readdir(folder)).filter(isUnfinished)) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Opens a folder, which no other process may have open; see `openDatabase`. */
export async function openPglite(folder: string, { fill, signal }: OpenOptions): Promise<Database> {
  const { isNew, made } = await claimFolder(folder, fill !== undefined);
  try {
    if (!isNew) await requireDatabase(folder);
    return await openClaimed(folder, isNew, { fill, signal });
  } catch (error) {
    // A folder that another process has begun to use stays.
    for (const each of made.toReversed()) await rmdir(each).catch(() => undefined);
    throw error;
  }
}

async function openClaimed(folder: string, isNew: boolean, { fill, signal }: OpenOptions): Promise<Database> {
  const reason = await readOnlyReason(folder);
  if (reason !== undefined && fill === undefined) return await openCopy(folder);
  if (reason !== undefined) {
    throw new FaceError("GALLERY_UNAVAILABLE", `the gallery ${folder} cannot be written to: ${reason}`, {
      hint: "choose another folder, or check who owns it and its permissions",
    });
  }
  if (fill !== undefined) await requireSpace(folder);
  const lock = await FolderLock.acquire(folder);
  try {
    const data = join(folder, DATA);
    if (isNew && fill !== undefined) {
      await removeUnfinished(folder);
      // Another process may have made it meanwhile.
      if (!(await readdir(folder)).includes(DATA)) await makeDatabase(folder, fill, signal);
    }
    const start = () => startEngine(folder, data);
    return await PgliteDatabase.open(folder, folder, start, () => lock.release());
  } catch (error) {
    await lock.release();
    throw openFailure(folder, error);
  }
}
