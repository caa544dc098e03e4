/** @file A gallery as a file of JSON lines: what the gallery is, a line for each person with faces and events, and counts. For
 * moving to another store, and for giving a person what is kept about them.
 */
import { z } from "zod";
import type { EnrolledFace } from "./faces.ts";
import type { Gallery } from "./gallery.ts";
import type { Person } from "./people.ts";

const FORMAT = "faceid-gallery";
/** Version 1 had no last line with counts. */
export const VERSION = 2;
const PAGE = 200;
/** Characters of photographs in one line; a person with more has several lines. */
const MOST_PHOTOGRAPHS = 2 ** 26;

const base64 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

/** Told from the head's other fields, so that each is refused in its own words. */
export const formatSchema = z.object({ format: z.literal(FORMAT), version: z.number() });

export const headSchema = z.object({
  model: z.object({
    name: z.string().min(1),
    digest: z.string().min(1),
    dimensions: z.number().int().positive(),
    template: z.enum(["centroid", "best"]),
  }),
});

const faceSchema = z.object({
  /** Little-endian float32 in base64. */
  embedding: z.base64(),
  /** Absent in files of version 1, whose faces are all of the head's model. */
  modelDigest: z.string().optional(),
  box: z.array(z.number()).length(4).nullable(),
  quality: z.record(z.string(), z.unknown()),
  source: z.string().nullable(),
  photoDigest: z.string().min(1),
  photo: z.base64().optional(),
});
export type FaceEntry = z.output<typeof faceSchema>;

export const personSchema = z.object({
  id: z.uuid().optional(),
  name: z.string(),
  notes: z.record(z.string(), z.unknown()),
  consent: z.object({ given: z.string(), how: z.string() }).nullable(),
  expiresAt: z.iso
    .datetime()
    .transform((text) => new Date(text))
    .nullable(),
  faces: z.array(faceSchema),
});
export type PersonEntry = z.output<typeof personSchema>;

export const endSchema = z.object({ end: z.literal(true), people: z.number(), faces: z.number() });

type FoundFace = EnrolledFace & { readonly embedding: Float32Array };

async function faceEntry(gallery: Gallery, face: FoundFace): Promise<z.input<typeof faceSchema>> {
  const { id, embedding, box, quality, source, photoDigest, modelDigest } = face;
  const photo = face.hasPhoto ? await gallery.faces.photo(id) : undefined;
  return {
    embedding: base64(new Uint8Array(embedding.buffer)),
    modelDigest,
    box: box as number[] | null,
    quality,
    source,
    photoDigest,
    ...(photo === undefined ? {} : { photo: base64(photo) }),
  };
}

/** A person's line; several where there are many photographs, the events in the first. */
async function* personLines(gallery: Gallery, person: Person): AsyncGenerator<string> {
  const line = (faces: readonly object[], events: readonly object[]) =>
    JSON.stringify({ ...person, faces, events });
  let events: readonly object[] = await gallery.eventsOf(person.id, { searches: true });
  let faces: z.input<typeof faceSchema>[] = [];
  let size = 0;
  for (const face of await gallery.faces.withEmbeddings(person.id)) {
    const entry = await faceEntry(gallery, face);
    size += entry.photo?.length ?? 0;
    faces.push(entry);
    if (size < MOST_PHOTOGRAPHS) continue;
    yield line(faces, events);
    [events, faces, size] = [[], [], 0];
  }
  if (faces.length > 0 || person.faces === 0) yield line(faces, events);
}

async function* peopleOf(gallery: Gallery): AsyncGenerator<Person> {
  for (let after = ""; ; ) {
    const people = await gallery.people.list({ after, limit: PAGE });
    if (people.length === 0) return;
    yield* people;
    after = people.at(-1)!.name;
  }
}

/** What an export wrote. */
export interface ExportSummary {
  readonly people: number;
  readonly faces: number;
}

/**
 * The lines of a gallery's file; the generator's result is what they hold.
 * @param who one person only.
 * @throws FaceError `PERSON_NOT_FOUND`; `CONFIG_INVALID` for photographs that the key does not open.
 */
export async function* exportLines(gallery: Gallery, who?: string): AsyncGenerator<string, ExportSummary> {
  const chosen = who === undefined ? peopleOf(gallery) : [await gallery.people.get(who)];
  yield JSON.stringify({ format: FORMAT, version: VERSION, gallery: gallery.name, model: gallery.model });
  const counts = { people: 0, faces: 0 };
  for await (const person of chosen) {
    for await (const line of personLines(gallery, person)) yield line;
    counts.people++;
    counts.faces += person.faces;
  }
  yield JSON.stringify({ end: true, ...counts });
  return counts;
}
