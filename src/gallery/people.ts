/** @file The people of a gallery: added, found, changed, merged and removed, each with its event. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { isUniqueViolation, type Queries } from "./database.ts";
import { setCentroids } from "./faces.ts";
import { asUuid, type GalleryScope, isUuid, jsonText } from "./scope.ts";

/** That a person agreed to be enrolled. */
export interface Consent {
  /** When it was given, as a date or a time of ISO 8601. */
  readonly given: string;
  /** How: a signed form, a check box, a contract. */
  readonly how: string;
}

export interface Person {
  readonly id: string;
  readonly name: string;
  /** Whatever the application keeps beside; any JSON object. */
  readonly notes: Readonly<Record<string, unknown>>;
  readonly consent: Consent | null;
  /** From then on the person is no longer found by searches. */
  readonly expiresAt: Date | null;
  /** Rises with each change. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** How many faces are enrolled. */
  readonly faces: number;
}

/** What can be said of a person; what is left out stays as it is, `null` clears it. */
export interface PersonChanges {
  readonly name?: string | undefined;
  readonly notes?: Readonly<Record<string, unknown>> | undefined;
  readonly consent?: Consent | null | undefined;
  readonly expiresAt?: Date | null | undefined;
}

export interface PeoplePage {
  /** Names after this one; for the next page, the last name of this one. */
  readonly after?: string | undefined;
  /** Default 100, at most 10,000. */
  readonly limit?: number | undefined;
  /** Only names that contain this text, in any case. */
  readonly search?: string | undefined;
}

const COLUMNS = `p.id, p.name, p.notes, p.consent, p.expires_at AS "expiresAt", p.version,
  p.created_at AS "createdAt", p.updated_at AS "updatedAt",
  (SELECT count(*)::int FROM faceid_faces f WHERE f.person_id = p.id) AS faces`;

const [NOTES, CONSENT] = ["a person's notes", "the words of a person's consent"];
const MAX_NAME = 200;
/** A server looks one further than the 1,000 that it may be asked for, for whether there is a next page. */
const MAX_PAGE = 10_000;
/** Control characters, line breaks, halves of characters, and marks that change the direction of the text around them. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
/** Without one a name cannot be seen. */
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * A name as it is kept: composed (NFC) and trimmed, so that one spelling is one person.
 * @throws FaceError `CONFIG_INVALID` for an empty, unprintable or overlong name.
 */
export function personName(name: string): string {
  const composed = name.normalize("NFC").trim();
  const { length } = [...composed];
  if (VISIBLE.test(composed) && length <= MAX_NAME && !UNPRINTABLE.test(composed)) return composed;
  const came = length > MAX_NAME ? `${length} characters` : JSON.stringify(composed);
  throw new FaceError(
    "CONFIG_INVALID",
    `a person's name: got ${came}, expected 1 to ${MAX_NAME} printable characters`,
    { hint: "choose a name without line breaks and invisible characters" },
  );
}

const notFound = (who: string) =>
  new FaceError("PERSON_NOT_FOUND", `there is nobody called ${JSON.stringify(who)} in the gallery`, {
    hint: "faceid gallery list shows the people",
  });

const changed = (who: string) =>
  new FaceError("PERSON_CHANGED", `${who} was changed by somebody else meanwhile`, {
    hint: "read the person again and repeat the change",
  });

const taken = (name: string, cause: unknown) =>
  new FaceError("PERSON_EXISTS", `the gallery has a person called ${JSON.stringify(name)} already`, {
    hint: "choose another name, or add the photographs to that person",
    cause,
  });

/** What can be said of a person, as far as it is not text that `personName` checks. */
const saidSchema = z.object({
  notes: z.custom<object>(isRecord, "an object such as { badge: 7 }").optional(),
  consent: z.object({ given: z.string(), how: z.string() }).nullable().optional(),
  expiresAt: z
    .custom<Date>((value) => value instanceof Date && !Number.isNaN(value.getTime()), "a valid Date")
    .nullable()
    .optional(),
});

const pageSchema = z.object({
  after: z.string(),
  limit: z.number().int().min(1).max(MAX_PAGE),
  search: z.string(),
});

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Notes or a consent as the database keeps them. @throws FaceError `CONFIG_INVALID` for what JSON does not have. */
const json = (what: string, value: object | null) => (value === null ? null : jsonText(what, value));

export class People {
  readonly #scope: GalleryScope;
  readonly #digest: string;

  /** @param digest of the model whose faces a search compares with. */
  constructor(scope: GalleryScope, digest: string) {
    this.#scope = scope;
    this.#digest = digest;
  }

  /**
   * Adds a person without a face, whom no search finds yet.
   * @param id a UUID that no person of the database has. Default: a new one.
   * @throws FaceError `PERSON_EXISTS` when the name is taken.
   */
  async add(
    name: string,
    { notes = {}, consent = null, expiresAt = null }: Omit<PersonChanges, "name"> = {},
    id: string = randomUUID(),
  ): Promise<Person> {
    const spelled = personName(name);
    checkOptions("people.add", saidSchema, { notes, consent, expiresAt });
    await this.#scope.change("enrolled", id, async (queries) => {
      await unique(spelled, () =>
        queries.rows(
          `INSERT INTO faceid_people (id, gallery_id, name, notes, consent, expires_at)
           VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6)`,
          [id, this.#scope.id, spelled, json(NOTES, notes), json(CONSENT, consent), expiresAt],
        ),
      );
      return {};
    });
    return await this.get(id);
  }

  /** @throws FaceError `PERSON_NOT_FOUND`. @param who an id or a name; an id comes before a name that looks like one. */
  async get(who: string): Promise<Person> {
    return await this.#get(this.#scope.database, who);
  }

  /** The person of that name, if there is one. */
  async named(name: string): Promise<Person | undefined> {
    const [person] = await this.#scope.database.rows<Person>(
      `SELECT ${COLUMNS} FROM faceid_people p WHERE p.gallery_id = $1 AND p.name = $2`,
      [this.#scope.id, personName(name)],
    );
    return person;
  }

  /** The person of that id, if there is one. */
  async withId(id: string): Promise<Person | undefined> {
    const [person] = await this.#scope.database.rows<Person>(
      `SELECT ${COLUMNS} FROM faceid_people p WHERE p.gallery_id = $1 AND p.id = $2::uuid`,
      [this.#scope.id, asUuid(id)],
    );
    return person;
  }

  /** Whether nobody in any gallery of the database has an id. */
  async isFree(id: string): Promise<boolean> {
    const rows = await this.#scope.database.rows("SELECT 1 FROM faceid_people WHERE id = $1::uuid", [
      asUuid(id),
    ]);
    return rows.length === 0;
  }

  /** One page of the people, in the order of their names' code points. */
  async list({ after = "", limit = 100, search = "" }: PeoplePage = {}): Promise<Person[]> {
    checkOptions("people.list", pageSchema, { after, limit, search });
    return await this.#scope.database.rows<Person>(
      `SELECT ${COLUMNS} FROM faceid_people p
       WHERE p.gallery_id = $1 AND p.name COLLATE "C" > $2 AND strpos(lower(p.name), lower($3)) > 0
       ORDER BY p.name COLLATE "C" LIMIT $4`,
      [this.#scope.id, after, search.normalize("NFC"), limit],
    );
  }

  /**
   * Changes what is said of a person.
   * @param version when given, the change is refused unless the person still has it.
   * @throws FaceError `PERSON_NOT_FOUND`, `PERSON_EXISTS`, or `PERSON_CHANGED`.
   */
  async update(who: string, changes: PersonChanges, version?: number): Promise<Person> {
    checkOptions("people.update, the version", given.whole.optional(), version);
    const { id, version: current } = await this.get(who);
    const name = changes.name === undefined ? undefined : personName(changes.name);
    const { notes, consent, expiresAt } = changes;
    checkOptions("people.update", saidSchema, { notes, consent, expiresAt });
    const said = Object.entries({ name, notes, consent, expiresAt }).filter(
      ([, value]) => value !== undefined,
    );
    await this.#scope.change("changed", id, async (queries) => {
      const rows = await unique(name ?? "", () =>
        queries.rows(
          `UPDATE faceid_people SET
             name = CASE WHEN $3 THEN $4 ELSE name END,
             notes = CASE WHEN $5 THEN $6::jsonb ELSE notes END,
             consent = CASE WHEN $7 THEN $8::jsonb ELSE consent END,
             expires_at = CASE WHEN $9 THEN $10::timestamptz ELSE expires_at END,
             version = version + 1, updated_at = now()
           WHERE id = $1 AND version = $2 RETURNING id`,
          [
            id,
            version ?? current,
            name !== undefined,
            name ?? null,
            notes !== undefined,
            json(NOTES, notes ?? null),
            consent !== undefined,
            json(CONSENT, consent ?? null),
            expiresAt !== undefined,
            expiresAt ?? null,
          ],
        ),
      );
      if (rows.length === 0) throw changed(who);
      return { fields: said.map(([key]) => key) };
    });
    return await this.get(id);
  }

  /** Moves all faces of one person to another and removes the first; a photograph that both have is kept once. */
  async merge(from: string, into: string): Promise<Person> {
    const [source, target] = [await this.get(from), await this.get(into)];
    if (source.id === target.id) {
      throw new FaceError("CONFIG_INVALID", `${from} and ${into} are one person already`);
    }
    await this.#scope.change("merged", target.id, async (queries) => {
      await queries.rows(
        `UPDATE faceid_faces f SET person_id = $2 WHERE person_id = $1 AND NOT EXISTS
           (SELECT 1 FROM faceid_faces g WHERE g.person_id = $2 AND g.photo_digest = f.photo_digest)`,
        [source.id, target.id],
      );
      await removeRow(queries, source);
      await queries.rows("UPDATE faceid_people SET version = version + 1, updated_at = now() WHERE id = $1", [
        target.id,
      ]);
      await setCentroids(queries, this.#digest, [target.id]);
      return { merged: source.id };
    });
    return await this.get(target.id);
  }

  /**
   * Removes a person with all faces and kept photographs; only the event with the id stays.
   * @param version when given, nothing is removed unless the person still has it.
   * @throws FaceError `PERSON_NOT_FOUND`, or `PERSON_CHANGED`.
   */
  async remove(who: string, version?: number): Promise<Person> {
    checkOptions("people.remove, the version", given.whole.optional(), version);
    const person = await this.get(who);
    await this.#scope.change("deleted", person.id, async (queries) => {
      await removeRow(queries, person, version);
      return { faces: person.faces };
    });
    return person;
  }

  async #get(queries: Queries, who: string): Promise<Person> {
    const name = who.normalize("NFC").trim();
    const byId = isUuid(name);
    const [person] = await queries.rows<Person>(
      `SELECT ${COLUMNS} FROM faceid_people p
       WHERE p.gallery_id = $1 AND ${byId ? "(p.id = lower($2)::uuid OR p.name = $2)" : "p.name = $2"}
       ORDER BY p.name = $2 LIMIT 1`,
      [this.#scope.id, name],
    );
    if (person === undefined) throw notFound(who);
    return person;
  }
}

/** @throws FaceError `PERSON_NOT_FOUND` when somebody else removed the person meanwhile, `PERSON_CHANGED` for another version. */
async function removeRow(
  queries: Queries,
  { id, name }: Pick<Person, "id" | "name">,
  version?: number,
): Promise<void> {
  const rows = await queries.rows(
    "DELETE FROM faceid_people WHERE id = $1 AND ($2::int IS NULL OR version = $2) RETURNING id",
    [id, version ?? null],
  );
  if (rows.length === 0) throw version === undefined ? notFound(name) : changed(name);
}

async function unique<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isUniqueViolation(error) ? taken(name, error) : error;
  }
}
