/** @file A database that refuses calls which would wait for themselves, or come after its end. */
import { AsyncLocalStorage } from "node:async_hooks";
import { FaceError } from "../base/errors.ts";
import type { Database, Queries } from "./database.ts";

/** Whether a transaction's work goes on; what it started and left behind may use the database afterwards. */
interface Transaction {
  isOpen: boolean;
}

/**
 * Guards a database. Within the work of a transaction the database itself is refused: a folder has one connection, which the transaction
 * holds, and the connections of a server are all held when ten transactions wait for an eleventh connection each. What such a call
 * writes would not belong to the transaction anyway.
 */
export function guarded(database: Database): Database {
  const { address, session } = database;
  const inner = new AsyncLocalStorage<Transaction>();
  /** The connection of a transaction that has ended is another's. */
  const whileOpen = (transaction: Transaction, queries: Queries): Queries => {
    const requireOpen = () => {
      if (transaction.isOpen) return;
      throw new FaceError("CONFIG_INVALID", `a transaction of the gallery ${address} is used after its end`, {
        hint: "wait for all that a transaction does before its work returns",
      });
    };
    return {
      async rows<T extends object>(sql: string, values?: readonly unknown[]) {
        requireOpen();
        return await queries.rows<T>(sql, values);
      },
      async run(sql) {
        requireOpen();
        await queries.run(sql);
      },
    };
  };
  let closing: PromiseLike<void> | undefined;
  const requireUsable = () => {
    if (closing !== undefined) {
      throw new FaceError("GALLERY_UNAVAILABLE", `the gallery ${address} is closed`, {
        hint: "open it again, and close it when nothing uses it any more",
      });
    }
    if (inner.getStore()?.isOpen !== true) return;
    throw new FaceError(
      "CONFIG_INVALID",
      `the gallery ${address} is used within its own transaction, for which it would wait`,
      {
        hint: "use the gallery that the transaction hands to its work: gallery.transaction(async (inner) => inner.people.add(…))",
      },
    );
  };
  return {
    address,
    async rows<T extends object>(sql: string, values?: readonly unknown[]) {
      requireUsable();
      return await database.rows<T>(sql, values);
    },
    async run(sql) {
      requireUsable();
      await database.run(sql);
    },
    async transaction<T>(work: (queries: Queries) => Promise<T>) {
      requireUsable();
      const transaction: Transaction = { isOpen: true };
      try {
        return await database.transaction((queries) =>
          inner.run(transaction, () => work(whileOpen(transaction, queries))),
        );
      } finally {
        transaction.isOpen = false;
      }
    },
    ...(session && {
      async session(work) {
        requireUsable();
        return await session(work);
      },
    }),
    async [Symbol.asyncDispose]() {
      closing ??= database[Symbol.asyncDispose]();
      await closing;
    },
  };
}
