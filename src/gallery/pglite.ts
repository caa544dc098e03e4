/** @file PGlite with pgvector in a folder as a gallery's database; the only door to both packages. */
import { access, constants, cp, mkdtemp, readdir, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { FaceError, messageOf, systemCode } from "../base/errors.ts";
import { makeFolder } from "../base/files.ts";
import { type Database, databaseError, type Queries } from "./database.ts";
import { FolderLock } from "./folder-lock.ts";
import { migrate } from "./schema.ts";

/** The part of a folder that belongs to PGlite. */
const DATA = "database";

/**
 * PGlite does not come back from a write that fails for want of space, so a write is refused before: this covers a segment of
 * the write-ahead log (16 MB), the next one that it prepares, and a large photograph in both log and table.
 */
const LEAST_FREE = 128 * 2 ** 20;

/** @throws FaceError `DISK_FULL` */
async function requireSpace(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= LEAST_FREE) return;
  const free = Math.floor((bavail * bsize) / 2 ** 20);
  throw new FaceError(
    "DISK_FULL",
    `the gallery ${folder} is not written to: ${free} MB are free on its disk, ${LEAST_FREE / 2 ** 20} MB are wanted`,
    { hint: "free some space and run the command again: what was acknowledged is kept" },
  );
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

class PgliteDatabase implements Database {
  readonly address: string;
  readonly #folder: string;
  readonly #pglite: PGlite;
  readonly #queries: Queries;
  readonly #free: () => Promise<void>;

  /**
   * @param address how the folder was called.
   * @param folder where the files are.
   * @param free called when it is closed.
   */
  constructor(address: string, folder: string, pglite: PGlite, free: () => Promise<void>) {
    this.address = address;
    this.#folder = folder;
    this.#pglite = pglite;
    this.#queries = queriesOf(pglite);
    this.#free = free;
  }

  async rows<T extends object>(sql: string, values?: readonly unknown[]): Promise<T[]> {
    return await this.#guarded(() => this.#queries.rows<T>(sql, values));
  }

  async run(sql: string): Promise<void> {
    await this.#guarded(() => this.#queries.run(sql));
  }

  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    await requireSpace(this.#folder);
    return await this.#guarded(() =>
      this.#pglite.transaction((runner) => work(spacedQueries(this.#folder, queriesOf(runner)))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pglite.close();
    await this.#free();
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw databaseError(this.address, error);
    }
  }
}

const notFound = (folder: string) =>
  new FaceError("GALLERY_NOT_FOUND", `there is no gallery in ${folder}`, {
    hint: "faceid gallery create makes one; faceid gallery enrol FOLDER fills it from a folder of people",
  });

/** Checks the folder, or makes it; one that holds other files is not ours to fill. */
async function claimFolder(folder: string, create: boolean): Promise<void> {
  try {
    if (create) await makeFolder(folder);
    const names = await readdir(folder);
    if (names.includes(DATA)) return;
    if (names.every((name) => FolderLock.owns(name))) {
      if (create) return;
      throw notFound(folder);
    }
  } catch (error) {
    if (error instanceof FaceError) throw error;
    if (systemCode(error) === "ENOENT" && !create) throw notFound(folder);
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

/** Whether a folder cannot be written to; undefined where it can. */
async function readOnlyReason(folder: string): Promise<string | undefined> {
  try {
    await access(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    return ["EROFS", "EACCES", "EPERM"].includes(systemCode(error) ?? "") ? messageOf(error) : undefined;
  }
}

const openFailure = (folder: string, error: unknown) => {
  const known = databaseError(folder, error);
  if (known instanceof FaceError) return known;
  return new FaceError("GALLERY_INVALID", `the gallery ${folder} cannot be opened: ${messageOf(error)}`, {
    hint: "check the space, quota and `ulimit -f`, and try again; then restore the folder from a copy, or enrol into a new one",
    cause: error,
  });
};

/** PGlite writes when it opens a folder, so one that is read-only is copied, and the copy takes no changes. */
async function openCopy(folder: string): Promise<Database> {
  await FolderLock.requireFree(folder);
  const copy = await mkdtemp(join(tmpdir(), "faceid-gallery-"));
  const free = () => rm(copy, { recursive: true, force: true });
  try {
    await cp(join(folder, DATA), copy, { recursive: true });
    const pglite = await PGlite.create({ dataDir: copy, extensions: { vector } });
    const database = new PgliteDatabase(folder, copy, pglite, free);
    await migrate(database);
    await database.run("SET default_transaction_read_only = on");
    return database;
  } catch (error) {
    await free();
    throw openFailure(folder, error);
  }
}

/** Opens a folder, which no other process may have open; see `openDatabase`. */
export async function openPglite(folder: string, create: boolean): Promise<Database> {
  await claimFolder(folder, create);
  const reason = await readOnlyReason(folder);
  if (reason !== undefined && !create) return await openCopy(folder);
  if (reason !== undefined) {
    throw new FaceError("GALLERY_UNAVAILABLE", `the gallery ${folder} cannot be written to: ${reason}`, {
      hint: "choose another folder, or check who owns it and its permissions",
    });
  }
  if (create) await requireSpace(folder);
  const lock = await FolderLock.acquire(folder);
  try {
    const pglite = await PGlite.create({ dataDir: join(folder, DATA), extensions: { vector } });
    return new PgliteDatabase(folder, folder, pglite, () => lock.release());
  } catch (error) {
    await lock.release();
    throw openFailure(folder, error);
  }
}
