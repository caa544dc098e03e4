/** @file The enrolled faces of a gallery: added, listed, removed, and searched by embedding. */
import { randomUUID } from "node:crypto";
import { FaceError } from "../base/errors.ts";
import type { Queries } from "./database.ts";
import type { PhotoBox } from "./photo-box.ts";
import { type GalleryScope, record } from "./scope.ts";

/** A face to enrol. */
export interface NewFace {
  /** As the gallery's model gives it, of unit length. */
  readonly embedding: Float32Array;
  /** In the photograph, in pixels: left, top, width, height. */
  readonly box?: readonly number[] | undefined;
  /** Quality numbers, as the pipeline measured them. */
  readonly quality?: object | undefined;
  /** The photograph's file name. */
  readonly source?: string | undefined;
  /** SHA-256 of the photograph. */
  readonly photoDigest: string;
  /** The photograph itself, only where it is to be kept. */
  readonly photo?: Uint8Array | undefined;
}

export interface EnrolledFace {
  readonly id: string;
  readonly personId: string;
  readonly box: readonly number[] | null;
  readonly quality: Readonly<Record<string, unknown>>;
  readonly source: string | null;
  readonly photoDigest: string;
  readonly modelDigest: string;
  readonly hasPhoto: boolean;
  readonly createdAt: Date;
}

/** A person whose face resembles the one that is searched for. */
export interface Neighbour {
  readonly personId: string;
  readonly name: string;
  /** The nearest of the person's faces. */
  readonly faceId: string;
  readonly embedding: Float32Array;
}

/** The gallery's model, as far as its embeddings are concerned. */
export interface EmbeddingKind {
  readonly digest: string;
  readonly dimensions: number;
}

/** How many of the nearest faces an index is asked for, before they are grouped by person. */
const INDEX_FACES = 200;

const FACE_COLUMNS = `f.id, f.person_id AS "personId", f.box, f.quality, f.source, f.photo_digest AS "photoDigest",
  f.model_digest AS "modelDigest", f.created_at AS "createdAt",
  EXISTS (SELECT 1 FROM faceid_photos o WHERE o.face_id = f.id) AS "hasPhoto"`;

/** pgvector's text form of a vector. */
export const vectorText = (embedding: Float32Array): string => `[${embedding.join(",")}]`;

export class Faces {
  readonly #scope: GalleryScope;
  readonly #kind: EmbeddingKind;
  readonly #box: PhotoBox;

  constructor(scope: GalleryScope, kind: EmbeddingKind, box: PhotoBox) {
    this.#scope = scope;
    this.#kind = kind;
    this.#box = box;
  }

  /**
   * Enrols faces of people, all or none; a photograph that a person has already is left as it is.
   * @returns the ids of the faces, in order; `undefined` for a photograph that was there.
   * @throws FaceError `GALLERY_MISMATCH` for an embedding of another length.
   */
  async add(faces: readonly (NewFace & { readonly personId: string })[]): Promise<(string | undefined)[]> {
    for (const { embedding } of faces) this.#check(embedding);
    return await this.#scope.database.transaction(async (queries) => {
      const ids: (string | undefined)[] = [];
      for (const face of faces) ids.push(await this.#insert(queries, face));
      return ids;
    });
  }

  async #insert(
    queries: Queries,
    face: NewFace & { readonly personId: string },
  ): Promise<string | undefined> {
    const id = randomUUID();
    const inserted = await queries.rows(
      `INSERT INTO faceid_faces
         (id, gallery_id, person_id, embedding, model_digest, box, quality, source, photo_digest)
       VALUES ($1, $2, $3, $4::vector, $5, $6::real[], $7::jsonb, $8, $9)
       ON CONFLICT (person_id, photo_digest) DO NOTHING RETURNING id`,
      [
        id,
        this.#scope.id,
        face.personId,
        vectorText(face.embedding),
        this.#kind.digest,
        face.box ?? null,
        JSON.stringify(face.quality ?? {}),
        face.source ?? null,
        face.photoDigest,
      ],
    );
    if (inserted.length === 0) return undefined;
    if (face.photo !== undefined) {
      await queries.rows("INSERT INTO faceid_photos (face_id, encrypted, bytes) VALUES ($1, $2, $3)", [
        id,
        this.#box.encrypts,
        this.#box.seal(face.photo),
      ]);
    }
    await record(queries, this.#scope, "added", face.personId, { face: id });
    return id;
  }

  /** The faces of a person, oldest first. */
  async of(personId: string): Promise<EnrolledFace[]> {
    return await this.#scope.database.rows<EnrolledFace>(
      `SELECT ${FACE_COLUMNS} FROM faceid_faces f
       WHERE f.gallery_id = $1 AND f.person_id::text = $2 ORDER BY f.created_at, f.id`,
      [this.#scope.id, personId],
    );
  }

  /** The same, with their embeddings. */
  async withEmbeddings(personId: string): Promise<(EnrolledFace & { readonly embedding: Float32Array })[]> {
    const rows = await this.#scope.database.rows<EnrolledFace & { vector: number[] }>(
      `SELECT ${FACE_COLUMNS}, f.embedding::real[] AS vector FROM faceid_faces f
       WHERE f.gallery_id = $1 AND f.person_id::text = $2 AND f.model_digest = $3 ORDER BY f.created_at, f.id`,
      [this.#scope.id, personId, this.#kind.digest],
    );
    return rows.map(({ vector, ...face }) => ({ ...face, embedding: Float32Array.from(vector) }));
  }

  /** @throws FaceError `PERSON_NOT_FOUND` when the person has no such face. */
  async remove(personId: string, faceId: string): Promise<void> {
    await this.#scope.change("deleted", personId, async (queries) => {
      const rows = await queries.rows(
        "DELETE FROM faceid_faces WHERE gallery_id = $1 AND person_id::text = $2 AND id::text = $3 RETURNING id",
        [this.#scope.id, personId, faceId],
      );
      if (rows.length === 0) {
        throw new FaceError("PERSON_NOT_FOUND", `the person has no face ${JSON.stringify(faceId)}`);
      }
      return { face: faceId };
    });
  }

  /** The digests of the photographs that a person has. */
  async digestsOf(personId: string): Promise<Set<string>> {
    const rows = await this.#scope.database.rows<{ digest: string }>(
      "SELECT photo_digest AS digest FROM faceid_faces WHERE person_id::text = $1",
      [personId],
    );
    return new Set(rows.map(({ digest }) => digest));
  }

  /** The kept photograph of a face, if there is one. */
  async photo(faceId: string): Promise<Uint8Array | undefined> {
    const [row] = await this.#scope.database.rows<{ encrypted: boolean; bytes: Uint8Array }>(
      `SELECT o.encrypted, o.bytes FROM faceid_photos o JOIN faceid_faces f ON f.id = o.face_id
       WHERE f.gallery_id = $1 AND f.id::text = $2`,
      [this.#scope.id, faceId],
    );
    return row === undefined ? undefined : this.#box.open(row.bytes, row.encrypted);
  }

  /** How many faces of this model a search compares with. */
  async count(): Promise<number> {
    const [row] = await this.#scope.database.rows<{ count: number }>(
      "SELECT count(*)::int AS count FROM faceid_faces WHERE gallery_id = $1 AND model_digest = $2",
      [this.#scope.id, this.#kind.digest],
    );
    return row?.count ?? 0;
  }

  /**
   * The people whose faces are nearest to an embedding, each by the nearest of their faces, nearest first. Euclidean
   * distance, which orders embeddings of unit length as the cosine does.
   * @param without a person who is not looked for.
   */
  async nearest(
    embedding: Float32Array,
    limit: number,
    { indexed = false, without }: { readonly indexed?: boolean; readonly without?: string | undefined } = {},
  ): Promise<Neighbour[]> {
    this.#check(embedding);
    const { dimensions, digest } = this.#kind;
    // The index covers this expression under this condition; PostgreSQL compares both by their text.
    const vector = `f.embedding::vector(${dimensions})`;
    const own = `f.gallery_id = ${this.#scope.id} AND f.model_digest = '${digest.replaceAll("'", "''")}'`;
    const distance = `${vector} <-> $1::vector(${dimensions})`;
    const faces = `SELECT f.id, f.person_id, f.embedding, ${distance} AS distance FROM faceid_faces f WHERE ${own}`;
    const candidates = indexed ? `${faces} ORDER BY ${distance} LIMIT ${INDEX_FACES}` : faces;
    const search = (queries: Queries) =>
      queries.rows<Omit<Neighbour, "embedding"> & { vector: number[] }>(
        `SELECT person_id AS "personId", name, face_id AS "faceId", embedding::real[] AS vector FROM (
           SELECT DISTINCT ON (c.person_id) c.person_id, p.name, c.id AS face_id, c.embedding, c.distance
           FROM (${candidates}) c JOIN faceid_people p ON p.id = c.person_id
           WHERE (p.expires_at IS NULL OR p.expires_at > now()) AND p.id::text IS DISTINCT FROM $3
           ORDER BY c.person_id, c.distance) best
         ORDER BY distance, "personId" LIMIT $2`,
        [vectorText(embedding), limit, without ?? null],
      );
    const rows = indexed
      ? await this.#scope.database.transaction(async (queries) => {
          await queries.run(`SET LOCAL hnsw.ef_search = ${INDEX_FACES}`);
          return await search(queries);
        })
      : await search(this.#scope.database);
    return rows.map(({ vector: values, ...row }) => ({ ...row, embedding: Float32Array.from(values) }));
  }

  /** The faces whose embeddings another model made, some at a time, in the order of their ids. */
  async stale(after: string, limit: number): Promise<EnrolledFace[]> {
    return await this.#scope.database.rows<EnrolledFace>(
      `SELECT ${FACE_COLUMNS} FROM faceid_faces f
       WHERE f.gallery_id = $1 AND f.model_digest <> $2 AND f.id::text > $3 ORDER BY f.id LIMIT $4`,
      [this.#scope.id, this.#kind.digest, after, limit],
    );
  }

  /** Gives a face the embedding of the gallery's model. */
  async replace(faceId: string, embedding: Float32Array): Promise<void> {
    this.#check(embedding);
    await this.#scope.database.rows(
      "UPDATE faceid_faces SET embedding = $2::vector, model_digest = $3 WHERE id = $1",
      [faceId, vectorText(embedding), this.#kind.digest],
    );
  }

  #check(embedding: Float32Array): void {
    const { dimensions } = this.#kind;
    const finite = embedding.every(Number.isFinite);
    if (embedding.length === dimensions && finite) return;
    throw new FaceError(
      "GALLERY_MISMATCH",
      `an embedding of ${embedding.length} ${finite ? "numbers" : "numbers, some not finite,"} came; the gallery's have ${dimensions}`,
      { hint: "use the model that the gallery was made with, or run faceid gallery reindex" },
    );
  }
}
