/** @file PostgreSQL with pgvector as a gallery's database; the only door to `pg`. */
import pg from "pg";
import { asFaceError, systemCode } from "../base/errors.ts";
import { requireRegular } from "../base/files.ts";
import {
  connectionError,
  type Database,
  databaseError,
  printableAddress,
  type Queries,
  type Session,
  unlessFailed,
} from "./database.ts";

/** Enough for a server's concurrent searches; PostgreSQL allows 100 connections by default. */
const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * `pg` takes `require`, `prefer` and `verify-ca` for `verify-full`, says so at length on each start, and announces that it will change.
 * The certificate is verified here, as that name says; `uselibpqcompat=true` asks for the meanings of libpq.
 */
export function withVerifiedTls(url: string): string {
  if (/[?&]uselibpqcompat=true(&|$)/.test(url)) return url;
  return url.replace(/([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|$)/g, "$1verify-full");
}

class PostgresDatabase implements Database {
  readonly address: string;
  readonly #url: string;
  readonly #pool: pg.Pool;

  constructor(url: string) {
    this.address = printableAddress(url);
    this.#url = withVerifiedTls(url);
    this.#pool = new pg.Pool({
      connectionString: this.#url,
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

  readonly session = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    const client = await this.#asked(() => this.#pool.connect());
    try {
      const { processID } = client as pg.PoolClient & { readonly processID: number };
      return await work({ ...this.#queriesOf(client), cancel: () => this.#cancel(processID) });
    } finally {
      // The connection is closed, not used again.
      client.release(true);
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }

  /** Not by the pool, whose connections may all be in use, or which is being closed. */
  async #cancel(processID: number): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: "faceid",
    });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.query("SELECT pg_cancel_backend($1)", [processID]);
    } finally {
      await client.end().catch(() => undefined);
    }
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

/** Refuses pipes and devices as certificates, which `pg` would read while it blocks the process; other faults are its own. */
async function requireCertificates(url: string): Promise<void> {
  const query = new URLSearchParams(url.replace(/^[^?]*/, ""));
  for (const name of ["sslrootcert", "sslcert", "sslkey"]) {
    await requireRegular(query.get(name) ?? ".").catch((error: unknown) => {
      if (systemCode(error) === "EFTYPE") throw asFaceError(error);
    });
  }
}

/** Connects to a server; see `openDatabase`. */
export async function openPostgres(url: string): Promise<Database> {
  await requireCertificates(url);
  const database = new PostgresDatabase(url);
  try {
    await database.rows("SELECT 1");
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}
