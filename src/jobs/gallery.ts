/** @file Opens a gallery with its model, makes one, and moves one to another model. */

import type { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { countText } from "../base/log.ts";
import {
  Gallery,
  type GalleryIndex,
  type IndexOptions,
  type OpenGalleryOptions,
  openGalleryOptions,
} from "../gallery/gallery.ts";
import { searchThreshold } from "../gallery/threshold.ts";
import { galleryModel } from "../verify/identify.ts";
import { type LoadFaceModelOptions, loadFaceModel, loadOptions } from "../verify/load-face-model.ts";
import type { PhotoEmbedding, PhotoModel } from "../verify/photo-model.ts";

export interface GalleryAddress extends Omit<OpenGalleryOptions, "create"> {
  /** A folder, or `postgres://user:password@host/database`. */
  readonly gallery: string;
}

export interface GalleryJobOptions extends GalleryAddress, LoadFaceModelOptions {
  /** As for `loadFaceModel`. Default: the model that the gallery was made with. */
  readonly model?: string | undefined;
  /** Called before an index is built, which may take minutes; what it returns is disposed of afterwards. */
  readonly onBuild?: IndexOptions["onBuild"];
}

const { create: _, ...addressOptions } = openGalleryOptions;
const jobOptions = loadOptions.extend({
  ...addressOptions,
  gallery: given.text,
  model: given.text.optional(),
  onBuild: given.call.optional(),
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
  profile,
  calibration,
}: LoadFaceModelOptions): LoadFaceModelOptions => ({
  log,
  progress,
  signal,
  detect,
  precision,
  profile,
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
    return opened(
      await Gallery.open(options.gallery, { ...addressOf(options), create, signal: options.signal }),
      model,
    );
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

export interface ReindexSummary {
  /** Faces with embeddings of the new model. */
  readonly embedded: number;
  /** Faces whose photograph was not kept; no search finds them until the photograph is enrolled again. */
  readonly withoutPhoto: number;
  /** Faces that the pipeline no longer finds in their photograph. */
  readonly withoutFace: number;
  /** What the gallery's index finds, where one was built. */
  readonly index?: GalleryIndex;
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
  const { faces, photos } = await gallery.counts();
  if (photos >= faces) return;
  throw new FaceError(
    "GALLERY_MISMATCH",
    `${countText(faces - photos)} of ${countText(faces)} faces have no kept photograph, so another model cannot read them`,
    { hint: "make a new gallery for that model, and enrol the photographs there" },
  );
}

/** Builds the index where searches are slow without one. @returns what a summary says of it. */
export async function indexed(
  gallery: Gallery,
  options?: IndexOptions,
): Promise<{ readonly index?: GalleryIndex }> {
  await gallery.index(undefined, options);
  const index = await gallery.indexUse();
  return index === undefined ? {} : { index };
}

const REINDEX_PAGE = 200;

/**
 * Makes a gallery's embeddings by another model, from the photographs that were kept. It can be stopped and goes on.
 * @throws FaceError `GALLERY_NOT_FOUND`, `CONFIG_INVALID` for photographs that the key does not open, `INTERRUPTED`.
 */
export async function reindexGallery(options: GalleryJobOptions): Promise<ReindexSummary> {
  checkOptions("reindexGallery", jobOptions, options);
  const { signal, onBuild } = options;
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
  return { ...counts, ...(await indexed(gallery, { signal, onBuild })) };
}
