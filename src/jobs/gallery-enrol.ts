/** @file Fills a gallery from a folder of people, or with photographs of one person. */

import { basename, join, relative, sep } from "node:path";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import { openDataset } from "../data/dataset.ts";
import type { LeftOut } from "../data/left-out.ts";
import { FACE_CHOICES, type FaceChoice } from "../faces/choose.ts";
import type { NewFace } from "../gallery/faces.ts";
import type { GalleryIndex, IndexOptions } from "../gallery/gallery.ts";
import { type PersonChanges, personName } from "../gallery/people.ts";
import { digestOfPhoto } from "../gallery/photo-box.ts";
import { readImageFile } from "../image/decode.ts";
import { openedGiven, searchGallery, thresholdOf } from "../verify/identify.ts";
import { indexed, type OpenedGallery } from "./gallery.ts";
import { findUnlike, type Unlike } from "./gallery-unlike.ts";
import { noneThere } from "./photos-in.ts";

/** How a photograph is enrolled. */
export interface EnrolPhotoOptions {
  /** Which face is meant where there are several. Default `largest`. */
  readonly face?: FaceChoice | undefined;
  /** Whether faces beyond the quality limits are left out. Default false: they are enrolled with warnings. */
  readonly strict?: boolean | undefined;
  /** Whether the photographs themselves are kept, encrypted if the gallery has a key. Default false. */
  readonly keepPhotos?: boolean | undefined;
}

/** Somebody else of the gallery who looks like this person. */
export interface Resemblance {
  readonly person: string;
  readonly similarity: number;
}

/** Which face of a photograph was taken. */
interface TakenFace {
  /** How many faces the photograph shows. */
  readonly faces: number;
  /** Of the one that was taken, in pixels: left, top, width, height; absent for a crop. */
  readonly box?: readonly number[];
  /** What makes it doubtful, in words. */
  readonly warnings: readonly string[];
}

/** What came of one photograph, or of the folder of a person who cannot be enrolled. */
export type EnrolledPhoto = { readonly image: string; readonly person: string } & (
  | ({ readonly state: "enrolled"; readonly resembles?: Resemblance } & TakenFace)
  /** The person has this photograph already. */
  | { readonly state: "known" }
  | { readonly state: "left out"; readonly error: FaceError }
);

const photoOptions = {
  face: z.enum(FACE_CHOICES).optional(),
  strict: given.flag.optional(),
  keepPhotos: given.flag.optional(),
} satisfies Record<keyof EnrolPhotoOptions, z.ZodType>;

export interface EnrolOptions extends EnrolPhotoOptions {
  /** Called after each photograph. */
  readonly onPhoto?: (photo: EnrolledPhoto, done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Called before an index is built, which may take minutes; what it returns is disposed of afterwards. */
  readonly onBuild?: IndexOptions["onBuild"];
}

/** What is said of new people. */
const peopleOptions = {
  consent: z.strictObject({ given: given.text, how: given.text }).nullish(),
  expiresAt: z
    .date()
    .refine((date) => date.getTime() > Date.now(), "a date in the future")
    .nullish(),
};
const enrolOptions = z.strictObject({
  ...photoOptions,
  ...peopleOptions,
  onPhoto: given.call.optional(),
  signal: given.signal.optional(),
  onBuild: given.call.optional(),
} satisfies Record<keyof EnrolOptions | "consent" | "expiresAt", z.ZodType>);

/** What an enrolment did. */
export interface EnrolSummary {
  /** People with a face of these photographs. */
  readonly people: number;
  readonly enrolled: number;
  readonly known: number;
  /** Photographs without a usable face, and folders whose names cannot be a person's. */
  readonly leftOut: readonly Extract<EnrolledPhoto, { state: "left out" }>[];
  /** What the folder holds that was not looked at, by reason. */
  readonly unused: readonly LeftOut[];
  /** What somebody who made the folder should know about how it was read. */
  readonly remarks: readonly string[];
  /** Photographs of several faces, and those whose face is beyond the quality limits: they are enrolled. */
  readonly doubtful: readonly ({ readonly image: string; readonly person: string } & TakenFace)[];
  /** Photographs that look like another person: the same person under two names, a wrong name, or people who look alike. */
  readonly resemblances: readonly (EnrolledPhoto & { readonly resembles: Resemblance })[];
  /** Photographs that do not look like the others of their person: two people under one name. */
  readonly unlike: readonly Unlike[];
  /** What the gallery's index finds, where one was built. */
  readonly index?: GalleryIndex;
}

/** Embeds one photograph of a person and finds whom else it looks like. */
async function prepareFace(
  { gallery, model }: OpenedGallery,
  personId: string | undefined,
  image: string,
  photo: Uint8Array,
  { face, strict, keepPhotos = false }: EnrolPhotoOptions,
): Promise<{ newFace: NewFace; resembles?: Resemblance } & TakenFace> {
  const embedded = await model.embed(photo, { face, strict });
  const { embedding } = embedded;
  const newFace: NewFace = {
    embedding,
    photoDigest: digestOfPhoto(photo),
    source: basename(image),
    ...(embedded.face === undefined ? {} : { box: embedded.face.box, quality: embedded.face.quality }),
    ...(keepPhotos ? { photo } : {}),
  };
  const others = { candidates: 1, ...(personId === undefined ? {} : { without: personId }) };
  const [other] = await searchGallery(model, gallery, embedding, others);
  const { threshold } = await thresholdOf(model, gallery);
  const taken: TakenFace = {
    faces: embedded.count,
    ...(embedded.face === undefined ? {} : { box: embedded.face.box }),
    warnings: embedded.face?.warnings ?? [],
  };
  if (other === undefined || other.similarity < threshold) return { newFace, ...taken };
  return { newFace, ...taken, resembles: { person: other.person, similarity: other.similarity } };
}

/** Faults of one photograph, which do not end an enrolment. */
const PHOTO_FAULTS: ReadonlySet<string> = new Set([
  "IMAGE_UNREADABLE",
  "FACE_NOT_FOUND",
  "SEVERAL_FACES",
  "FACE_UNFIT",
]);

/** A fault of one photograph with its path; throws anything else. */
function photoFault(image: string, error: unknown): FaceError {
  if (!(error instanceof FaceError) || !PHOTO_FAULTS.has(error.code)) throw error;
  const { code, message, hint } = error;
  const named = message.includes(image) ? message : `${image}: ${message}`;
  return new FaceError(code, named, { ...(hint === undefined ? {} : { hint }), cause: error });
}

interface PersonPhotos {
  readonly name: string;
  /** Where the photographs come from, as a message names it. */
  readonly folder: string;
  readonly images: readonly string[];
}

/** One person's enrolment. The person is made with the first face, so that nobody is left without one. */
class PersonEnrolment {
  readonly name: string;
  readonly #opened: OpenedGallery;
  readonly #changes: Omit<PersonChanges, "name">;
  readonly #known: Set<string>;
  readonly #added = new Map<string, string>();
  #id: string | undefined;

  private constructor(
    opened: OpenedGallery,
    name: string,
    changes: Omit<PersonChanges, "name">,
    known: Set<string>,
    id: string | undefined,
  ) {
    this.#opened = opened;
    this.name = name;
    this.#changes = changes;
    this.#known = known;
    this.#id = id;
  }

  /** @param changes what is said of a new person. */
  static async begin(opened: OpenedGallery, name: string, changes: Omit<PersonChanges, "name">) {
    const { gallery } = opened;
    const person = await gallery.people.named(name);
    const known = person === undefined ? new Set<string>() : await gallery.faces.digestsOf(person.id);
    return new PersonEnrolment(opened, personName(name), changes, known, person?.id);
  }

  /** Enrols one photograph; it is kept before this returns. */
  async enrol(image: string, options: EnrolPhotoOptions): Promise<EnrolledPhoto> {
    const base = { image, person: this.name };
    try {
      const photo = await readImageFile(image);
      if (this.#known.has(digestOfPhoto(photo))) return { ...base, state: "known" };
      const { newFace, ...rest } = await prepareFace(this.#opened, this.#id, image, photo, options);
      const id = await this.#keep(newFace);
      this.#known.add(newFace.photoDigest);
      if (id === undefined) return { ...base, state: "known" };
      this.#added.set(id, image);
      return { ...base, state: "enrolled", ...rest };
    } catch (error) {
      return { ...base, state: "left out", error: photoFault(image, error) };
    }
  }

  /** The photographs of this enrolment that do not look like the person's others. */
  async unlike(): Promise<Unlike[]> {
    const { gallery, model } = this.#opened;
    if (this.#id === undefined || this.#added.size === 0) return [];
    return await findUnlike(model, this.name, await gallery.faces.withEmbeddings(this.#id), this.#added);
  }

  /** Keeps a face, of a new person together with the person; the face's id, undefined where it was there. */
  async #keep(face: NewFace): Promise<string | undefined> {
    const { gallery } = this.#opened;
    if (this.#id === undefined) {
      try {
        return await this.#make(face);
      } catch (error) {
        // Another process enrolled the person meanwhile.
        if (!(error instanceof FaceError && error.code === "PERSON_EXISTS")) throw error;
        this.#id = (await gallery.people.named(this.name))?.id;
        if (this.#id === undefined) throw error;
      }
    }
    const [id] = await gallery.faces.add([{ ...face, personId: this.#id }]);
    return id;
  }

  async #make(face: NewFace): Promise<string | undefined> {
    const made = await this.#opened.gallery.transaction(async (gallery) => {
      const { id } = await gallery.people.add(this.name, this.#changes);
      const [faceId] = await gallery.faces.add([{ ...face, personId: id }]);
      return { id, faceId };
    });
    this.#id = made.id;
    return made.faceId;
  }
}

function checkGoing(signal: AbortSignal | undefined, done: number, total: number): void {
  if (signal?.aborted !== true) return;
  throw new FaceError(
    "INTERRUPTED",
    `enrolment was stopped after ${countText(done)} of ${countText(total)} photographs`,
    {
      hint: "run the same command again: it goes on from there",
    },
  );
}

/** What keeps a person from being enrolled, as an entry of the summary: the name, or a consent that has ended. */
async function personFault(
  { gallery }: OpenedGallery,
  { name, folder, images }: PersonPhotos,
): Promise<EnrolledPhoto | undefined> {
  const fault = (why: string, hint: string): EnrolledPhoto => {
    const count = images.length === 1 ? "1 photograph" : `${countText(images.length)} photographs`;
    const error = new FaceError("CONFIG_INVALID", `${folder} with ${count}: ${why}`, { hint });
    return { image: folder, person: name, state: "left out", error };
  };
  try {
    const person = await gallery.people.named(name);
    const end = person?.expiresAt;
    if (end == null || end.getTime() > Date.now()) return undefined;
    return fault(
      `the consent of ${name} ended on ${end.toISOString().slice(0, 10)}`,
      "record a new one: faceid gallery add NAME PHOTO --consent HOW --expires DATE",
    );
  } catch (error) {
    if (!(error instanceof FaceError && error.code === "CONFIG_INVALID")) throw error;
    return fault(error.message, "rename the folder");
  }
}

/** Enrols people one after the other; a photograph that fails, and a name that is none, are entries of the summary. */
async function enrolAll(
  opened: OpenedGallery,
  people: readonly PersonPhotos[],
  { onPhoto, signal, onBuild, ...options }: EnrolOptions,
  changes: Omit<PersonChanges, "name">,
): Promise<EnrolSummary> {
  const total = people.reduce((sum, { images }) => sum + images.length, 0);
  const photos: EnrolledPhoto[] = [];
  const unlike: Unlike[] = [];
  let done = 0;
  for (const each of people) {
    const fault = await personFault(opened, each);
    if (fault !== undefined) {
      photos.push(fault);
      done += each.images.length;
      onPhoto?.(fault, done, total);
      continue;
    }
    const person = await PersonEnrolment.begin(opened, each.name, changes);
    for (const image of each.images) {
      checkGoing(signal, done, total);
      const photo = await person.enrol(image, options);
      photos.push(photo);
      onPhoto?.(photo, ++done, total);
    }
    unlike.push(...(await person.unlike()));
  }
  const index = await indexed(opened.gallery, { signal, onBuild });
  return { ...summaryOf(photos), unlike, unused: [], remarks: [], ...index };
}

function summaryOf(photos: readonly EnrolledPhoto[]) {
  const count = (state: EnrolledPhoto["state"]) => photos.filter((each) => each.state === state).length;
  const present = photos.filter(({ state }) => state !== "left out");
  return {
    people: new Set(present.map(({ person }) => person)).size,
    enrolled: count("enrolled"),
    known: count("known"),
    leftOut: photos.filter((each) => each.state === "left out"),
    doubtful: photos.flatMap((each) => {
      if (each.state !== "enrolled" || (each.faces === 1 && each.warnings.length === 0)) return [];
      const { state: _, resembles: __, ...taken } = each;
      return [taken];
    }),
    resemblances: photos.flatMap((each) => {
      const resembles = each.state === "enrolled" ? each.resembles : undefined;
      return resembles === undefined ? [] : [{ ...each, resembles }];
    }),
  };
}

/** What is enrolled of a folder of people, and what is left out. @throws FaceError `DATASET_NOT_FOUND`, `DATASET_INVALID`. */
export async function peopleIn(folder: string) {
  checkOptions("enrolFolder, the folder", given.text, folder);
  const {
    identities,
    path = folder,
    leftOut = [],
    remarks = [],
  } = await openDataset({ dataset: "folder", path: folder });
  const people = identities.map(({ name, images }): PersonPhotos => {
    const paths = images.flatMap((image) => (image.kind === "file" ? [image.path] : []));
    return { name, images: paths, folder: join(path, relative(path, paths[0]!).split(sep)[0]!) };
  });
  return { people, unused: leftOut, remarks };
}

function checkEnrolment(opened: OpenedGallery, options: EnrolOptions): void {
  checkOptions("enrolFolder", enrolOptions, options);
  checkOptions("enrolFolder, the gallery", openedGiven, opened);
}

/** `enrolFolder` of people that were listed. */
export async function enrolPeople(
  opened: OpenedGallery,
  { people, unused, remarks }: Awaited<ReturnType<typeof peopleIn>>,
  options: EnrolOptions & Pick<PersonChanges, "consent" | "expiresAt"> = {},
): Promise<EnrolSummary> {
  checkEnrolment(opened, options);
  const { consent, expiresAt, ...rest } = options;
  const summary = await enrolAll(opened, people, rest, { consent, expiresAt });
  return { ...summary, unused, remarks };
}

/**
 * Enrols a folder of people, one folder each. A photograph is kept as soon as it is done, so that a stopped enrolment goes on;
 * one without a usable face, and a folder whose name cannot be a person's, are entries of the summary.
 * @throws FaceError `DATASET_NOT_FOUND`, `DATASET_INVALID`, `INTERRUPTED`, or what the gallery says.
 */
export async function enrolFolder(
  opened: OpenedGallery,
  folder: string,
  options: EnrolOptions & Pick<PersonChanges, "consent" | "expiresAt"> = {},
): Promise<EnrolSummary> {
  checkEnrolment(opened, options);
  return await enrolPeople(opened, await peopleIn(folder), options);
}

/**
 * Enrols photographs of one person, who is made with the first usable one where the gallery has nobody of that name; what is
 * said of the person holds for one who was there, too.
 * @throws FaceError `CONFIG_INVALID` for a name that cannot be a person's, `INTERRUPTED`, or what the gallery says.
 */
export async function enrolPhotos(
  opened: OpenedGallery,
  name: string,
  images: readonly string[],
  options: EnrolOptions & Omit<PersonChanges, "name"> = {},
): Promise<EnrolSummary> {
  checkOptions("enrolPhotos, the name", given.text, name);
  checkOptions("enrolPhotos, the photographs", z.array(given.text).min(1), images);
  checkOptions(
    "enrolPhotos",
    enrolOptions.extend({ notes: z.record(z.string(), z.unknown()).optional() }),
    options,
  );
  checkOptions("enrolPhotos, the gallery", openedGiven, opened);
  const { consent, expiresAt, notes, ...rest } = options;
  const changes = { consent, expiresAt, notes };
  const spelled = personName(name);
  const before = await opened.gallery.people.named(spelled);
  const isSaid = Object.values(changes).some((value) => value !== undefined);
  if (before !== undefined && isSaid) await opened.gallery.people.update(before.id, changes);
  return await enrolAll(opened, [{ name: spelled, folder: spelled, images }], rest, changes);
}

/**
 * The summary of `enrolPhotos` where none of the photographs is there, for which neither a gallery nor a model is opened.
 * @returns undefined where one is there.
 * @throws FaceError `CONFIG_INVALID` for a name that cannot be a person's.
 */
export async function nobodyEnrolled(
  name: string,
  images: readonly string[],
  { onPhoto }: Pick<EnrolOptions, "onPhoto">,
): Promise<EnrolSummary | undefined> {
  const person = personName(name);
  const unread = await noneThere(images);
  if (unread === undefined) return undefined;
  const photos = unread.map((each): EnrolledPhoto => ({ ...each, person, state: "left out" }));
  for (const [i, photo] of photos.entries()) onPhoto?.(photo, i + 1, photos.length);
  return { ...summaryOf(photos), unlike: [], unused: [], remarks: [] };
}
