/** @file The people of a gallery who are nearest to an embedding, by comparing with all or by an index. */
import type { Queries } from "./database.ts";
import { checkEmbedding, type EmbeddingKind, vectorText } from "./faces.ts";
import { asUuid, type GalleryScope } from "./scope.ts";

/** A person who resembles the face that is searched for. */
export interface Neighbour {
  readonly personId: string;
  readonly name: string;
  /** The centroid of the person's faces, or the nearest of them, as the gallery's template says. */
  readonly embedding: Float32Array;
}

export interface SearchOptions {
  readonly limit: number;
  readonly indexed: boolean;
  /** A person who is not looked for. */
  readonly without?: string | undefined;
}

/** How many of the nearest an index is asked for, before people are left out or grouped; at most 1,000. */
const FROM_INDEX = 200;

/** A text in SQL. */
const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Which rows a gallery's searches read; an index covers them under the same condition and with the same expression. */
export function searchedRows(id: number, { digest, dimensions, template }: EmbeddingKind) {
  return template === "centroid"
    ? {
        table: "faceid_people",
        vector: `centroid::vector(${dimensions})`,
        where: `gallery_id = ${id} AND centroid IS NOT NULL`,
      }
    : {
        table: "faceid_faces",
        vector: `embedding::vector(${dimensions})`,
        where: `gallery_id = ${id} AND model_digest = ${quoted(digest)}`,
      };
}

/** How many comparisons a search makes: people whose consent has ended are in none. */
export async function countSearched({ database, id }: GalleryScope, kind: EmbeddingKind): Promise<number> {
  const { table, where } = searchedRows(id, kind);
  const person = kind.template === "centroid" ? "id" : "person_id";
  const [row] = await database.rows<{ count: number }>(
    `SELECT count(*)::int AS count FROM ${table} s WHERE ${where} AND NOT EXISTS
       (SELECT 1 FROM faceid_people p WHERE p.id = s.${person} AND p.expires_at <= now())`,
  );
  return row?.count ?? 0;
}

/**
 * The nearest people, by Euclidean distance, which orders embeddings of unit length as the cosine does.
 * @throws FaceError `GALLERY_MISMATCH` for an embedding of another kind.
 */
export async function nearestPeople(
  { database, id }: GalleryScope,
  kind: EmbeddingKind,
  embedding: Float32Array,
  { limit, indexed, without }: SearchOptions,
): Promise<Neighbour[]> {
  checkEmbedding(kind, embedding);
  const { table, vector, where } = searchedRows(id, kind);
  const distance = `${vector} <-> $1::vector(${kind.dimensions})`;
  const person = kind.template === "centroid" ? "id" : "person_id";
  const rows = `SELECT ${person} AS person_id, ${vector} AS vector, ${distance} AS distance FROM ${table} WHERE ${where}`;
  const candidates = indexed ? `${rows} ORDER BY ${distance} LIMIT ${FROM_INDEX}` : rows;
  const search = (queries: Queries) =>
    queries.rows<Omit<Neighbour, "embedding"> & { vector: number[] }>(
      `SELECT person_id AS "personId", name, vector::real[] AS vector FROM (
         SELECT DISTINCT ON (c.person_id) c.person_id, p.name, c.vector, c.distance
         FROM (${candidates}) c JOIN faceid_people p ON p.id = c.person_id
         WHERE (p.expires_at IS NULL OR p.expires_at > now()) AND p.id IS DISTINCT FROM $3::uuid
         ORDER BY c.person_id, c.distance) best
       ORDER BY distance, "personId" LIMIT $2`,
      [vectorText(embedding), limit, asUuid(without ?? "")],
    );
  const found = indexed
    ? await database.transaction(async (queries) => {
        await queries.run(`SET LOCAL hnsw.ef_search = ${FROM_INDEX}`);
        return await search(queries);
      })
    : await search(database);
  return found.map(({ vector: values, ...row }) => ({ ...row, embedding: Float32Array.from(values) }));
}
