/** @file A gallery's tables, and the steps from any earlier schema to them; the same SQL for PGlite and PostgreSQL. */
import { FaceError } from "../base/errors.ts";
import type { Database, Queries } from "./database.ts";

/**
 * One step for each version of the schema. A released step is never changed: a new one is added.
 * `faces.embedding` has no fixed length, since galleries of several models share the table.
 */
const STEPS: readonly string[] = [
  `CREATE TABLE faceid_galleries (
     id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     name text NOT NULL UNIQUE,
     model text NOT NULL,
     model_digest text NOT NULL,
     dimensions integer NOT NULL CHECK (dimensions > 0),
     indexed boolean NOT NULL DEFAULT false,
     created_at timestamptz NOT NULL DEFAULT now());
   CREATE TABLE faceid_people (
     id uuid PRIMARY KEY,
     gallery_id integer NOT NULL REFERENCES faceid_galleries ON DELETE CASCADE,
     name text NOT NULL,
     notes jsonb NOT NULL DEFAULT '{}',
     consent jsonb,
     expires_at timestamptz,
     version integer NOT NULL DEFAULT 1,
     created_at timestamptz NOT NULL DEFAULT now(),
     updated_at timestamptz NOT NULL DEFAULT now(),
     UNIQUE (gallery_id, name));
   CREATE TABLE faceid_faces (
     id uuid PRIMARY KEY,
     gallery_id integer NOT NULL REFERENCES faceid_galleries ON DELETE CASCADE,
     person_id uuid NOT NULL REFERENCES faceid_people ON DELETE CASCADE,
     embedding vector NOT NULL,
     model_digest text NOT NULL,
     box real[],
     quality jsonb NOT NULL DEFAULT '{}',
     source text,
     photo_digest text NOT NULL,
     created_at timestamptz NOT NULL DEFAULT now(),
     UNIQUE (person_id, photo_digest));
   CREATE INDEX faceid_faces_of_gallery ON faceid_faces (gallery_id, photo_digest);
   CREATE TABLE faceid_events (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     gallery_id integer NOT NULL REFERENCES faceid_galleries ON DELETE CASCADE,
     at timestamptz NOT NULL DEFAULT now(),
     action text NOT NULL,
     actor text NOT NULL,
     person_id uuid,
     detail jsonb NOT NULL DEFAULT '{}');
   CREATE INDEX faceid_events_of_gallery ON faceid_events (gallery_id, id);
   CREATE INDEX faceid_events_of_person ON faceid_events (person_id);`,
  `CREATE TABLE faceid_photos (
     face_id uuid PRIMARY KEY REFERENCES faceid_faces ON DELETE CASCADE,
     encrypted boolean NOT NULL,
     bytes bytea NOT NULL);
   ALTER TABLE faceid_galleries ADD COLUMN template text NOT NULL DEFAULT 'centroid';
   ALTER TABLE faceid_people ADD COLUMN centroid vector;
   UPDATE faceid_people p SET centroid = (SELECT l2_normalize(avg(f.embedding)) FROM faceid_faces f
     JOIN faceid_galleries g ON g.id = f.gallery_id AND g.model_digest = f.model_digest WHERE f.person_id = p.id);`,
  // Searches compare with everybody until an index that was built before is measured.
  "ALTER TABLE faceid_galleries ADD COLUMN index_measure jsonb;",
];

/** The version that this program writes. */
export const SCHEMA_VERSION = STEPS.length;

/** An arbitrary number that two programs which migrate at once agree on. */
const LOCK_KEY = 7_206_233;

async function versionOf(queries: Queries): Promise<number> {
  const [table] = await queries.rows<{ oid: unknown }>("SELECT to_regclass('faceid_schema') AS oid");
  if (table?.oid == null) return 0;
  const [row] = await queries.rows<{ version: number }>("SELECT version FROM faceid_schema");
  return row?.version ?? 0;
}

/**
 * Brings the tables to this program's version.
 * @param until for tests: the version to stop at.
 * @throws FaceError `GALLERY_INVALID` when a newer program made them.
 */
export async function migrate(database: Database, until = SCHEMA_VERSION): Promise<void> {
  // A gallery that is up to date is read without a write, also on a full disk.
  if ((await versionOf(database)) === until) return;
  await database.transaction(async (queries) => {
    await queries.rows("SELECT pg_advisory_xact_lock($1)", [LOCK_KEY]);
    await queries.run("CREATE EXTENSION IF NOT EXISTS vector");
    await queries.run("CREATE TABLE IF NOT EXISTS faceid_schema (version integer NOT NULL)");
    const version = await versionOf(queries);
    if (version > SCHEMA_VERSION) {
      throw new FaceError(
        "GALLERY_INVALID",
        `the gallery ${database.address} has schema ${version}; this program knows schemas up to ${SCHEMA_VERSION}`,
        { hint: "use the faceid that wrote it, or a newer one" },
      );
    }
    if (version >= until) return;
    for (const step of STEPS.slice(version, until)) await queries.run(step);
    await queries.run("DELETE FROM faceid_schema");
    await queries.rows("INSERT INTO faceid_schema VALUES ($1)", [until]);
  });
}
