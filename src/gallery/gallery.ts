/** @file A gallery: people, the embeddings of their faces, and what happened, in a folder or on a PostgreSQL server. */
import { setMaxListeners } from "node:events";
import { userInfo } from "node:os";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { type Database, isReadOnly, isUniqueViolation, withinTransaction } from "./database.ts";
import { type EmbeddingKind, Faces, type Template } from "./faces.ts";
import type { IndexMeasure } from "./index-recall.ts";
import {
  type BuildOptions,
  type BuildWatch,
  candidatesOf,
  dropIndex,
  type IndexState,
  isSettled,
  provideIndex,
  readIndex,
  remeasureIndex,
  unlessStopped,
  withoutBuilders,
} from "./nearest-index.ts";
import { openDatabase } from "./open-database.ts";
import { People } from "./people.ts";
import { photoBox } from "./photo-box.ts";
import { migrate } from "./schema.ts";
import { type GalleryEvent, GalleryScope, listEvents, record } from "./scope.ts";
import { countSearched, type Neighbour, nearestPeople } from "./search.ts";

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
  /** Stops the making of a gallery in a folder, of which nothing is left then. */
  readonly signal?: AbortSignal | undefined;
}

const modelSchema = z.strictObject({
  name: given.text,
  digest: given.text,
  dimensions: given.count,
  template: z.enum(["centroid", "best"]),
} satisfies Record<keyof GalleryModel, z.ZodType>);
/** What a program may pass to open a gallery. */
export const openGalleryOptions = {
  name: given.text.optional(),
  create: modelSchema.optional(),
  actor: given.text.optional(),
  photoKey: given.text.optional(),
  signal: given.signal.optional(),
} satisfies Record<keyof OpenGalleryOptions, z.ZodType>;

const eventsPage = z.strictObject({ after: given.whole.optional(), limit: given.count.optional() });

/** What an index of the gallery finds, and whether searches use it. */
export interface GalleryIndex extends IndexMeasure {
  /** Whether searches use it. One that misses too many is dropped, and searches compare with everybody. */
  readonly used: boolean;
}

/** How the index is built. */
export interface IndexOptions extends BuildWatch {
  /** Stops the build, the wait for another builder, and the measurement. */
  readonly signal?: AbortSignal | undefined;
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
  /** Share of the people whom an exact search finds that a search by the index finds; absent without an index. */
  readonly recall?: number;
  /** That measurement in full; also of an index that was dropped because it missed too many. */
  readonly index?: GalleryIndex;
}

interface GalleryRow {
  readonly id: number;
  readonly name: string;
  readonly model: string;
  readonly modelDigest: string;
  readonly dimensions: number;
  readonly template: Template;
}

/** What the galleries of other actors share. */
interface Shared {
  /** How many comparisons a search makes, and when that was counted. */
  count: number;
  countedAt: number;
  /** What is known of the index, and when that was read: another process may build one. */
  index: IndexState | undefined;
  indexReadAt: number;
  /** The index, while it is built and measured. */
  building: Promise<IndexState | undefined> | undefined;
  /** Stops what waits, when the gallery is closed. */
  readonly closing: AbortController;
}

function freshShared(): Shared {
  const closing = new AbortController();
  // However many wait for a builder, they are no leak.
  setMaxListeners(0, closing.signal);
  return { count: 0, countedAt: 0, index: undefined, indexReadAt: 0, building: undefined, closing };
}

const COLUMNS = `id, name, model, model_digest AS "modelDigest", dimensions, template`;
/** More than anybody's photographs and changes. */
const EVENTS_OF_PERSON = 100_000;
const DEFAULT_NAME = "default";
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,62}$/u;

/** Comparisons from which on searches use an index; see docs/scaling.md for the times of both. */
const INDEX_FROM = 30_000;
/** From so many on they are counted at most so often. */
const [COUNTED_RARELY, COUNTED_EVERY_MS] = [10_000, 10_000];
/** How old what is known of the index may be. */
const INDEX_READ_EVERY_MS = 10_000;
/** pgvector's largest indexed vector. */
const MAX_INDEXED_DIMENSIONS = 2000;

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

/** @returns whether it was made here. */
async function createRow(
  database: Database,
  name: string,
  model: GalleryModel,
  actor: string,
): Promise<boolean> {
  try {
    await database.transaction(async (queries) => {
      const [row] = await queries.rows<{ id: number }>(
        "INSERT INTO faceid_galleries (name, model, model_digest, dimensions, template) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        [name, model.name, model.digest, model.dimensions, model.template],
      );
      await record(queries, { id: row!.id, actor }, "created", null, { model: model.name });
    });
    return true;
  } catch (error) {
    // Another process made it meanwhile.
    if (!isUniqueViolation(error)) throw error;
    return false;
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
  /** Whether opening it made it. */
  readonly isNew: boolean;
  readonly #scope: GalleryScope;
  readonly #photoKey: string | undefined;
  readonly #shared: Shared;

  private constructor(
    database: Database,
    row: GalleryRow,
    actor: string,
    photoKey: string | undefined,
    { isNew = false, shared = freshShared() }: { readonly isNew?: boolean; readonly shared?: Shared } = {},
  ) {
    this.#shared = shared;
    this.isNew = isNew;
    this.name = row.name;
    const { model, modelDigest: digest, dimensions, template } = row;
    this.model = { name: model, digest, dimensions, template };
    this.#photoKey = photoKey;
    this.#scope = new GalleryScope(database, row.id, actor);
    this.people = new People(this.#scope, digest);
    this.faces = new Faces(this.#scope, this.model, photoBox(photoKey));
  }

  /**
   * Opens a gallery.
   * @param address a folder, or `postgres://user:password@host/database` of a server with pgvector.
   * @throws FaceError `GALLERY_NOT_FOUND` without `create`; `GALLERY_MISMATCH` when it holds another model's embeddings;
   *   `GALLERY_UNAVAILABLE`, `GALLERY_INVALID`, `DISK_FULL`; `INTERRUPTED` on the signal.
   */
  static async open(address: string, options: OpenGalleryOptions = {}): Promise<Gallery> {
    checkOptions("Gallery.open, the address", given.text, address);
    checkOptions("Gallery.open", z.strictObject(openGalleryOptions), options);
    const { name = DEFAULT_NAME, create, actor = currentUser(), photoKey, signal } = options;
    checkName(name);
    const key = photoKey ?? (process.env.FACEID_GALLERY_KEY || undefined);
    // A key that is none is refused before anything is made.
    photoBox(key);
    let isNew = false;
    const prepare = async (database: Database) => {
      await migrate(database);
      const row = await readRow(database, name);
      if (row === undefined && create !== undefined) isNew = await createRow(database, name, create, actor);
    };
    const database = await openDatabase(address, { fill: create && prepare, signal });
    try {
      await prepare(database);
      const row = await readRow(database, name);
      if (row === undefined) {
        throw new FaceError("GALLERY_NOT_FOUND", `there is no gallery ${name} in ${database.address}`, {
          hint: "faceid gallery create makes one; faceid gallery enrol FOLDER fills it from a folder of people",
        });
      }
      const gallery = new Gallery(database, row, actor, key, { isNew });
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
    const { name: model, digest: modelDigest, dimensions, template } = this.model;
    const row = { id, name: this.name, model, modelDigest, dimensions, template };
    return new Gallery(database, row, actor, this.#photoKey, { shared: this.#shared });
  }

  /**
   * Runs changes of the gallery in one transaction: all of them are kept, or none.
   * @param work takes the gallery as it is within the transaction, which nobody else sees.
   */
  async transaction<T>(work: (gallery: Gallery) => Promise<T>): Promise<T> {
    const { database, id, actor } = this.#scope;
    const { name: model, digest: modelDigest, dimensions, template } = this.model;
    const row = { id, name: this.name, model, modelDigest, dimensions, template };
    return await database.transaction((queries) =>
      work(new Gallery(withinTransaction(database.address, queries), row, actor, this.#photoKey)),
    );
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
    checkOptions("search, the limit", given.count, limit);
    const state = await this.#indexState();
    const fromIndex = state?.indexed ? candidatesOf(state, await this.comparisons()) : undefined;
    return await nearestPeople(this.#scope, this.model, embedding, { limit, fromIndex, without });
  }

  /**
   * How many comparisons a search makes: one with each person, or one with each face. From ten thousand on the number may be ten
   * seconds old: counting takes as long as searching then, and a few more people change no threshold.
   */
  async comparisons(): Promise<number> {
    const { count, countedAt } = this.#shared;
    if (count >= COUNTED_RARELY && Date.now() - countedAt < COUNTED_EVERY_MS) return count;
    this.#shared.count = await countSearched(this.#scope, this.model);
    this.#shared.countedAt = Date.now();
    return this.#shared.count;
  }

  /** Records that somebody searched: how many faces, and who was found. A gallery that cannot be written to records nothing. */
  async recordSearch(faces: number, matches: readonly string[]): Promise<void> {
    try {
      await this.#scope.change("searched", null, async () => ({ faces, matches }));
    } catch (error) {
      if (!isReadOnly(error)) throw error;
    }
  }

  /** What happened, oldest first, from after an event's id. */
  async events(page: { readonly after?: number; readonly limit?: number } = {}): Promise<GalleryEvent[]> {
    checkOptions("events", eventsPage, page);
    return await listEvents(this.#scope, page);
  }

  /**
   * What happened to a person, and to those who were merged into that person, oldest first.
   * With `searches`, also the searches that found the person.
   */
  async eventsOf(
    personId: string,
    { searches = false }: { readonly searches?: boolean } = {},
  ): Promise<GalleryEvent[]> {
    const people = new Set([personId]);
    for (let size = 0; size < people.size; ) {
      size = people.size;
      const events = await listEvents(this.#scope, { people: [...people], limit: EVENTS_OF_PERSON });
      for (const { detail } of events) if (typeof detail.merged === "string") people.add(detail.merged);
    }
    return await listEvents(this.#scope, { people: [...people], searches, limit: EVENTS_OF_PERSON });
  }

  /**
   * Counts what needs somebody's attention, and measures the index: searches use it from now on, or no longer, by what comes out. It waits
   * for another process that builds one.
   * @param options with a signal that stops the wait and the measurement.
   * @throws FaceError `INTERRUPTED` on the signal, or when the gallery is closed.
   */
  async check({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<GalleryHealth> {
    const health = await this.counts();
    const stop = this.#stopFor(signal);
    this.#shared.index = await remeasureIndex(this.#scope, this.model, await this.comparisons(), stop);
    this.#shared.indexReadAt = Date.now();
    const index = await this.indexUse();
    const isThere = this.#shared.index?.indexed === true && index !== undefined;
    return { ...health, ...(isThere ? { recall: index.recall } : {}), ...(index && { index }) };
  }

  /** What the index finds and whether searches use it; undefined where none was measured. */
  async indexUse(): Promise<GalleryIndex | undefined> {
    const state = await this.#indexState();
    // Where nobody was enrolled, nothing was measured.
    if (state === undefined || state.measure === null || state.measure.searches === 0) return undefined;
    return { ...state.measure, used: candidatesOf(state, await this.comparisons()) !== undefined };
  }

  /** The same without measuring the index, which takes long. */
  async counts(): Promise<Omit<GalleryHealth, "recall" | "index">> {
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
    return health!;
  }

  /**
   * Builds the index once there are so many faces that searching without takes long, and measures it: one that misses more than one in
   * a hundred of the people whom an exact search finds is dropped; see docs/scaling.md. In PostgreSQL others enrol meanwhile.
   * @param options what stops it; nothing half-built is left then. The build in a folder occupies the thread, so that no signal can be
   *   aborted before it ends.
   * @returns whether searches use an index from now on.
   * @throws FaceError `INTERRUPTED` on the signal, or when the gallery is closed.
   */
  async index(from = INDEX_FROM, { signal, onBuild }: IndexOptions = {}): Promise<boolean> {
    checkOptions("index, the number of people", given.whole, from);
    if (this.model.dimensions > MAX_INDEXED_DIMENSIONS) return false;
    const count = await this.comparisons();
    const state = await this.#indexState();
    // An index of nobody finds nobody, whatever it would find of others.
    if (state === undefined || (!state.indexed && count < Math.max(from, 1))) return false;
    if (isSettled(state, count)) return candidatesOf(state, count) !== undefined;
    const provided = await this.#provided(count, { signal: this.#stopFor(signal), onBuild });
    this.#shared.index = provided;
    this.#shared.indexReadAt = Date.now();
    return provided !== undefined && candidatesOf(provided, count) !== undefined;
  }

  /** The index of one build for all who ask this process. If the caller that began it stops it, another one begins anew. */
  async #provided(count: number, options: BuildOptions): Promise<IndexState | undefined> {
    const shared = this.#shared;
    for (;;) {
      const others = shared.building;
      if (others === undefined) {
        shared.building = provideIndex(this.#scope, this.model, count, options).finally(() => {
          shared.building = undefined;
        });
        return await shared.building;
      }
      try {
        return await unlessStopped(others, options.signal);
      } catch (error) {
        const isStopped = error instanceof FaceError && error.code === "INTERRUPTED";
        if (!isStopped || options.signal.aborted) throw error;
      }
    }
  }

  /** Stops what waits, by a caller's signal and when the gallery is closed. */
  #stopFor(signal: AbortSignal | undefined): AbortSignal {
    const closing = this.#shared.closing.signal;
    return signal === undefined ? closing : AbortSignal.any([signal, closing]);
  }

  /**
   * Makes the gallery another model's. Faces keep their embeddings, and are not found, until `faces.replace` gives them new ones.
   * @returns the gallery as it is now.
   */
  async changeModel(model: GalleryModel): Promise<Gallery> {
    checkOptions("changeModel", modelSchema, model);
    const { id, database, actor } = this.#scope;
    const change = () =>
      this.#scope.change("reindexed", null, async (queries) => {
        await dropIndex(queries, id);
        await queries.rows(
          `UPDATE faceid_galleries SET model = $2, model_digest = $3, dimensions = $4, template = $5,
             indexed = false, index_measure = NULL WHERE id = $1`,
          [id, model.name, model.digest, model.dimensions, model.template],
        );
        await queries.rows("UPDATE faceid_people SET centroid = NULL WHERE gallery_id = $1", [id]);
        return { from: this.model.name, to: model.name };
      });
    await withoutBuilders(database, this.#shared.closing.signal, change);
    return new Gallery(database, (await readRow(database, this.name))!, actor, this.#photoKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shared.closing.abort();
    await this.#scope.database[Symbol.asyncDispose]();
  }

  async #indexState(): Promise<IndexState | undefined> {
    const shared = this.#shared;
    if (Date.now() - shared.indexReadAt >= INDEX_READ_EVERY_MS) {
      shared.index = await readIndex(this.#scope.database, this.#scope.id, this.model);
      shared.indexReadAt = Date.now();
    }
    return shared.index;
  }
}

/** The galleries of a database. */
export async function listGalleries(database: Database): Promise<{ name: string; model: string }[]> {
  await migrate(database);
  return await database.rows("SELECT name, model FROM faceid_galleries ORDER BY name");
}
