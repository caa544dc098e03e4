/** @file One gallery in a database and who acts on it: what the parts of a gallery share. */
import { FaceError, messageOf } from "../base/errors.ts";
import type { Database, Queries } from "./database.ts";

/** What happened in a gallery. */
export type Action =
  | "created"
  | "enrolled"
  | "added"
  | "changed"
  | "merged"
  | "deleted"
  | "searched"
  | "reindexed";

export interface GalleryEvent {
  readonly id: number;
  readonly at: Date;
  readonly action: Action;
  /** Who did it: a key's name, or the user of the command. */
  readonly actor: string;
  /** The person it concerns, who may be gone. */
  readonly personId: string | null;
  /** Numbers and field names; never a stranger's face or a deleted person's name. */
  readonly detail: Readonly<Record<string, unknown>>;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
export const isUuid = (text: string): boolean => UUID.test(text);
/** An id for SQL; what is none has no row. */
export const asUuid = (id: string): string | null => (isUuid(id) ? id : null);

/** Why JSON.stringify refuses a value. */
function whyNoJson(error: unknown): string {
  if (error instanceof RangeError) return "they are nested too deeply";
  const text = messageOf(error);
  if (/circular/.test(text)) return "they hold an object that holds itself";
  return /BigInt/.test(text) ? "they hold a BigInt" : text;
}

/**
 * An object as a database keeps it.
 * @param what it is, in the plural, for the error.
 * @throws FaceError `CONFIG_INVALID` for what JSON does not have.
 */
export function jsonText(what: string, value: object): string {
  const refused = (why: string, cause?: unknown) =>
    new FaceError("CONFIG_INVALID", `${what} cannot be kept: ${why}`, {
      hint: "pass what JSON has: texts, finite numbers, true, false, null, and lists and objects of these",
      cause,
    });
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw refused(whyNoJson(error), error);
  }
  // What has a `toJSON` of its own may become anything.
  if (text?.startsWith("{") !== true) throw refused(`as JSON they are ${text ?? "nothing"}, not an object`);
  return text;
}

/** Details of an event; may be empty. */
type Detail = Readonly<Record<string, unknown>>;

export class GalleryScope {
  readonly database: Database;
  readonly id: number;
  readonly actor: string;

  constructor(database: Database, id: number, actor: string) {
    this.database = database;
    this.id = id;
    this.actor = actor;
  }

  /** Runs a change and records it, both or neither. */
  async change(
    action: Action,
    personId: string | null,
    work: (queries: Queries) => Promise<Detail>,
  ): Promise<void> {
    await this.database.transaction(async (queries) => {
      const detail = await work(queries);
      await record(queries, this, action, personId, detail);
    });
  }
}

/** Writes one event. */
export async function record(
  queries: Queries,
  { id, actor }: Pick<GalleryScope, "id" | "actor">,
  action: Action,
  personId: string | null,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await queries.rows(
    `INSERT INTO faceid_events (gallery_id, action, actor, person_id, detail) VALUES ($1, $2, $3, $4, $5::jsonb)`,
    [id, action, actor, personId, JSON.stringify(detail)],
  );
}

export interface EventPage {
  /** Events with larger ids. */
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
  /** Only what concerns these people. */
  readonly people?: readonly string[] | undefined;
  /** Whether searches that found them concern them too. Default false. */
  readonly searches?: boolean | undefined;
}

/** Events, oldest first. */
export async function listEvents(
  { database, id }: Pick<GalleryScope, "database" | "id">,
  { after = 0, limit = 100, people, searches = false }: EventPage,
): Promise<GalleryEvent[]> {
  return await database.rows<GalleryEvent>(
    `SELECT id::float8 AS id, at, action, actor, person_id AS "personId", detail FROM faceid_events
     WHERE gallery_id = $1 AND id > $2 AND ($4::uuid[] IS NULL OR person_id = ANY($4::uuid[])
       OR ($5 AND action = 'searched' AND detail->'matches' ?| $4::uuid[]::text[])) ORDER BY id LIMIT $3`,
    [id, after, limit, people?.filter(isUuid) ?? null, searches],
  );
}
