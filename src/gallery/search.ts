/** @file The people of a gallery who are nearest to an embedding, by comparing with all or by an index. */
import { madeBy } from "../artifact/embedding-origin.ts";
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
  /** How many of the nearest the index is asked for; left out, everybody is compared with. */
  readonly fromIndex?: number | undefined;
  /** A person who is not looked for. */
  readonly without?: string | undefined;
}

/** A text in SQL. */
const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** Which rows a gallery's searches read; an index covers them under the same condition and with the same expression. */
export function searchedRows(id: number, { digest, dimensions, template }: EmbeddingKind) {
  return template === "centroid"
    ? {
        table: "faceid_people",
        column: "centroid",
        vector: `centroid::vector(${dimensions})`,
        where: `gallery_id = ${id} AND centroid IS NOT NULL`,
      }
    : {
        table: "faceid_faces",
        column: "embedding",
        vector: `embedding::vector(${dimensions})`,
        where: `gallery_id = ${id} AND model_digest = ${quoted(digest)}`,
      };
}

/** How many comparisons a search makes: people whose consent has ended are in none. */
export async function countSearched({ database, id }: GalleryScope, kind: EmbeddingKind): Promise<number> {
  const { table, where } = searchedRows(id, kind);
  const sql =
    kind.template === "centroid"
      ? `SELECT count(*)::int AS count FROM ${table} WHERE ${where} AND (expires_at IS NULL OR expires_at > now())`
      : `SELECT ((SELECT count(*) FROM ${table} WHERE ${where}) - (SELECT count(*) FROM ${table} f
           JOIN faceid_people p ON p.id = f.person_id WHERE f.${where} AND p.expires_at <= now()))::int AS count`;
  const [row] = await database.rows<{ count: number }>(sql);
  return row?.count ?? 0;
}

/** A person may be found: not the one who is left out, and no one whose consent has ended. */
const MAY_BE_FOUND = "(p.expires_at IS NULL OR p.expires_at > now()) AND p.id IS DISTINCT FROM $3::uuid";

/**
 * A search as SQL: the vectors of the few that are found are read in the outermost statement, not those of all. Without the index
 * its expression is avoided, so that an exact search is one.
 */
function searchSql(id: number, kind: EmbeddingKind, fromIndex: number | undefined): string {
  const { table, column, vector, where } = searchedRows(id, kind);
  const probe = `$1::vector(${kind.dimensions})`;
  const isCentroid = kind.template === "centroid";
  const person = isCentroid ? "id" : "person_id";
  const nearest = `SELECT *, ${vector} <-> ${probe} AS distance FROM ${table} WHERE ${where} ORDER BY ${vector} <-> ${probe} LIMIT ${fromIndex}`;
  const every = `SELECT *, ${column} <-> ${probe} AS distance FROM ${table} WHERE ${where}`;
  const candidates = fromIndex === undefined ? every : nearest;
  const people = isCentroid
    ? `SELECT p.id, p.name, p.centroid AS v, p.distance FROM (${candidates}) p WHERE ${MAY_BE_FOUND}`
    : `SELECT p.id, p.name, f.embedding AS v, c.distance FROM
         (SELECT DISTINCT ON (${person}) ${person}, id, distance FROM (${candidates}) every ORDER BY ${person}, distance) c
         JOIN faceid_people p ON p.id = c.${person} JOIN faceid_faces f ON f.id = c.id WHERE ${MAY_BE_FOUND}`;
  return `SELECT id AS "personId", name, v::real[] AS vector FROM
     (SELECT * FROM (${people}) found ORDER BY distance, id LIMIT $2) best ORDER BY distance, id`;
}

/**
 * The nearest people, by Euclidean distance, which orders embeddings of unit length as the cosine does. With `fromIndex`, the
 * connection's `hnsw.ef_search` must be as large.
 */
export async function selectNearest(
  queries: Queries,
  id: number,
  kind: EmbeddingKind,
  embedding: Float32Array,
  { limit, fromIndex, without }: SearchOptions,
): Promise<Neighbour[]> {
  const found = await queries.rows<Omit<Neighbour, "embedding"> & { vector: number[] }>(
    searchSql(id, kind, fromIndex),
    [vectorText(embedding), limit, asUuid(without ?? "")],
  );
  return found.map(({ vector: values, ...row }) => ({
    ...row,
    embedding: madeBy(Float32Array.from(values), kind),
  }));
}

/**
 * The same in any database. An index that gives fewer people than were asked for was filled by those who are left out, or by what
 * changes left behind in it: then everybody is compared.
 * @throws FaceError `GALLERY_MISMATCH` for an embedding of another kind.
 */
export async function nearestPeople(
  { database, id }: GalleryScope,
  kind: EmbeddingKind,
  embedding: Float32Array,
  options: SearchOptions,
): Promise<Neighbour[]> {
  checkEmbedding(kind, embedding);
  const { fromIndex } = options;
  if (fromIndex === undefined) return await selectNearest(database, id, kind, embedding, options);
  return await database.transaction(async (queries) => {
    await queries.run(`SET LOCAL hnsw.ef_search = ${fromIndex}`);
    const nearest = await selectNearest(queries, id, kind, embedding, options);
    if (nearest.length >= options.limit) return nearest;
    return await selectNearest(queries, id, kind, embedding, { ...options, fromIndex: undefined });
  });
}
