/** @file The index of a gallery's searches: built while others write, taken over from a builder that was killed, measured, dropped. */
import { setTimeout as wait } from "node:timers/promises";
import { FaceError } from "../base/errors.ts";
import { type Database, isOutOfSharedMemory, isReadOnly, type Queries, type Session } from "./database.ts";
import type { EmbeddingKind } from "./faces.ts";
import { type IndexMeasure, isEnough, measureIndex } from "./index-recall.ts";
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

/** What is known of a gallery's index. */
export interface IndexState {
  /** Whether there is one. */
  readonly indexed: boolean;
  /** What it found when it was measured; of an index that was dropped because it missed too many, what that one found. */
  readonly measure: IndexMeasure | null;
}

/** A measurement holds until the gallery has grown by this factor, or a dropped index's until it has shrunk by it. */
const GROWTH = 1.25;

/** The gallery's index as any process left it. @returns undefined where the gallery has another model meanwhile. */
export async function readIndex(
  queries: Queries,
  id: number,
  { digest }: EmbeddingKind,
): Promise<IndexState | undefined> {
  const [row] = await queries.rows<IndexState>(
    "SELECT indexed, index_measure AS measure FROM faceid_galleries WHERE id = $1 AND model_digest = $2",
    [id, digest],
  );
  return row;
}

const holds = (measure: IndexMeasure, comparisons: number) => comparisons <= GROWTH * measure.comparisons;

/** How many of the nearest a search asks the index for; undefined where it compares with everybody. */
export function candidatesOf({ indexed, measure }: IndexState, comparisons: number): number | undefined {
  const isUsed = indexed && measure !== null && isEnough(measure) && holds(measure, comparisons);
  return isUsed ? measure.candidates : undefined;
}

/** Whether an index was dropped because it missed too many, and would miss as many again. One of nobody has missed nobody. */
const isRejected = ({ indexed, measure }: IndexState, comparisons: number) =>
  !indexed && measure !== null && measure.searches > 0 && comparisons * GROWTH >= measure.comparisons;

/** Whether nothing is to be built, measured or dropped. */
export const isSettled = (state: IndexState, comparisons: number): boolean =>
  candidatesOf(state, comparisons) !== undefined || isRejected(state, comparisons);

/** How a build is watched. */
export interface BuildWatch {
  /** Called before an index is built; what it returns is disposed of afterwards. */
  readonly onBuild?: ((about: AboutBuild) => Disposable | undefined) | undefined;
}

/** How a build is watched and stopped. */
export interface BuildOptions extends BuildWatch {
  /** Stops the build, and the wait for another process that builds. */
  readonly signal: AbortSignal;
}

/** A build that begins. */
export interface AboutBuild {
  /** How many rows the index will cover. */
  readonly comparisons: number;
  /** Whether the build occupies the thread, as that of a folder does: neither signals nor anything else is heard meanwhile. */
  readonly blocks: boolean;
}

const stopped = (what: string, cause?: unknown) =>
  new FaceError("INTERRUPTED", `${what} was stopped`, {
    hint: "what was enrolled is kept; searches compare with everybody until faceid gallery enrol or add has built the index",
    cause,
  });

const stoppedBuild = (cause?: unknown) => stopped("the build of the gallery's index", cause);

/**
 * What a promise gives, unless the signal comes first.
 * @throws FaceError `INTERRUPTED`
 */
export async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw stoppedBuild();
  const listening = new AbortController();
  const stop = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(stoppedBuild()), { signal: listening.signal });
  });
  try {
    return await Promise.race([work, stop]);
  } finally {
    listening.abort();
  }
}

/** The last work on the index of a database with one connection, whose setting each measurement changes. */
const lastWork = new WeakMap<Database, Promise<unknown>>();

/** Runs one piece of work on an index after the other. */
async function inTurn<T>(database: Database, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const before = lastWork.get(database);
  const turn = (async () => {
    if (before !== undefined) await unlessStopped(before, signal);
    return await work();
  })();
  // A caller that no longer waits does not stop the work before its own.
  const all = Promise.allSettled([before, turn]);
  lastWork.set(database, all);
  void all.then(() => {
    if (lastWork.get(database) === all) lastWork.delete(database);
  });
  return await turn;
}

/**
 * Runs `work` while nobody else builds, measures or drops an index of this database. A folder is open in one process only and needs no
 * lock. The lock is asked for again and again, by a connection that is closed in between: PostgreSQL's concurrent build waits for all
 * statements that began before it, so that one which waits for the builder's lock would wait for ever.
 * @param work takes the connection that holds the lock, outside of a transaction; none for a folder.
 * @throws FaceError `INTERRUPTED` on the signal, while another process builds.
 */
export async function withoutBuilders<T>(
  database: Database,
  signal: AbortSignal,
  work: (session: Session | undefined) => Promise<T>,
): Promise<T> {
  if (database.session === undefined) return await inTurn(database, signal, () => work(undefined));
  for (;;) {
    const done = await database.session(async (session) => {
      const [row] = await session.rows<{ taken: boolean }>("SELECT pg_try_advisory_lock($1) AS taken", [
        LOCK_KEY,
      ]);
      if (!row!.taken) return undefined;
      try {
        return { result: await work(session) };
      } finally {
        // The end of the connection frees it as well, a little later.
        await session.rows("SELECT pg_advisory_unlock($1)", [LOCK_KEY]).catch(() => undefined);
      }
    });
    if (done !== undefined) return done.result;
    await wait(LOCK_EVERY_MS, undefined, { signal }).catch((error: unknown) => {
      throw stopped("the wait for another process that builds an index", error);
    });
  }
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

/** Limits that are meant for searches would end a build, the removal of an index, and its measurement. The last is PostgreSQL 17's. */
async function lift(session: Queries): Promise<void> {
  await session.rows(
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')",
    [],
  );
}

const dropBeside = (session: Queries, id: number) =>
  session.run(`DROP INDEX CONCURRENTLY IF EXISTS ${nameOf(id)}`);

/** Runs one long statement of a session, which the signal ends. */
async function stoppable(
  session: Session,
  signal: AbortSignal,
  statement: () => Promise<void>,
): Promise<void> {
  if (signal.aborted) throw stoppedBuild();
  let cancelling: Promise<void> | undefined;
  const cancel = () => {
    cancelling = session.cancel().catch(() => undefined);
  };
  signal.addEventListener("abort", cancel);
  try {
    await statement();
  } catch (error) {
    throw signal.aborted ? stoppedBuild(error) : error;
  } finally {
    signal.removeEventListener("abort", cancel);
    // A later statement is not to be hit.
    await cancelling;
  }
}

/** Builds while others write. A build that breaks off leaves an index that every writer keeps up and no search reads. */
async function createBeside(
  session: Session,
  id: number,
  kind: EmbeddingKind,
  signal: AbortSignal,
): Promise<void> {
  const drop = () => dropBeside(session, id);
  const attempt = () => stoppable(session, signal, () => create(session, id, kind, "CONCURRENTLY"));
  await drop();
  try {
    await attempt().catch(async (error: unknown) => {
      // Several processes that build together share memory, of which a container may have little.
      if (!isOutOfSharedMemory(error)) throw error;
      await drop();
      await session.run("SET max_parallel_maintenance_workers = 0");
      await attempt();
    });
  } catch (error) {
    await drop().catch(() => undefined);
    throw error;
  }
}

/** Builds the index, or takes the one over that another process has built. */
async function build(
  { id, database }: GalleryScope,
  kind: EmbeddingKind,
  count: number,
  session: Session | undefined,
  { signal, onBuild }: BuildOptions,
): Promise<void> {
  if (signal.aborted) throw stoppedBuild();
  using _ = onBuild?.({ comparisons: count, blocks: session === undefined });
  const fill = async (queries: Queries, create: () => Promise<void>) => {
    // A builder that was killed may have left it whole: the server goes on without it.
    if (!(await isBuilt(queries, id))) {
      await setMemory(queries, kind, count);
      await create();
    }
    await queries.rows("UPDATE faceid_galleries SET indexed = true, index_measure = NULL WHERE id = $1", [
      id,
    ]);
  };
  if (session !== undefined) await fill(session, () => createBeside(session, id, kind, signal));
  else await database.transaction((queries) => fill(queries, () => create(queries, id, kind, "")));
}

async function keepMeasure(queries: Queries, id: number, measure: IndexMeasure): Promise<void> {
  await queries.rows("UPDATE faceid_galleries SET index_measure = $2::jsonb WHERE id = $1", [
    id,
    JSON.stringify(measure),
  ]);
}

/**
 * Sees to it that a gallery's searches have an index that finds whom a comparison with everybody finds: builds one, or takes the one
 * over that another process has built; measures it; drops it where it misses too many.
 * @param count how many rows it covers.
 * @returns what there is then; undefined where another process has given the gallery another model.
 */
export async function provideIndex(
  scope: GalleryScope,
  kind: EmbeddingKind,
  count: number,
  options: BuildOptions,
): Promise<IndexState | undefined> {
  const { id, database } = scope;
  const { signal } = options;
  return await withoutBuilders(database, signal, async (session) => {
    const connection = session ?? database;
    const state = await readIndex(connection, id, kind);
    if (state === undefined || isSettled(state, count)) return state;
    if (session !== undefined) await lift(session);
    if (!state.indexed) await build(scope, kind, count, session, options);
    const isKnown = state.indexed && state.measure !== null && holds(state.measure, count);
    const measure = isKnown
      ? state.measure
      : await measureIndex(connection, id, kind, { comparisons: count, signal });
    if (!isKnown) await keepMeasure(connection, id, measure);
    if (isEnough(measure)) return { indexed: true, measure };
    await connection.rows("UPDATE faceid_galleries SET indexed = false WHERE id = $1", [id]);
    await (session === undefined ? dropIndex(database, id) : dropBeside(session, id));
    return { indexed: false, measure };
  });
}

/**
 * Measures an index, where there is one when nobody builds or drops any, and keeps what it found where the gallery can be written to.
 * @returns what there is then; undefined where another process has given the gallery another model.
 */
export async function remeasureIndex(
  { id, database }: GalleryScope,
  kind: EmbeddingKind,
  comparisons: number,
  signal: AbortSignal,
): Promise<IndexState | undefined> {
  return await withoutBuilders(database, signal, async (session) => {
    const queries = session ?? database;
    const state = await readIndex(queries, id, kind);
    if (!state?.indexed) return state;
    if (session !== undefined) await lift(session);
    const measure = await measureIndex(queries, id, kind, { comparisons, signal });
    await keepMeasure(queries, id, measure).catch((error: unknown) => {
      if (!isReadOnly(error)) throw error;
    });
    return { indexed: true, measure };
  });
}

/** Drops the index, if there is one, where nobody builds one. */
export async function dropIndex(queries: Queries, id: number): Promise<void> {
  await queries.run(`DROP INDEX IF EXISTS ${nameOf(id)}`);
}
