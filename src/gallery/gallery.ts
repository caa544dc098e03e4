/** @file A gallery: people, the embeddings of their faces, and what happened, in a folder or on a PostgreSQL server. */
import { userInfo } from "node:os";
import { FaceError } from "../base/errors.ts";
import { type Database, isUniqueViolation } from "./database.ts";
import { type EmbeddingKind, Faces, type Neighbour } from "./faces.ts";
import { openDatabase } from "./open-database.ts";
import { People } from "./people.ts";
import { photoBox } from "./photo-box.ts";
import { migrate } from "./schema.ts";
import { type GalleryEvent, GalleryScope, listEvents, record } from "./scope.ts";

/** What makes the embeddings of a gallery. */
export interface GalleryModel extends EmbeddingKind {
  /** A pack's name or a model's path. */
  readonly name: string;
}

export interface OpenGalleryOptions {
  /** The gallery's name among those of its database. Default `default`. */
  readonly name?: string | undefined;
  /** Makes the gallery for this model where it does not exist; an existing one must have the same model. */
  readonly create?: GalleryModel | undefined;
  /** Who acts, for the record of events. Default: the user of this process. */
  readonly actor?: string | undefined;
  /** Encrypts kept photographs: 32 bytes as hexadecimal digits or base64. Default `FACEID_GALLERY_KEY`. */
  readonly photoKey?: string | undefined;
}

/** What `check` finds. */
export interface GalleryHealth {
  readonly people: number;
  readonly faces: number;
  readonly photos: number;
  /** People without a face: no search finds them. */
  readonly withoutFaces: number;
  /** People whose consent has expired: no search finds them, and nobody has removed them. */
  readonly expired: number;
  /** Faces whose embeddings another model made. */
  readonly stale: number;
  /** Share of searches whose nearest faces the index finds as an exact search does; absent without an index. */
  readonly recall?: number;
}

interface GalleryRow {
  readonly id: number;
  readonly name: string;
  readonly model: string;
  readonly modelDigest: string;
  readonly dimensions: number;
  readonly indexed: boolean;
}

const COLUMNS = `id, name, model, model_digest AS "modelDigest", dimensions, indexed`;
/** More than anybody's photographs and changes. */
const EVENTS_OF_PERSON = 100_000;
const DEFAULT_NAME = "default";
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,62}$/u;

/** Faces from which on searches use an index; see docs/galleries.md for the times of both. */
export const INDEX_FROM = 50_000;
/** pgvector's largest indexed vector. */
const MAX_INDEXED_DIMENSIONS = 2000;
/** Searches by which an index is compared with an exact search, and how many neighbours of each. */
const RECALL_SEARCHES = 100;
const RECALL_NEIGHBOURS = 10;

function currentUser(): string {
  try {
    return userInfo().username;
  } catch {
    return "unknown";
  }
}

async function readRow(database: Database, name: string): Promise<GalleryRow | undefined> {
  const [row] = await database.rows<GalleryRow>(`SELECT ${COLUMNS} FROM faceid_galleries WHERE name = $1`, [
    name,
  ]);
  return row;
}

async function createRow(
  database: Database,
  name: string,
  model: GalleryModel,
  actor: string,
): Promise<void> {
  try {
    await database.transaction(async (queries) => {
      const [row] = await queries.rows<{ id: number }>(
        "INSERT INTO faceid_galleries (name, model, model_digest, dimensions) VALUES ($1, $2, $3, $4) RETURNING id",
        [name, model.name, model.digest, model.dimensions],
      );
      await record(queries, { id: row!.id, actor }, "created", null, { model: model.name });
    });
  } catch (error) {
    // Another process made it meanwhile.
    if (!isUniqueViolation(error)) throw error;
  }
}

function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new FaceError("CONFIG_INVALID", `a gallery's name: got ${JSON.stringify(name)}`, {
    hint: "use 1 to 63 letters, digits, dots, dashes and underscores, and begin with a letter or digit",
  });
}

export class Gallery implements AsyncDisposable {
  readonly people: People;
  readonly faces: Faces;
  readonly name: string;
  readonly model: GalleryModel;
  readonly #scope: GalleryScope;
  readonly #photoKey: string | undefined;
  #indexed: boolean;

  private constructor(database: Database, row: GalleryRow, actor: string, photoKey: string | undefined) {
    this.name = row.name;
    this.model = { name: row.model, digest: row.modelDigest, dimensions: row.dimensions };
    this.#indexed = row.indexed;
    this.#photoKey = photoKey;
    this.#scope = new GalleryScope(database, row.id, actor);
    this.people = new People(this.#scope);
    this.faces = new Faces(this.#scope, this.model, photoBox(photoKey));
  }

  /**
   * Opens a gallery.
   * @param address a folder, or `postgres://user:password@host/database` of a server with pgvector.
   * @throws FaceError `GALLERY_NOT_FOUND` without `create`; `GALLERY_MISMATCH` when it holds another model's embeddings;
   *   `GALLERY_UNAVAILABLE`, `GALLERY_INVALID`, `DISK_FULL`.
   */
  static async open(address: string, options: OpenGalleryOptions = {}): Promise<Gallery> {
    const { name = DEFAULT_NAME, create, actor = currentUser(), photoKey } = options;
    checkName(name);
    const key = photoKey ?? (process.env.FACEID_GALLERY_KEY || undefined);
    // A key that is none is refused before anything is made.
    photoBox(key);
    const database = await openDatabase(address, create !== undefined);
    try {
      await migrate(database);
      let row = await readRow(database, name);
      if (row === undefined && create !== undefined) {
        await createRow(database, name, create, actor);
        row = await readRow(database, name);
      }
      if (row === undefined) {
        throw new FaceError("GALLERY_NOT_FOUND", `there is no gallery ${name} in ${database.address}`, {
          hint: "faceid gallery create makes one; faceid gallery enrol fills it from a folder of people",
        });
      }
      const gallery = new Gallery(database, row, actor, key);
      if (create !== undefined) gallery.requireModel(create);
      return gallery;
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The same gallery for another actor, on the same connection; closing either closes both. */
  as(actor: string): Gallery {
    const { id, database } = this.#scope;
    const { name, model } = this;
    const row = { id, name, model: model.name, modelDigest: model.digest, dimensions: model.dimensions };
    return new Gallery(database, { ...row, indexed: this.#indexed }, actor, this.#photoKey);
  }

  /** Where it is, without a password. */
  get address(): string {
    return this.#scope.database.address;
  }

  /** @throws FaceError `GALLERY_MISMATCH` unless `model` made the embeddings of this gallery. */
  requireModel(model: GalleryModel): void {
    if (model.digest === this.model.digest) return;
    throw new FaceError(
      "GALLERY_MISMATCH",
      `the gallery's embeddings were made by ${this.model.name} (${this.model.digest.slice(0, 12)}), not by ` +
        `${model.name} (${model.digest.slice(0, 12)})`,
      {
        hint: "embeddings of two models cannot be compared: use that model, or run faceid gallery reindex --model …",
      },
    );
  }

  /**
   * The people whose faces are nearest to an embedding.
   * @param without a person who is not looked for.
   */
  async search(embedding: Float32Array, limit = 5, without?: string): Promise<Neighbour[]> {
    return await this.faces.nearest(embedding, limit, { indexed: this.#indexed, without });
  }

  /** Records that somebody searched: how many faces, and who was found. */
  async recordSearch(faces: number, matches: readonly string[]): Promise<void> {
    await this.#scope.change("searched", null, async () => ({ faces, matches }));
  }

  /** What happened, oldest first, from after an event's id. */
  async events(page: { readonly after?: number; readonly limit?: number } = {}): Promise<GalleryEvent[]> {
    return await listEvents(this.#scope, page);
  }

  /** What happened to a person, oldest first. */
  async eventsOf(personId: string): Promise<GalleryEvent[]> {
    return await listEvents(this.#scope, { personId, limit: EVENTS_OF_PERSON });
  }

  /** Counts what needs somebody's attention, and measures the index. */
  async check(): Promise<GalleryHealth> {
    const [health] = await this.#scope.database.rows<GalleryHealth>(
      `SELECT (SELECT count(*)::int FROM faceid_people WHERE gallery_id = $1) AS people,
         (SELECT count(*)::int FROM faceid_faces WHERE gallery_id = $1) AS faces,
         (SELECT count(*)::int FROM faceid_photos o JOIN faceid_faces f ON f.id = o.face_id
            WHERE f.gallery_id = $1) AS photos,
         (SELECT count(*)::int FROM faceid_people p WHERE gallery_id = $1
            AND NOT EXISTS (SELECT 1 FROM faceid_faces f WHERE f.person_id = p.id)) AS "withoutFaces",
         (SELECT count(*)::int FROM faceid_people WHERE gallery_id = $1 AND expires_at <= now()) AS expired,
         (SELECT count(*)::int FROM faceid_faces WHERE gallery_id = $1 AND model_digest <> $2) AS stale`,
      [this.#scope.id, this.model.digest],
    );
    return this.#indexed ? { ...health!, recall: await this.#recall() } : health!;
  }

  /** Builds the index once there are so many faces that searching without takes long; see docs/galleries.md. */
  async index(from = INDEX_FROM): Promise<boolean> {
    const { id, database } = this.#scope;
    const { dimensions, digest } = this.model;
    if (this.#indexed || dimensions > MAX_INDEXED_DIMENSIONS || (await this.faces.count()) < from) {
      return this.#indexed;
    }
    await database.run(`DROP INDEX IF EXISTS faceid_nearest_${id}`);
    await database.run(
      `CREATE INDEX faceid_nearest_${id} ON faceid_faces USING hnsw ((embedding::vector(${dimensions})) vector_l2_ops)
       WHERE gallery_id = ${id} AND model_digest = '${digest.replaceAll("'", "''")}'`,
    );
    await database.rows("UPDATE faceid_galleries SET indexed = true WHERE id = $1", [id]);
    this.#indexed = true;
    return true;
  }

  /**
   * Makes the gallery another model's. Faces keep their embeddings, and are not found, until `faces.replace` gives them new ones.
   * @returns the gallery as it is now.
   */
  async changeModel(model: GalleryModel): Promise<Gallery> {
    const { id, database, actor } = this.#scope;
    await this.#scope.change("reindexed", null, async (queries) => {
      await queries.run(`DROP INDEX IF EXISTS faceid_nearest_${id}`);
      await queries.rows(
        "UPDATE faceid_galleries SET model = $2, model_digest = $3, dimensions = $4, indexed = false WHERE id = $1",
        [id, model.name, model.digest, model.dimensions],
      );
      return { from: this.model.name, to: model.name };
    });
    return new Gallery(database, (await readRow(database, this.name))!, actor, this.#photoKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.database[Symbol.asyncDispose]();
  }

  async #recall(): Promise<number> {
    const rows = await this.#scope.database.rows<{ vector: number[] }>(
      `SELECT embedding::real[] AS vector FROM faceid_faces WHERE gallery_id = $1 AND model_digest = $2
       ORDER BY md5(id::text) LIMIT ${RECALL_SEARCHES}`,
      [this.#scope.id, this.model.digest],
    );
    let found = 0;
    let wanted = 0;
    for (const { vector } of rows) {
      const embedding = Float32Array.from(vector);
      const [exact, indexed] = [false, true].map((index) =>
        this.faces.nearest(embedding, RECALL_NEIGHBOURS, { indexed: index }),
      );
      const people = new Set((await indexed)!.map(({ personId }) => personId));
      const nearest = (await exact)!;
      wanted += nearest.length;
      found += nearest.filter(({ personId }) => people.has(personId)).length;
    }
    return wanted === 0 ? 1 : found / wanted;
  }
}

/** The galleries of a database. */
export async function listGalleries(database: Database): Promise<{ name: string; model: string }[]> {
  await migrate(database);
  return await database.rows("SELECT name, model FROM faceid_galleries ORDER BY name");
}
