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

/** The gallery's model, as far as its embeddings are concerned. */
export interface EmbeddingKind {
  readonly digest: string;
  readonly dimensions: number;
  readonly template: Template;
}

const FACE_COLUMNS = `f.id, f.person_id AS "personId", f.box, f.quality, f.source, f.photo_digest AS "photoDigest",
  f.model_digest AS "modelDigest", f.created_at AS "createdAt",
  EXISTS (SELECT 1 FROM faceid_photos o WHERE o.face_id = f.id) AS "hasPhoto"`;

/** How a person with several photographs is compared; docs/galleries.md has the error rates of both. */
export type Template = "centroid" | "best";

/** @throws FaceError `GALLERY_MISMATCH` for an embedding that is not of this kind. */
export function checkEmbedding({ dimensions }: EmbeddingKind, embedding: Float32Array): void {
  const finite = embedding.every(Number.isFinite);
  if (embedding.length === dimensions && finite) return;
  throw new FaceError(
    "GALLERY_MISMATCH",
    `an embedding of ${embedding.length} ${finite ? "numbers" : "numbers, some not finite,"} came; the gallery's have ${dimensions}`,
    { hint: "use the model that the gallery was made with, or run faceid gallery reindex" },
  );
}

/** Computes the centroids of people from their faces of one model: the direction of the sum. */
export async function setCentroids(
  queries: Queries,
  digest: string,
  people: Iterable<string>,
): Promise<void> {
  await queries.rows(
    `UPDATE faceid_people p SET centroid = (SELECT l2_normalize(avg(f.embedding)) FROM faceid_faces f
       WHERE f.person_id = p.id AND f.model_digest = $1) WHERE p.id::text = ANY($2::text[])`,
    [digest, [...people]],
  );
}

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
    for (const { embedding } of faces) checkEmbedding(this.#kind, embedding);
    return await this.#scope.database.transaction(async (queries) => {
      const ids: (string | undefined)[] = [];
      for (const face of faces) ids.push(await this.#insert(queries, face));
      await setCentroids(queries, this.#kind.digest, new Set(faces.map(({ personId }) => personId)));
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
      await setCentroids(queries, this.#kind.digest, [personId]);
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

  /** The faces whose embeddings another model made, some at a time, in the order of their ids. */
  async stale(after: string, limit: number): Promise<EnrolledFace[]> {
    return await this.#scope.database.rows<EnrolledFace>(
      `SELECT ${FACE_COLUMNS} FROM faceid_faces f
       WHERE f.gallery_id = $1 AND f.model_digest <> $2 AND f.id::text > $3 ORDER BY f.id LIMIT $4`,
      [this.#scope.id, this.#kind.digest, after, limit],
    );
  }

  /** Gives a person's face the embedding of the gallery's model. */
  async replace(
    { id, personId }: Pick<EnrolledFace, "id" | "personId">,
    embedding: Float32Array,
  ): Promise<void> {
    checkEmbedding(this.#kind, embedding);
    await this.#scope.database.transaction(async (queries) => {
      await queries.rows("UPDATE faceid_faces SET embedding = $2::vector, model_digest = $3 WHERE id = $1", [
        id,
        vectorText(embedding),
        this.#kind.digest,
      ]);
      await setCentroids(queries, this.#kind.digest, [personId]);
    });
  }
}
