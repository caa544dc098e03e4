/** @file The fields of the galleries' answers, checked without the schemas, which would double the page's size. */
import type { z } from "zod";
import type {
  enrolment,
  event,
  eventsPage,
  face,
  facesPage,
  galleries,
  gallery,
  identification,
  identifications,
  peoplePage,
  person,
  service,
  verification,
} from "../api/schemas.ts";

type Simple = "text" | "number" | "flag" | "object";
/** What a field holds: a value of a kind, a list of objects with their fields, or an object with its fields. */
type Kind = Simple | `${Simple} or null` | { readonly each: Fields } | { readonly with: Fields } | "list";
/** Names of fields that must be there. */
export type Fields = Readonly<Record<string, Kind>>;

/** The fields of an answer that always has them. */
type FieldsOf<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: Kind };

const PERSON = {
  id: "text",
  name: "text",
  notes: "object",
  consent: "object or null",
  expiresAt: "text or null",
  version: "number",
  createdAt: "text",
  updatedAt: "text",
  faces: "number",
} satisfies FieldsOf<z.output<typeof person>>;

const FACE = {
  id: "text",
  source: "text or null",
  box: "object or null",
  quality: "object",
  hasPhoto: "flag",
  isCurrent: "flag",
  createdAt: "text",
} satisfies FieldsOf<z.output<typeof face>>;

const EVENT = {
  id: "number",
  at: "text",
  action: "text",
  actor: "text",
  personId: "text or null",
  detail: "object",
} satisfies FieldsOf<z.output<typeof event>>;

const FOUND_FACE = {
  box: "list",
  landmarks: "list",
  score: "number",
  quality: "object",
  warnings: "list",
} satisfies Fields;

const IDENTIFIED = {
  people: "number",
  faces: {
    each: {
      ...FOUND_FACE,
      match: "flag",
      matches: "number",
      candidates: { each: { id: "text", person: "text", similarity: "number" } },
    },
  },
} satisfies FieldsOf<z.output<typeof identification>>;

/** Answer → the fields that it must have. */
export const ANSWERS = {
  person: PERSON,
  people: { people: { each: PERSON }, next: "text or null" } satisfies FieldsOf<z.output<typeof peoplePage>>,
  faces: { faces: { each: FACE } } satisfies FieldsOf<z.output<typeof facesPage>>,
  enrolment: {
    face: { with: FACE },
    isNew: "flag",
    warnings: "list",
    resembles: "object or null",
  } satisfies FieldsOf<z.output<typeof enrolment>>,
  events: { events: { each: EVENT }, next: "text or null" } satisfies FieldsOf<z.output<typeof eventsPage>>,
  identification: IDENTIFIED,
  identifications: {
    people: "number",
    photographs: { each: { image: "text" } },
  } satisfies FieldsOf<z.output<typeof identifications>>,
  verification: {
    person: { with: { id: "text", name: "text" } },
    same: "flag",
    similarity: "number",
    threshold: "number",
    face: { with: { ...FOUND_FACE, number: "number", found: "number" } },
  } satisfies FieldsOf<z.output<typeof verification>>,
  gallery: {
    name: "text",
    model: "text",
    people: "number",
    faces: "number",
    photos: "number",
    withoutFaces: "number",
    expired: "number",
    stale: "number",
  } satisfies FieldsOf<z.output<typeof gallery>>,
  galleries: { galleries: { each: { name: "text", model: "text" } } } satisfies FieldsOf<
    z.output<typeof galleries>
  >,
  service: {
    version: "text",
    galleries: "list",
    model: { with: { name: "text", measure: "text", calibration: "object or null" } },
  } satisfies FieldsOf<z.output<typeof service>>,
} as const;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

const SIMPLE: Readonly<Record<Simple, (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  flag: (value) => typeof value === "boolean",
  object: isObject,
};

const wantedText = (kind: Kind): string =>
  typeof kind === "string" ? kind : "each" in kind ? "list of objects" : "object";

/** The path of the first field that is not of its kind, with what it should be; undefined where all are. */
function wrongValue(value: unknown, kind: Kind, path: string): string | undefined {
  const wrong = `${path} is no ${wantedText(kind)}`;
  if (kind === "list") return Array.isArray(value) ? undefined : wrong;
  if (typeof kind === "object") {
    if ("with" in kind) return isObject(value) ? wrongField(value, kind.with, path) : wrong;
    if (!Array.isArray(value)) return wrong;
    return firstOf(value.entries(), ([i, each]) => wrongValue(each, { with: kind.each }, `${path}[${i}]`));
  }
  const [simple, orNull] = kind.split(" ") as [Simple, string?];
  return SIMPLE[simple](value) || (orNull !== undefined && value === null) ? undefined : wrong;
}

function firstOf<T>(values: Iterable<T>, check: (value: T) => string | undefined): string | undefined {
  for (const value of values) {
    const found = check(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The first field of an answer that is missing or of another kind, such as `people[3].name is no text`. Fields beyond the wanted ones,
 * which a newer server may send, are let through.
 */
export function wrongField(value: unknown, fields: Fields, path = ""): string | undefined {
  if (!isObject(value)) return `it is no object`;
  return firstOf(Object.entries(fields), ([name, kind]) =>
    wrongValue(value[name], kind, path === "" ? name : `${path}.${name}`),
  );
}
