/** @file PostgreSQL with pgvector as a gallery's database; the only door to `pg`. */
import pg from "pg";
import {
  connectionError,
  type Database,
  databaseError,
  printableAddress,
  type Queries,
  unlessFailed,
} from "./database.ts";

/** Enough for a server's concurrent searches; PostgreSQL allows 100 connections by default. */
const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 10_000;

class PostgresDatabase implements Database {
  readonly address: string;
  readonly #pool: pg.Pool;

  constructor(url: string) {
    this.address = printableAddress(url);
    this.#pool = new pg.Pool({
      connectionString: url,
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: "faceid",
      allowExitOnIdle: true,
    });
    // An idle connection that breaks is replaced at the next query, which reports what cannot be mended.
    this.#pool.on("error", () => {});
    // One that breaks in a transaction fails its statement; the event, unheard, would end the process.
    this.#pool.on("connect", (client) => client.on("error", () => {}));
  }

  async rows<T extends object>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    return await this.#queriesOf(this.#pool).rows<T>(sql, values);
  }

  async run(sql: string): Promise<void> {
    await this.#queriesOf(this.#pool).run(sql);
  }

  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const client = await this.#asked(() => this.#pool.connect());
    const queries = this.#queriesOf(client);
    let broken: Error | undefined;
    try {
      await queries.run("BEGIN");
      const result = await unlessFailed(queries, work);
      await queries.run("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch((failure: Error) => {
        broken = failure;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }

  readonly session = async <T>(work: (queries: Queries) => Promise<T>): Promise<T> => {
    const client = await this.#asked(() => this.#pool.connect());
    try {
      return await work(this.#queriesOf(client));
    } finally {
      // The connection is closed, not used again.
      client.release(true);
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }

  #queriesOf(client: Pick<pg.PoolClient, "query">): Queries {
    return {
      rows: async <R extends object>(sql: string, values: readonly unknown[] = []) =>
        (await this.#asked(() => client.query(sql, [...values]))).rows as R[],
      run: async (sql) => {
        await this.#asked(() => client.query(sql));
      },
    };
  }

  /** What is not an answer of the server, whatever its code is, comes from the connection: EPIPE, a certificate, no password. */
  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw error instanceof pg.DatabaseError
        ? databaseError(this.address, error)
        : connectionError(this.address, error);
    }
  }
}

/** Connects to a server; see `openDatabase`. */
export async function openPostgres(url: string): Promise<Database> {
  const database = new PostgresDatabase(url);
  try {
    await database.rows("SELECT 1");
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}
