/** @file The answers about people, their faces, and events. */

import { createHash } from "node:crypto";
import type { z } from "zod";
import type {
  enrolment,
  event,
  eventsPage,
  face,
  facesPage,
  gallery as gallerySchema,
  peoplePage,
  person as personSchema,
  verification,
} from "../../api/schemas.ts";
import { answeredRate, decisionFor } from "../../artifact/calibration.ts";
import { roundedScore, unsupportedFarText } from "../../artifact/rates.ts";
import { FaceError } from "../../base/errors.ts";
import { bytesText } from "../../base/log.ts";
import { type FaceWish, faceAnswer } from "../../faces/meant-face.ts";
import type { EnrolledFace } from "../../gallery/faces.ts";
import type { Gallery } from "../../gallery/gallery.ts";
import { exportLines } from "../../gallery/gallery-file.ts";
import { searchGallery, thresholdOf } from "../../gallery/matching.ts";
import type { Person } from "../../gallery/people.ts";
import { digestOfPhoto } from "../../gallery/photo-box.ts";
import type { GalleryEvent } from "../../gallery/scope.ts";
import { invalidArgument, StatusError } from "../status.ts";
import type { GalleryService } from "./service.ts";

type Out<S extends z.ZodType> = z.output<S>;

export function personAnswer({
  expiresAt,
  createdAt,
  updatedAt,
  notes,
  ...person
}: Person): Out<typeof personSchema> {
  return {
    ...person,
    notes: { ...notes },
    expiresAt: expiresAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

/** A face without the digest of its photograph, by which the photograph could be recognised elsewhere. */
export function enrolledFaceAnswer(
  { id, source, box, quality, hasPhoto, modelDigest, createdAt }: EnrolledFace,
  gallery: Gallery,
): Out<typeof face> {
  return {
    id,
    source,
    box: box === null ? null : [...box],
    quality: { ...quality },
    hasPhoto,
    isCurrent: modelDigest === gallery.model.digest,
    createdAt: createdAt.toISOString(),
  };
}

const eventAnswer = ({ at, detail, ...rest }: GalleryEvent): Out<typeof event> => ({
  ...rest,
  at: at.toISOString(),
  detail: { ...detail },
});

export async function galleryAnswer(name: string, gallery: Gallery): Promise<Out<typeof gallerySchema>> {
  const { people, faces, photos, withoutFaces, expired, stale } = await gallery.counts();
  return { name, model: gallery.model.name, people, faces, photos, withoutFaces, expired, stale };
}

/** The kind of a list; a cursor is valid only for its own kind. */
type List = readonly [kind: "people" | "events", gallery: string, search?: string];

const CHECK_LENGTH = 12;

/** The last row of a page, after a check that tells cursors of other lists, and texts that are none. */
function cursorOf(list: List, last: string): string {
  const check = createHash("sha256")
    .update(JSON.stringify([...list, last]))
    .digest("base64url");
  return `${check.slice(0, CHECK_LENGTH)}${Buffer.from(last).toString("base64url")}`;
}

/** The row that a page begins after, which may be gone by now. */
function afterCursor(list: List, cursor: string | undefined): string {
  if (cursor === undefined) return "";
  const last = Buffer.from(cursor.slice(CHECK_LENGTH), "base64url").toString("utf8");
  if (cursorOf(list, last) === cursor) return last;
  throw invalidArgument(
    'the query, "cursor": it is not `next` of a page of this list; send `next` unchanged, with the gallery and the search that ' +
      "it came from, or leave it out to begin with the first page",
  );
}

export async function peopleAnswer(
  gallery: Gallery,
  { limit, cursor, search }: { limit: number; cursor?: string | undefined; search?: string | undefined },
): Promise<Out<typeof peoplePage>> {
  const list: List = ["people", gallery.name, search ?? ""];
  // One more than the page tells whether there is another.
  const rows = await gallery.people.list({ after: afterCursor(list, cursor), limit: limit + 1, search });
  const page = rows.slice(0, limit);
  const next = rows.length > limit ? cursorOf(list, page.at(-1)!.name) : null;
  return { people: page.map(personAnswer), next };
}

export async function eventsAnswer(
  gallery: Gallery,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<Out<typeof eventsPage>> {
  const list: List = ["events", gallery.name];
  const after = Number(afterCursor(list, cursor) || 0);
  const rows = await gallery.events({ after, limit: limit + 1 });
  const page = rows.slice(0, limit);
  const next = rows.length > limit ? cursorOf(list, String(page.at(-1)!.id)) : null;
  return { events: page.map(eventAnswer), next };
}

/** A server gathers an export in memory before it sends it. */
const MOST_EXPORTED = 256e6;

/** The file that `faceid gallery export --person` writes. @throws FaceError `PERSON_NOT_FOUND`; StatusError `FAILED_PRECONDITION` for more than 256 MB. */
export async function exportOf(gallery: Gallery, who: string): Promise<Buffer<ArrayBuffer>> {
  const { id } = await gallery.people.get(who);
  const lines: Buffer[] = [];
  let size = 0;
  for await (const line of exportLines(gallery, id)) {
    const bytes = Buffer.from(`${line}\n`);
    size += bytes.length;
    if (size > MOST_EXPORTED) {
      throw new StatusError(
        "FAILED_PRECONDITION",
        `What is kept of the person has more than ${bytesText(MOST_EXPORTED)}; faceid gallery export --person writes it where the gallery is`,
      );
    }
    lines.push(bytes);
  }
  return Buffer.concat(lines);
}

export async function facesAnswer(gallery: Gallery, who: string): Promise<Out<typeof facesPage>> {
  const { id } = await gallery.people.get(who);
  return { faces: (await gallery.faces.of(id)).map((each) => enrolledFaceAnswer(each, gallery)) };
}

/** @throws FaceError `PERSON_NOT_FOUND`. */
export async function faceOf(gallery: Gallery, who: string, faceId: string): Promise<EnrolledFace> {
  const { id } = await gallery.people.get(who);
  const found = (await gallery.faces.of(id)).find((each) => each.id === faceId.toLowerCase());
  if (found !== undefined) return found;
  throw new FaceError("PERSON_NOT_FOUND", `the person has no face ${JSON.stringify(faceId)}`);
}

/** @throws FaceError `PERSON_NOT_FOUND` for a face without a kept photograph. */
export async function photoOf(gallery: Gallery, who: string, faceId: string): Promise<Uint8Array> {
  const { id, hasPhoto } = await faceOf(gallery, who, faceId);
  const photo = hasPhoto ? await gallery.faces.photo(id).catch(unavailable) : undefined;
  if (photo !== undefined) return photo;
  throw new FaceError("PERSON_NOT_FOUND", "the photograph of this face was not kept");
}

/** A key that the server lacks is no fault of the client. */
function unavailable(error: unknown): never {
  if (!(error instanceof FaceError)) throw error;
  throw new FaceError("GALLERY_UNAVAILABLE", error.message, { cause: error });
}

interface PhotoOptions {
  readonly wish: FaceWish;
  readonly signal: AbortSignal;
}

/** Embeds a photograph; one that is refused for its quality is counted. */
async function embedded(
  service: GalleryService,
  name: string,
  image: Uint8Array,
  { wish, signal }: PhotoOptions,
) {
  try {
    return await service.photos.embedding({ file: image, what: "the photograph" }, wish, signal);
  } catch (error) {
    if (error instanceof FaceError && error.code !== "IMAGE_UNREADABLE") {
      service.metrics.qualityRefusals.add([name, error.code]);
    }
    throw error;
  }
}

/** Enrols a photograph of a person; one that the person has already is left as it is. */
export async function enrol(
  service: GalleryService,
  name: string,
  gallery: Gallery,
  who: string,
  image: Uint8Array,
  options: PhotoOptions & { readonly keepPhoto: boolean; readonly source?: string | undefined },
): Promise<Out<typeof enrolment>> {
  const { id: personId } = await gallery.people.get(who);
  const photoDigest = digestOfPhoto(image);
  const known = async () =>
    (await gallery.faces.of(personId)).find((each) => each.photoDigest === photoDigest);
  const before = await known();
  const answer = (found: EnrolledFace) => enrolledFaceAnswer(found, gallery);
  if (before !== undefined) return { face: answer(before), isNew: false, warnings: [], resembles: null };
  const { embedding, face: found } = await embedded(service, name, image, options);
  const { keepPhoto, source } = options;
  const { matcher } = service;
  const [other] = await searchGallery(matcher, gallery, embedding, { candidates: 1, without: personId });
  const { threshold } = await thresholdOf(matcher, gallery);
  const [id] = await gallery.faces.add([
    {
      personId,
      embedding,
      photoDigest,
      box: found.box,
      quality: { ...found.quality },
      ...(source === undefined ? {} : { source }),
      ...(keepPhoto ? { photo: image } : {}),
    },
  ]);
  service.countEnrolled(name);
  const enrolled = await known();
  if (enrolled === undefined) {
    throw new FaceError("PERSON_NOT_FOUND", "the person, or this face, was removed meanwhile");
  }
  return {
    face: answer(enrolled),
    isNew: id !== undefined,
    warnings: [...found.warnings],
    resembles: other !== undefined && other.similarity >= threshold ? other : null,
  };
}

/** The direction of the sum of embeddings, as the gallery's centroids. */
function centroidOf(embeddings: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(embeddings[0]!.length);
  for (const each of embeddings) for (const [i, value] of each.entries()) sum[i]! += value;
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

/** Whether a photograph shows a person: compared as a search would, at the threshold of one comparison. */
export async function verifyPerson(
  service: GalleryService,
  name: string,
  gallery: Gallery,
  who: string,
  image: Uint8Array,
  { far, ...options }: PhotoOptions & { readonly far?: number | undefined },
): Promise<Out<typeof verification>> {
  const person = await gallery.people.get(who);
  if (person.expiresAt !== null && person.expiresAt.getTime() <= Date.now()) {
    throw new FaceError("PERSON_NOT_FOUND", "the consent of the person has ended");
  }
  const { calibration } = service.matcher;
  const decision = decisionFor(calibration, far);
  if (decision === undefined) {
    const fault = far === undefined ? "is not calibrated" : unsupportedFarText(calibration, far);
    throw invalidArgument(`the model ${fault}`);
  }
  const enrolled = await gallery.faces.withEmbeddings(person.id);
  if (enrolled.length === 0) {
    throw new StatusError("FAILED_PRECONDITION", "The person has no face to compare with; enrol one first");
  }
  const { embedding, ...meant } = await embedded(service, name, image, options);
  const centroid = centroidOf(enrolled.map((each) => each.embedding));
  const similarity = roundedScore(await service.matcher.similarity(embedding, centroid));
  const threshold = roundedScore(decision.threshold);
  const same = similarity >= threshold;
  await gallery.recordSearch(1, same ? [person.id] : []);
  const { id, name: called } = person;
  return {
    person: { id, name: called },
    same,
    similarity,
    threshold,
    ...answeredRate(decision),
    face: faceAnswer(meant) as unknown as Out<typeof verification>["face"],
  };
}
