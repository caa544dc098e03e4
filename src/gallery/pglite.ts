/** @file PGlite with pgvector in a folder as a gallery's database; the only door to both packages. */
import { readdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { FaceError, messageOf, systemCode } from "../base/errors.ts";
import { makeFolder } from "../base/files.ts";
import { type Database, databaseError, type Queries } from "./database.ts";
import { FolderLock } from "./folder-lock.ts";

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

class PgliteDatabase implements Database {
  readonly address: string;
  readonly #pglite: PGlite;
  readonly #lock: FolderLock;
  readonly #queries: Queries;

  constructor(folder: string, pglite: PGlite, lock: FolderLock) {
    this.address = folder;
    this.#pglite = pglite;
    this.#lock = lock;
    this.#queries = queriesOf(pglite);
  }

  async rows<T extends object>(sql: string, values?: readonly unknown[]): Promise<T[]> {
    return await this.#guarded(() => this.#queries.rows<T>(sql, values));
  }

  async run(sql: string): Promise<void> {
    await this.#guarded(() => this.#queries.run(sql));
  }

  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    await requireSpace(this.address);
    return await this.#guarded(() => this.#pglite.transaction((runner) => work(queriesOf(runner))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pglite.close();
    await this.#lock.release();
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
    hint: "faceid gallery create makes one; faceid gallery enrol fills it from a folder of people",
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
    if (systemCode(error) === "ENOENT") throw notFound(folder);
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

/** Opens a folder, which no other process may have open; see `openDatabase`. */
export async function openPglite(folder: string, create: boolean): Promise<Database> {
  await claimFolder(folder, create);
  if (create) await requireSpace(folder);
  const lock = await FolderLock.acquire(folder);
  try {
    const pglite = await PGlite.create({ dataDir: join(folder, DATA), extensions: { vector } });
    return new PgliteDatabase(folder, pglite, lock);
  } catch (error) {
    await lock.release();
    const known = databaseError(folder, error);
    if (known instanceof FaceError) throw known;
    throw new FaceError("GALLERY_INVALID", `the gallery ${folder} cannot be opened: ${messageOf(error)}`, {
      hint: "restore the folder from a copy, or enrol into a new one",
      cause: error,
    });
  }
}
