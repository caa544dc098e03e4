/** @file A thread that makes a new database: PostgreSQL's initdb takes seconds in which nothing else runs on its thread. */
import { serveCalls } from "../base/worker-client.ts";
import { makeEmpty } from "./pglite.ts";

/** @param address how the gallery is called in errors. @param folder where the files go. */
export type NewDatabaseCalls = { makeEmpty(address: string, folder: string): void };

serveCalls<NewDatabaseCalls>(() => ({ makeEmpty }));
