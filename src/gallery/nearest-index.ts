/** @file The index of a gallery's searches: built while others write, taken over from a builder that was killed, dropped. */
import { setTimeout as wait } from "node:timers/promises";
import { type Database, isOutOfSharedMemory, type Queries } from "./database.ts";
import type { EmbeddingKind } from "./faces.ts";
import type { GalleryScope } from "./scope.ts";
import { searchedRows } from "./search.ts";

/** Memory of an index that is built, for a person beside the vector; and the most that is asked for: PostgreSQL's own limit where
 * addresses have 32 bits, enough for 1.3 million people.
 */
const [BYTES_OF_NODE, MOST_BUILD_KILOBYTES] = [1024, 2 ** 21 - 1];
/** An arbitrary number that all programs which build or drop an index agree on. */
const LOCK_KEY = 7_206_234;
const LOCK_EVERY_MS = 500;

const nameOf = (id: number) => `faceid_nearest_${id}`;

/**
 * Runs `work` while no other process builds or drops an index of this database. A folder is open in one process only and needs no
 * lock. The lock is asked for again and again: PostgreSQL's concurrent build waits for all statements that began before it, so
 * that one which waits for the builder's lock would wait for ever.
 * @param work takes the connection that holds the lock, outside of a transaction; none for a folder.
 */
export async function withoutBuilders<T>(
  database: Database,
  work: (session: Queries | undefined) => Promise<T>,
): Promise<T> {
  if (database.session === undefined) return await work(undefined);
  return await database.session(async (session) => {
    const take = async () => {
      const [row] = await session.rows<{ taken: boolean }>("SELECT pg_try_advisory_lock($1) AS taken", [
        LOCK_KEY,
      ]);
      return row!.taken;
    };
    while (!(await take())) await wait(LOCK_EVERY_MS);
    try {
      return await work(session);
    } finally {
      // The end of the connection frees it as well, a little later.
      await session.rows("SELECT pg_advisory_unlock($1)", [LOCK_KEY]).catch(() => undefined);
    }
  });
}

/** Gives the build memory: a graph that outgrows it is built at a fraction of the rate. */
async function setMemory(queries: Queries, kind: EmbeddingKind, count: number): Promise<void> {
  const wanted = count * (4 * kind.dimensions + BYTES_OF_NODE);
  await queries.rows(
    `SELECT set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting('maintenance_work_mem')) / 1024,
       least($1::bigint / 1024, ${MOST_BUILD_KILOBYTES})) || 'kB', false)`,
    [wanted],
  );
}

async function create(queries: Queries, id: number, kind: EmbeddingKind, how: string): Promise<void> {
  const { table, vector, where } = searchedRows(id, kind);
  await queries.run(
    `CREATE INDEX ${how} ${nameOf(id)} ON ${table} USING hnsw ((${vector}) vector_l2_ops) WHERE ${where}`,
  );
}

/** Whether an index is there that was built to its end. */
async function isBuilt(queries: Queries, id: number): Promise<boolean> {
  const [row] = await queries.rows<{ valid: boolean }>(
    "SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass($1)",
    [nameOf(id)],
  );
  return row?.valid ?? false;
}

/** Builds while others write. A build that breaks off leaves an index that every writer keeps up and no search reads. */
async function createBeside(session: Queries, id: number, kind: EmbeddingKind): Promise<void> {
  const drop = () => session.run(`DROP INDEX CONCURRENTLY IF EXISTS ${nameOf(id)}`);
  // Limits that are meant for searches would end it, and the removal of what it left. The last is PostgreSQL 17's.
  await session.rows(
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')",
    [],
  );
  await drop();
  try {
    await create(session, id, kind, "CONCURRENTLY");
  } catch (error) {
    await drop().catch(() => undefined);
    // Several processes that build together share memory, of which a container may have little.
    if (!isOutOfSharedMemory(error)) throw error;
    await session.run("SET max_parallel_maintenance_workers = 0");
    await create(session, id, kind, "CONCURRENTLY");
  }
}

/**
 * Builds the index of a gallery's searches, or takes the one over that another process has built.
 * @param count how many rows it will cover.
 * @returns whether there is one: another process may have given the gallery another model.
 */
export async function buildIndex(
  { id, database }: GalleryScope,
  kind: EmbeddingKind,
  count: number,
): Promise<boolean> {
  const build = async (queries: Queries, fill: () => Promise<void>) => {
    const [gallery] = await queries.rows<{ indexed: boolean }>(
      "SELECT indexed FROM faceid_galleries WHERE id = $1 AND model_digest = $2",
      [id, kind.digest],
    );
    if (gallery === undefined || gallery.indexed) return gallery !== undefined;
    // A builder that was killed may have left it whole: the server goes on without it.
    if (!(await isBuilt(queries, id))) {
      await setMemory(queries, kind, count);
      await fill();
    }
    await queries.rows("UPDATE faceid_galleries SET indexed = true WHERE id = $1", [id]);
    return true;
  };
  return await withoutBuilders(database, async (session) =>
    session === undefined
      ? await database.transaction((queries) => build(queries, () => create(queries, id, kind, "")))
      : await build(session, () => createBeside(session, id, kind)),
  );
}

/** Drops the index, if there is one, where nobody builds one. */
export async function dropIndex(queries: Queries, id: number): Promise<void> {
  await queries.run(`DROP INDEX IF EXISTS ${nameOf(id)}`);
}
