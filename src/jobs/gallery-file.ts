/** @file A gallery as a file of JSON lines: what the gallery is, then one line for each person with faces and events. For moving
 * to another store, and for giving a person what is kept about them.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { FaceError, messageOf } from "../base/errors.ts";
import { Gallery, type OpenGalleryOptions } from "../gallery/gallery.ts";
import type { Person } from "../gallery/people.ts";

const FORMAT = "faceid-gallery";
const VERSION = 1;
const PAGE = 200;

const base64 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

const headSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  model: z.object({
    name: z.string(),
    digest: z.string(),
    dimensions: z.number().int().positive(),
    template: z.enum(["centroid", "best"]),
  }),
});

const faceSchema = z.object({
  /** Little-endian float32 in base64. */
  embedding: z.base64(),
  box: z.array(z.number()).length(4).nullable(),
  quality: z.record(z.string(), z.unknown()),
  source: z.string().nullable(),
  photoDigest: z.string(),
  photo: z.base64().optional(),
});

const personSchema = z.object({
  name: z.string(),
  notes: z.record(z.string(), z.unknown()),
  consent: z.object({ given: z.string(), how: z.string() }).nullable(),
  expiresAt: z.coerce.date().nullable(),
  faces: z.array(faceSchema),
});

async function personLine(gallery: Gallery, person: Person): Promise<string> {
  const faces: z.input<typeof faceSchema>[] = [];
  for (const { embedding, id, ...face } of await gallery.faces.withEmbeddings(person.id)) {
    const photo = face.hasPhoto ? await gallery.faces.photo(id) : undefined;
    const { box, quality, source, photoDigest } = face;
    faces.push({
      embedding: base64(new Uint8Array(embedding.buffer)),
      box: box as number[] | null,
      quality,
      source,
      photoDigest,
      ...(photo === undefined ? {} : { photo: base64(photo) }),
    });
  }
  const events = await gallery.eventsOf(person.id);
  return JSON.stringify({ ...person, faces, events });
}

/**
 * The lines of a gallery's file.
 * @param who one person only.
 * @throws FaceError `PERSON_NOT_FOUND`; `CONFIG_INVALID` for photographs that the key does not open.
 */
export async function* exportLines(gallery: Gallery, who?: string): AsyncGenerator<string> {
  const one = who === undefined ? undefined : await gallery.people.get(who);
  yield JSON.stringify({ format: FORMAT, version: VERSION, gallery: gallery.name, model: gallery.model });
  if (one !== undefined) {
    yield await personLine(gallery, one);
    return;
  }
  for (let after = ""; ; ) {
    const people = await gallery.people.list({ after, limit: PAGE });
    if (people.length === 0) return;
    for (const person of people) yield await personLine(gallery, person);
    after = people.at(-1)!.name;
  }
}

/** What an import did. */
export interface ImportSummary {
  readonly people: number;
  readonly faces: number;
}

function parsed<T>(schema: z.ZodType<T>, line: string, where: string): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).replaceAll("\n", " ") : messageOf(error);
    throw new FaceError("FILE_INVALID", `${where} is no line of a gallery's file: ${why}`, {
      hint: "give a file that faceid gallery export wrote",
      cause: error,
    });
  }
}

const embeddingOf = (text: string): Float32Array => {
  const bytes = Buffer.from(text, "base64");
  return Float32Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i));
};

async function importPerson(gallery: Gallery, person: z.output<typeof personSchema>): Promise<number> {
  const { name, faces, notes, consent, expiresAt } = person;
  const { id } =
    (await gallery.people.named(name)) ?? (await gallery.people.add(name, { notes, consent, expiresAt }));
  const added = await gallery.faces.add(
    faces.map(({ embedding, photo, box, source, ...face }) => ({
      ...face,
      personId: id,
      embedding: embeddingOf(embedding),
      ...(box === null ? {} : { box }),
      ...(source === null ? {} : { source }),
      ...(photo === undefined ? {} : { photo: Buffer.from(photo, "base64") }),
    })),
  );
  return added.filter((face) => face !== undefined).length;
}

/**
 * Adds the people of a file to a gallery, which is made where there is none; a person of the same name gets the faces.
 * @throws FaceError `FILE_INVALID` for a file of another kind, `GALLERY_MISMATCH` for one of another model.
 */
export async function importGallery(
  address: string,
  path: string,
  options: Omit<OpenGalleryOptions, "create"> = {},
): Promise<ImportSummary> {
  const input = createReadStream(path);
  const summary = { people: 0, faces: 0 };
  let gallery: Gallery | undefined;
  let number = 0;
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line.trim() === "") continue;
      const where = `line ${number} of ${path}`;
      if (gallery === undefined) {
        const { model } = parsed(headSchema, line, where);
        gallery = await Gallery.open(address, { ...options, create: model });
        continue;
      }
      summary.faces += await importPerson(gallery, parsed(personSchema, line, where));
      summary.people++;
    }
    if (gallery === undefined) throw new FaceError("FILE_INVALID", `${path} is empty`);
    await gallery.index();
    return summary;
  } catch (error) {
    if (error instanceof FaceError) throw error;
    throw new FaceError("FILE_INVALID", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    input.destroy();
    await gallery?.[Symbol.asyncDispose]();
  }
}
