/** @file Fills a gallery from folders and photographs, asks it who somebody is, and moves it to another model. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { openDataset } from "../data/dataset.ts";
import { FACE_CHOICES, type FaceChoice } from "../faces/choose.ts";
import type { NewFace } from "../gallery/faces.ts";
import { Gallery, type OpenGalleryOptions, openGalleryOptions } from "../gallery/gallery.ts";
import type { PersonChanges } from "../gallery/people.ts";
import { digestOfPhoto } from "../gallery/photo-box.ts";
import { searchThreshold } from "../gallery/threshold.ts";
import { galleryModel, searchGallery, thresholdOf } from "../verify/identify.ts";
import { type LoadFaceModelOptions, loadFaceModel, loadOptions } from "../verify/load-face-model.ts";
import type { PhotoEmbedding, PhotoModel } from "../verify/photo-model.ts";

export interface GalleryAddress extends Omit<OpenGalleryOptions, "create"> {
  /** A folder, or `postgres://user:password@host/database`. */
  readonly gallery: string;
}

export interface GalleryJobOptions extends GalleryAddress, LoadFaceModelOptions {
  /** As for `loadFaceModel`. Default: the model that the gallery was made with. */
  readonly model?: string | undefined;
}

const { create: _, ...addressOptions } = openGalleryOptions;
const jobOptions = loadOptions.extend({
  ...addressOptions,
  gallery: given.text,
  model: given.text.optional(),
} satisfies Record<Exclude<keyof GalleryJobOptions, keyof LoadFaceModelOptions>, z.ZodType>);

/** What a gallery takes of a job's options. */
const addressOf = ({ name, actor, photoKey }: GalleryAddress): Omit<OpenGalleryOptions, "create"> => ({
  name,
  actor,
  photoKey,
});
/** What a model takes of a job's options. */
const loadingOf = ({
  log,
  progress,
  signal,
  detect,
  precision,
  calibration,
}: LoadFaceModelOptions): LoadFaceModelOptions => ({
  log,
  progress,
  signal,
  detect,
  precision,
  calibration,
});

/** A gallery with the model that made its embeddings; disposing closes both. */
export interface OpenedGallery extends AsyncDisposable {
  readonly gallery: Gallery;
  readonly model: PhotoModel;
}

const opened = (gallery: Gallery, model: PhotoModel): OpenedGallery => ({
  gallery,
  model,
  async [Symbol.asyncDispose]() {
    await gallery[Symbol.asyncDispose]();
    await model.close();
  },
});

/** Opens a gallery and the model that it was made with. @throws FaceError `GALLERY_NOT_FOUND`, `GALLERY_MISMATCH`. */
export async function openGallery(options: GalleryJobOptions): Promise<OpenedGallery> {
  checkOptions("openGallery", jobOptions, options);
  const gallery = await Gallery.open(options.gallery, addressOf(options));
  try {
    const model = await loadFaceModel(options.model ?? gallery.model.name, loadingOf(options));
    try {
      gallery.requireModel(galleryModel(model));
      return opened(gallery, model);
    } catch (error) {
      await model.close();
      throw error;
    }
  } catch (error) {
    await gallery[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens a gallery, or makes it for the model that is named, by default the pack. */
export async function createGallery(options: GalleryJobOptions): Promise<OpenedGallery> {
  checkOptions("createGallery", jobOptions, options);
  const existing = options.model === undefined ? await tryOpen(options) : undefined;
  if (existing !== undefined) return existing;
  const model = await loadFaceModel(options.model, loadingOf(options));
  try {
    // A model without measured rates could never say who somebody is.
    searchThreshold(model.calibration, SOME_RATE, 1);
    const create = galleryModel(model);
    return opened(await Gallery.open(options.gallery, { ...addressOf(options), create }), model);
  } catch (error) {
    await model.close();
    throw error;
  }
}

const SOME_RATE = 0.01;

async function tryOpen(options: GalleryJobOptions): Promise<OpenedGallery | undefined> {
  try {
    return await openGallery(options);
  } catch (error) {
    if (error instanceof FaceError && error.code === "GALLERY_NOT_FOUND") return undefined;
    throw error;
  }
}

/** How a photograph was enrolled. */
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

/** What came of one photograph. */
export type EnrolledPhoto = { readonly image: string; readonly person: string } & (
  | { readonly state: "enrolled"; readonly warnings: readonly string[]; readonly resembles?: Resemblance }
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
}

/** What is said of new people. */
const peopleOptions = {
  consent: z.strictObject({ given: given.text, how: given.text }).nullish(),
  expiresAt: z.date().nullish(),
};
const enrolOptions = z.strictObject({
  ...photoOptions,
  ...peopleOptions,
  onPhoto: given.call.optional(),
  signal: given.signal.optional(),
} satisfies Record<keyof EnrolOptions | "consent" | "expiresAt", z.ZodType>);

/** What a folder's enrolment did. */
export interface EnrolSummary {
  readonly people: number;
  readonly enrolled: number;
  readonly known: number;
  readonly leftOut: readonly Extract<EnrolledPhoto, { state: "left out" }>[];
  /** Photographs that look like another person: the same person under two names, or a wrong name. */
  readonly resemblances: readonly (EnrolledPhoto & { readonly resembles: Resemblance })[];
}

/** Embeds one photograph of a person and finds whom else it looks like. */
async function prepareFace(
  { gallery, model }: OpenedGallery,
  personId: string,
  image: string,
  photo: Uint8Array,
  { face, strict, keepPhotos = false }: EnrolPhotoOptions,
): Promise<{ newFace: NewFace; warnings: readonly string[]; resembles?: Resemblance }> {
  const embedded = await model.embed(photo, { face, strict });
  const { embedding } = embedded;
  const newFace: NewFace = {
    embedding,
    photoDigest: digestOfPhoto(photo),
    source: basename(image),
    ...(embedded.face === undefined ? {} : { box: embedded.face.box, quality: embedded.face.quality }),
    ...(keepPhotos ? { photo } : {}),
  };
  const [other] = await searchGallery(model, gallery, embedding, { candidates: 1, without: personId });
  const { threshold } = await thresholdOf(model, gallery);
  const warnings = embedded.face?.warnings ?? [];
  if (other === undefined || other.similarity < threshold) return { newFace, warnings };
  return { newFace, warnings, resembles: { person: other.person, similarity: other.similarity } };
}

/** Enrols one photograph; it is kept before this returns. */
async function enrolPhoto(
  opened: OpenedGallery,
  person: { readonly id: string; readonly name: string },
  image: string,
  known: ReadonlySet<string>,
  options: EnrolPhotoOptions,
): Promise<EnrolledPhoto> {
  const base = { image, person: person.name };
  try {
    const photo = await readFile(image).catch((error: NodeJS.ErrnoException) => {
      throw new FaceError("IMAGE_UNREADABLE", `cannot read ${image}: ${error.message}`, { cause: error });
    });
    if (known.has(digestOfPhoto(photo))) return { ...base, state: "known" };
    const { newFace, ...rest } = await prepareFace(opened, person.id, image, photo, options);
    const [id] = await opened.gallery.faces.add([{ ...newFace, personId: person.id }]);
    return id === undefined ? { ...base, state: "known" } : { ...base, state: "enrolled", ...rest };
  } catch (error) {
    if (!(error instanceof FaceError) || !PHOTO_FAULTS.has(error.code)) throw error;
    return { ...base, state: "left out", error };
  }
}

/** Faults of one photograph, which do not end an enrolment. */
const PHOTO_FAULTS: ReadonlySet<string> = new Set([
  "IMAGE_UNREADABLE",
  "FACE_NOT_FOUND",
  "SEVERAL_FACES",
  "FACE_UNFIT",
]);

interface PersonPhotos {
  readonly name: string;
  readonly images: readonly string[];
}

async function enrolAll(
  opened: OpenedGallery,
  people: readonly PersonPhotos[],
  { onPhoto, signal, ...options }: EnrolOptions,
  changes: Omit<PersonChanges, "name">,
): Promise<EnrolSummary> {
  const { gallery } = opened;
  const total = people.reduce((sum, { images }) => sum + images.length, 0);
  const photos: EnrolledPhoto[] = [];
  for (const { name, images } of people) {
    const person = (await gallery.people.named(name)) ?? (await gallery.people.add(name, changes));
    const known = await gallery.faces.digestsOf(person.id);
    for (const image of images) {
      if (signal?.aborted) {
        throw new FaceError(
          "INTERRUPTED",
          `enrolment was stopped after ${photos.length} of ${total} photographs`,
          {
            hint: "run the same command again: it goes on from there",
          },
        );
      }
      const photo = await enrolPhoto(opened, person, image, known, options);
      photos.push(photo);
      onPhoto?.(photo, photos.length, total);
    }
  }
  await gallery.index();
  const count = (state: EnrolledPhoto["state"]) => photos.filter((each) => each.state === state).length;
  return {
    people: people.length,
    enrolled: count("enrolled"),
    known: count("known"),
    leftOut: photos.filter((each) => each.state === "left out"),
    resemblances: photos.filter((each) => "resembles" in each && each.resembles !== undefined) as never,
  };
}

/**
 * Enrols a folder of people, one folder each. A photograph is kept as soon as it is done, so that a stopped enrolment goes on;
 * one without a usable face is an entry of the summary.
 * @throws FaceError `DATASET_NOT_FOUND`, `DATASET_INVALID`, `INTERRUPTED`, or what the gallery says.
 */
export async function enrolFolder(
  opened: OpenedGallery,
  folder: string,
  options: EnrolOptions & Pick<PersonChanges, "consent" | "expiresAt"> = {},
): Promise<EnrolSummary> {
  checkOptions("enrolFolder, the folder", given.text, folder);
  checkOptions("enrolFolder", enrolOptions, options);
  const { consent, expiresAt, ...rest } = options;
  const { identities } = await openDataset({ dataset: "folder", path: folder });
  const people = identities.map(({ name, images }) => ({
    name,
    images: images.flatMap((image) => (image.kind === "file" ? [image.path] : [])),
  }));
  return await enrolAll(opened, people, rest, { consent, expiresAt });
}

/** Enrols photographs of one person, who is made where the gallery has nobody of that name. */
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
  const { consent, expiresAt, notes, ...rest } = options;
  return await enrolAll(opened, [{ name, images }], rest, { consent, expiresAt, notes });
}

export interface ReindexSummary {
  /** Faces with embeddings of the new model. */
  readonly embedded: number;
  /** Faces whose photograph was not kept; no search finds them until the photograph is enrolled again. */
  readonly withoutPhoto: number;
  /** Faces that the pipeline no longer finds in their photograph. */
  readonly withoutFace: number;
}

/** The embedding of the face at a place in a photograph. */
async function embedAgain(
  model: PhotoModel,
  photo: Uint8Array,
  box: readonly number[] | null,
): Promise<Float32Array | undefined> {
  // Without a place the photograph was enrolled as a crop.
  if (box === null) return (await model.embed(photo)).embedding;
  const faces = await model.embedFaces(photo);
  const middle = ([x, y, width, height]: readonly number[]) => [x! + width! / 2, y! + height! / 2] as const;
  const [x, y] = middle(box);
  const away = ({ face }: PhotoEmbedding) => {
    const [u, v] = middle(face!.box);
    return Math.hypot(u - x, v - y);
  };
  const [nearest] = faces.toSorted((a, b) => away(a) - away(b));
  return nearest !== undefined && away(nearest) < box[2]! / 2 ? nearest.embedding : undefined;
}

/** Faces without a photograph would be lost for every search. */
async function requirePhotos(gallery: Gallery): Promise<void> {
  const { faces, photos } = await gallery.check();
  if (photos >= faces) return;
  throw new FaceError(
    "GALLERY_MISMATCH",
    `${faces - photos} of ${faces} faces have no kept photograph, so another model cannot read them`,
    { hint: "make a new gallery for that model, and enrol the photographs there" },
  );
}

const REINDEX_PAGE = 200;

/**
 * Makes a gallery's embeddings by another model, from the photographs that were kept. It can be stopped and goes on.
 * @throws FaceError `GALLERY_NOT_FOUND`, `CONFIG_INVALID` for photographs that the key does not open, `INTERRUPTED`.
 */
export async function reindexGallery(options: GalleryJobOptions): Promise<ReindexSummary> {
  checkOptions("reindexGallery", jobOptions, options);
  const { signal } = options;
  await using model = await loadFaceModel(options.model, loadingOf(options));
  await using before = await Gallery.open(options.gallery, addressOf(options));
  const wanted = galleryModel(model);
  const isSame = wanted.digest === before.model.digest;
  if (!isSame) await requirePhotos(before);
  const gallery = isSame ? before : await before.changeModel(wanted);
  const counts = { embedded: 0, withoutPhoto: 0, withoutFace: 0 };
  for (let after = ""; ; ) {
    const faces = await gallery.faces.stale(after, REINDEX_PAGE);
    if (faces.length === 0) break;
    for (const face of faces) {
      const { id, hasPhoto, box } = face;
      if (signal?.aborted) throw new FaceError("INTERRUPTED", "reindexing was stopped");
      after = id;
      const photo = hasPhoto ? await gallery.faces.photo(id) : undefined;
      if (photo === undefined) {
        counts.withoutPhoto++;
        continue;
      }
      const embedding = await embedAgain(model, photo, box);
      if (embedding === undefined) counts.withoutFace++;
      else {
        await gallery.faces.replace(face, embedding);
        counts.embedded++;
      }
    }
  }
  await gallery.index();
  return counts;
}
