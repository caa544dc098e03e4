/** @file The enrolled faces of a gallery: added, listed, removed, and searched by embedding. */
import { randomUUID } from "node:crypto";
import { requireOrigin } from "../artifact/embedding-origin.ts";
import { FaceError } from "../base/errors.ts";
import { isMissingReference, type Queries } from "./database.ts";
import type { PhotoBox } from "./photo-box.ts";
import { asUuid, type GalleryScope, jsonText } from "./scope.ts";

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

/** A face and whose it is. */
type PersonFace = NewFace & { readonly personId: string };

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
  readonly name: string;
  readonly digest: string;
  readonly dimensions: number;
  readonly template: Template;
}

const FACE_COLUMNS = `f.id, f.person_id AS "personId", f.box, f.quality, f.source, f.photo_digest AS "photoDigest",
  f.model_digest AS "modelDigest", f.created_at AS "createdAt",
  EXISTS (SELECT 1 FROM faceid_photos o WHERE o.face_id = f.id) AS "hasPhoto"`;

/** How a person with several photographs is compared; docs/galleries.md has the error rates of both. */
export type Template = "centroid" | "best";

/** What rounding to floats changes of the length 1. */
const UNIT_TOLERANCE = 1e-3;

/** Whether an embedding has length 1, as those must that are searched by their distance; those of a head that compares pairs need not. */
export const hasItsLength = (
  { template }: Pick<EmbeddingKind, "template">,
  embedding: Float32Array,
): boolean => template === "best" || Math.abs(Math.hypot(...embedding) - 1) < UNIT_TOLERANCE;

/** @throws FaceError `GALLERY_MISMATCH` for an embedding that is not of this kind. */
export function checkEmbedding(kind: EmbeddingKind, embedding: Float32Array): void {
  requireOrigin("the gallery", embedding, kind, "GALLERY_MISMATCH");
  const { dimensions } = kind;
  const finite = embedding.every(Number.isFinite);
  if (embedding.length === dimensions && finite) {
    if (hasItsLength(kind, embedding)) return;
    const length = Math.hypot(...embedding);
    throw new FaceError(
      "GALLERY_MISMATCH",
      `an embedding of length ${length.toPrecision(4)} came; the gallery's have length 1`,
      { hint: "divide its numbers by the root of the sum of their squares" },
    );
  }
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
  const ids = [...people];
  // Another writer of the same person waits here; the statement after this one then sees what that writer added.
  await queries.rows(
    "SELECT id FROM faceid_people WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE",
    [ids],
  );
  await queries.rows(
    `UPDATE faceid_people p SET centroid = (SELECT l2_normalize(avg(f.embedding)) FROM faceid_faces f
       WHERE f.person_id = p.id AND f.model_digest = $1) WHERE p.id = ANY($2::uuid[])`,
    [digest, ids],
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
   * @throws FaceError `GALLERY_MISMATCH` for an embedding of another length, `PERSON_NOT_FOUND`.
   */
  async add(faces: readonly PersonFace[]): Promise<(string | undefined)[]> {
    for (const { embedding } of faces) checkEmbedding(this.#kind, embedding);
    if (faces.length === 0) return [];
    try {
      return await this.#scope.database.transaction(async (queries) => {
        const ids = await this.#insert(queries, faces);
        await this.#keepPhotos(queries, faces, ids);
        await setCentroids(queries, this.#kind.digest, new Set(faces.map(({ personId }) => personId)));
        return ids;
      });
    } catch (error) {
      if (!isMissingReference(error)) throw error;
      throw new FaceError(
        "PERSON_NOT_FOUND",
        "a person of these faces is not in the gallery, or was removed",
        {
          cause: error,
        },
      );
    }
  }

  /** Inserts faces and their events, in two statements for all. */
  async #insert(queries: Queries, faces: readonly PersonFace[]): Promise<(string | undefined)[]> {
    const rows = faces.map((face) => ({ ...face, id: randomUUID() }));
    const column = <T>(value: (face: (typeof rows)[number]) => T) => rows.map(value);
    const inserted = await queries.rows<{ id: string }>(
      `INSERT INTO faceid_faces
         (id, gallery_id, person_id, embedding, model_digest, box, quality, source, photo_digest)
       SELECT id, $1, person_id, embedding::vector, $2, box::real[], quality::jsonb, source, photo_digest
       FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
         AS new (id, person_id, embedding, box, quality, source, photo_digest)
       ON CONFLICT (person_id, photo_digest) DO NOTHING RETURNING id`,
      [
        this.#scope.id,
        this.#kind.digest,
        column(({ id }) => id),
        column(({ personId }) => asUuid(personId)),
        column(({ embedding }) => vectorText(embedding)),
        column(({ box }) => (box === undefined ? null : `{${box.join(",")}}`)),
        column(({ quality }) => jsonText("the numbers of a face's quality", quality ?? {})),
        column(({ source }) => source ?? null),
        column(({ photoDigest }) => photoDigest),
      ],
    );
    await queries.rows(
      `INSERT INTO faceid_events (gallery_id, action, actor, person_id, detail)
       SELECT $1, 'added', $2, person_id, jsonb_build_object('face', id) FROM faceid_faces
       WHERE id = ANY($3::uuid[]) ORDER BY id`,
      [this.#scope.id, this.#scope.actor, inserted.map(({ id }) => id)],
    );
    const kept = new Set(inserted.map(({ id }) => id));
    return rows.map(({ id }) => (kept.has(id) ? id : undefined));
  }

  /** Keeps the photographs of new faces, where there are any. */
  async #keepPhotos(
    queries: Queries,
    faces: readonly PersonFace[],
    ids: readonly (string | undefined)[],
  ): Promise<void> {
    for (const [i, { photo }] of faces.entries()) {
      if (photo === undefined || ids[i] === undefined) continue;
      await queries.rows("INSERT INTO faceid_photos (face_id, encrypted, bytes) VALUES ($1, $2, $3)", [
        ids[i],
        this.#box.encrypts,
        this.#box.seal(photo),
      ]);
    }
  }

  /** The faces of a person, oldest first. */
  async of(personId: string): Promise<EnrolledFace[]> {
    return await this.#scope.database.rows<EnrolledFace>(
      `SELECT ${FACE_COLUMNS} FROM faceid_faces f
       WHERE f.gallery_id = $1 AND f.person_id = $2::uuid ORDER BY f.created_at, f.id`,
      [this.#scope.id, asUuid(personId)],
    );
  }

  /** The same, with their embeddings, those of another model too. */
  async withEmbeddings(personId: string): Promise<(EnrolledFace & { readonly embedding: Float32Array })[]> {
    const rows = await this.#scope.database.rows<EnrolledFace & { vector: number[] }>(
      `SELECT ${FACE_COLUMNS}, f.embedding::real[] AS vector FROM faceid_faces f
       WHERE f.gallery_id = $1 AND f.person_id = $2::uuid ORDER BY f.created_at, f.id`,
      [this.#scope.id, asUuid(personId)],
    );
    return rows.map(({ vector, ...face }) => ({ ...face, embedding: Float32Array.from(vector) }));
  }

  /** @throws FaceError `PERSON_NOT_FOUND` when the person has no such face. */
  async remove(personId: string, faceId: string): Promise<void> {
    await this.#scope.change("deleted", personId, async (queries) => {
      const rows = await queries.rows(
        "DELETE FROM faceid_faces WHERE gallery_id = $1 AND person_id = $2::uuid AND id = $3::uuid RETURNING id",
        [this.#scope.id, asUuid(personId), asUuid(faceId)],
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
      "SELECT photo_digest AS digest FROM faceid_faces WHERE person_id = $1::uuid",
      [asUuid(personId)],
    );
    return new Set(rows.map(({ digest }) => digest));
  }

  /** The kept photograph of a face, if there is one. */
  async photo(faceId: string): Promise<Uint8Array | undefined> {
    const [row] = await this.#scope.database.rows<{ encrypted: boolean; bytes: Uint8Array }>(
      `SELECT o.encrypted, o.bytes FROM faceid_photos o JOIN faceid_faces f ON f.id = o.face_id
       WHERE f.gallery_id = $1 AND f.id = $2::uuid`,
      [this.#scope.id, asUuid(faceId)],
    );
    return row === undefined ? undefined : this.#box.open(row.bytes, row.encrypted);
  }

  /** The faces whose embeddings another model made, some at a time, in the order of their ids. */
  async stale(after: string, limit: number): Promise<EnrolledFace[]> {
    return await this.#scope.database.rows<EnrolledFace>(
      `SELECT ${FACE_COLUMNS} FROM faceid_faces f
       WHERE f.gallery_id = $1 AND f.model_digest <> $2 AND ($3::uuid IS NULL OR f.id > $3::uuid) ORDER BY f.id LIMIT $4`,
      [this.#scope.id, this.#kind.digest, asUuid(after), limit],
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
