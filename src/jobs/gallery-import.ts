/** @file Reads a gallery's file: first all of it is checked, then all of it is taken in one transaction. */

import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import { issueText } from "../base/check-options.ts";
import { asFaceError, FaceError, messageOf } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import { linesOf } from "../data/lines.ts";
import { hasItsLength } from "../gallery/faces.ts";
import {
  Gallery,
  type GalleryIndex,
  type GalleryModel,
  type IndexOptions,
  type OpenGalleryOptions,
} from "../gallery/gallery.ts";
import {
  endSchema,
  type FaceEntry,
  formatSchema,
  headSchema,
  type PersonEntry,
  personSchema,
  VERSION,
} from "../gallery/gallery-file.ts";
import { type Person, personName } from "../gallery/people.ts";
import { digestOfPhoto } from "../gallery/photo-box.ts";
import { indexed } from "./gallery.ts";

/** What an import did. */
export interface ImportSummary {
  /** People of the file. */
  readonly people: number;
  /** Of these, people whom the gallery did not have. */
  readonly added: number;
  /** People who were there and got faces. */
  readonly changed: number;
  /** People who were there with all of these faces. */
  readonly unchanged: number;
  /** Faces that went in. */
  readonly faces: number;
  /** What the gallery's index finds, where one was built. */
  readonly index?: GalleryIndex;
}

const HINT = "nothing was imported; give a whole file that faceid gallery export wrote";
const damaged = (where: string, why: string, cause?: unknown) =>
  new FaceError("FILE_INVALID", `${where}: ${why}`, { hint: HINT, cause });

function parsed<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw damaged(where, issueText(result.error.issues[0]!, value), result.error);
}

function jsonOf(line: Buffer, where: string): unknown {
  try {
    // A byte-order mark is left out.
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch (error) {
    throw damaged(where, "the line is cut, damaged, or no JSON", error);
  }
}

function modelOf(value: unknown, where: string): { model: GalleryModel; version: number } {
  const known = formatSchema.safeParse(value);
  if (!known.success) throw damaged(where, "this is no gallery's file");
  const { version } = known.data;
  if (version > VERSION || version < 1) {
    throw damaged(where, `the file has version ${version}; this program reads versions up to ${VERSION}`);
  }
  return { version, model: parsed(headSchema, value, where).model };
}

const embeddingOf = (text: string): Float32Array => {
  const bytes = Buffer.from(text, "base64");
  return Float32Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i));
};

function checkFace(face: FaceEntry, model: GalleryModel, where: string): void {
  const { modelDigest = model.digest, embedding, photo, photoDigest } = face;
  if (modelDigest !== model.digest) {
    throw new FaceError("GALLERY_MISMATCH", `${where}: another model than the gallery's made its embedding`, {
      hint: "nothing was imported; finish faceid gallery reindex where the file comes from, and export again",
    });
  }
  const values = embeddingOf(embedding);
  if (values.length !== model.dimensions || Buffer.byteLength(embedding, "base64") !== 4 * model.dimensions) {
    throw damaged(where, `its embedding has ${values.length} numbers, expected ${model.dimensions}`);
  }
  if (!values.every(Number.isFinite) || !hasItsLength(model, values)) {
    throw damaged(where, "its embedding is damaged");
  }
  if (photo !== undefined && digestOfPhoto(Buffer.from(photo, "base64")) !== photoDigest) {
    throw damaged(where, "its photograph is damaged: it has another digest");
  }
}

function personOf(value: unknown, model: GalleryModel, where: string): PersonEntry {
  const person = parsed(personSchema, value, where);
  for (const [i, face] of person.faces.entries()) checkFace(face, model, `${where}, face ${i + 1}`);
  try {
    return { ...person, name: personName(person.name) };
  } catch (error) {
    throw damaged(where, messageOf(error), error);
  }
}

/** A line with a person, and which one it is. */
interface Entry {
  readonly person: PersonEntry;
  readonly where: string;
  /** Whether the line before has the same person, who has many photographs. */
  readonly continues: boolean;
}

const isEnd = (value: unknown) => typeof value === "object" && value !== null && "end" in value;

/** Reads and checks a file; the first line's model comes first, and lines of people follow. */
async function* entriesOf(path: string): AsyncGenerator<GalleryModel | Entry> {
  let head: ReturnType<typeof modelOf> | undefined;
  let end: z.output<typeof endSchema> | undefined;
  let before: string | undefined;
  let [number, people, faces] = [0, 0, 0];
  for await (const line of linesOf(path, HINT)) {
    number++;
    if (line.every((byte) => byte <= 0x20)) continue;
    const where = `line ${number} of ${path}`;
    if (end !== undefined) throw damaged(where, "it stands behind the last line");
    const value = jsonOf(line, where);
    if (head === undefined) {
      head = modelOf(value, where);
      yield head.model;
    } else if (isEnd(value)) {
      end = parsed(endSchema, value, where);
    } else {
      const person = personOf(value, head.model, where);
      const continues = person.id !== undefined && person.id === before;
      before = person.id;
      people += continues ? 0 : 1;
      faces += person.faces.length;
      yield { person, where, continues };
    }
  }
  if (head === undefined) throw damaged(path, "the file is empty");
  if (head.version > 1 && end === undefined) throw damaged(path, "the file is cut: its last line is missing");
  if (end !== undefined && (end.people !== people || end.faces !== faces)) {
    const [has, says] = [
      `${countText(people)} people with ${countText(faces)} faces`,
      `${countText(end.people)} with ${countText(end.faces)}`,
    ];
    throw damaged(path, `lines are missing or were added: the file has ${has}, its last line says ${says}`);
  }
}

/** Checks a whole file. @returns the model of its embeddings. */
async function checkFile(path: string): Promise<GalleryModel> {
  let model: GalleryModel | undefined;
  for await (const entry of entriesOf(path)) if (!("person" in entry)) model = entry;
  return model!;
}

/** The person of the gallery whom an entry means: of the same id, else of the same name. */
async function foundPerson(gallery: Gallery, { person, where }: Entry): Promise<Person | undefined> {
  const { id, name, notes, consent, expiresAt } = person;
  const same = id === undefined ? undefined : await gallery.people.withId(id);
  if (same === undefined) return await gallery.people.named(name);
  const isAlike = isDeepStrictEqual(
    [same.name, same.notes, same.consent, same.expiresAt?.getTime() ?? null],
    [name, notes, consent, expiresAt?.getTime() ?? null],
  );
  if (isAlike) return same;
  throw new FaceError(
    "PERSON_CHANGED",
    `${where}: the gallery has ${JSON.stringify(same.name)} with this id, and something else is said of that person there`,
    { hint: "nothing was imported; make both say the same, or remove that person from the gallery first" },
  );
}

type Outcome = { readonly kind: "added" | "changed" | "unchanged"; readonly faces: number };

async function importPerson(gallery: Gallery, entry: Entry): Promise<Outcome> {
  const { id, name, faces, notes, consent, expiresAt } = entry.person;
  const found = await foundPerson(gallery, entry);
  // Another gallery of the same database may have the id.
  const isFree = id !== undefined && found === undefined && (await gallery.people.isFree(id));
  const said = { notes, consent, expiresAt };
  const { id: personId } = found ?? (await gallery.people.add(name, said, isFree ? id : undefined));
  const added = await gallery.faces.add(
    faces.map(({ embedding, photo, box, source, modelDigest: _, ...face }) => ({
      ...face,
      personId,
      embedding: embeddingOf(embedding),
      ...(box === null ? {} : { box }),
      ...(source === null ? {} : { source }),
      ...(photo === undefined ? {} : { photo: Buffer.from(photo, "base64") }),
    })),
  );
  const count = added.filter((face) => face !== undefined).length;
  return { kind: found === undefined ? "added" : count > 0 ? "changed" : "unchanged", faces: count };
}

/** Takes all people of a checked file. */
async function importAll(gallery: Gallery, path: string, signal?: AbortSignal): Promise<ImportSummary> {
  const counts = { people: 0, added: 0, changed: 0, unchanged: 0, faces: 0 };
  let last: Outcome["kind"] = "unchanged";
  for await (const entry of entriesOf(path)) {
    if (!("person" in entry)) continue;
    if (signal?.aborted === true) {
      throw new FaceError("INTERRUPTED", "the import was stopped", {
        hint: "nothing was imported; run the command again",
      });
    }
    const { kind, faces } = await importPerson(gallery, entry);
    counts.faces += faces;
    if (!entry.continues) {
      counts.people++;
      counts[kind]++;
      last = kind;
    } else if (last === "unchanged" && kind === "changed") {
      counts.unchanged--;
      counts.changed++;
      last = kind;
    }
  }
  return counts;
}

export interface ImportOptions extends Omit<OpenGalleryOptions, "create">, IndexOptions {}

/**
 * Adds the people of a file to a gallery, which is made where there is none: all of them, or nobody. A person whose id the gallery
 * has must be the same there in name, notes, consent and expiry; a person whose name it has gets the faces, and keeps what the
 * gallery says. The events of the file stay where they are.
 * @throws FaceError `FILE_INVALID` for a file that is cut, damaged, of another kind or of a newer version; `GALLERY_MISMATCH` for
 *   one of another model; `PERSON_CHANGED` for a person of whom the gallery says something else; `INTERRUPTED` on the signal, when
 *   nobody is imported, or everybody and only the build of the index was stopped.
 */
export async function importGallery(
  address: string,
  path: string,
  { signal, onBuild, ...options }: ImportOptions = {},
): Promise<ImportSummary> {
  try {
    const create = await checkFile(path);
    await using gallery = await Gallery.open(address, { ...options, create, signal });
    const summary = await gallery.transaction((inner) => importAll(inner, path, signal));
    return { ...summary, ...(await indexed(gallery, { signal, onBuild })) };
  } catch (error) {
    if (error instanceof FaceError) throw error;
    throw new FaceError("FILE_INVALID", `cannot read ${path}: ${messageOf(error)}`, {
      hint: asFaceError(error)?.hint,
      cause: error,
    });
  }
}
