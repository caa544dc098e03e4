/** @file The stores that a gallery's tests run on: PGlite in a folder, and PostgreSQL where TEST_POSTGRES names one. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Random } from "../../src/base/random.ts";
import { openDatabase } from "../../src/gallery/open-database.ts";
import { temporaryFolder } from "./photos.ts";

const SERVER = process.env.TEST_POSTGRES;

/** A schema of the server for one file of tests, so that files can run at once. */
async function ownSchema(server: string): Promise<string> {
  const schema = `t${randomUUID().replaceAll("-", "")}`;
  await using database = await openDatabase(server);
  await database.transaction(async (queries) => {
    await queries.rows("SELECT pg_advisory_xact_lock(1)");
    await queries.run(`CREATE EXTENSION IF NOT EXISTS vector SCHEMA public; CREATE SCHEMA ${schema}`);
  });
  const options = encodeURIComponent(`-c search_path=${schema},public`);
  return `${server}${server.includes("?") ? "&" : "?"}options=${options}`;
}

const folder = async () => join(await temporaryFolder(), "people");

export const STORES: readonly { readonly store: string; readonly make: () => Promise<string> }[] = [
  { store: "PGlite", make: folder },
  ...(SERVER === undefined ? [] : [{ store: "PostgreSQL", make: () => ownSchema(SERVER) }]),
];

/** A name of a gallery that no other test uses. */
export const galleryName = () => `t${randomUUID()}`;

/** A random direction of unit length. */
export function direction(random: Random, dimensions = 16): Float32Array {
  const values = Float32Array.from({ length: dimensions }, () => random.between(-1, 1));
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}
