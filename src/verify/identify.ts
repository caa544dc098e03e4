/** @file Who is on a photograph: its faces searched in a gallery, with a threshold for the gallery's size. */
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import { FaceError } from "../base/errors.ts";
import { Gallery, type GalleryModel } from "../gallery/gallery.ts";
import {
  type Identification,
  type IdentifyOptions,
  identifyFaces,
  thresholdOf,
} from "../gallery/matching.ts";
import type { Photo } from "./face-model.ts";
import { type PhotoFace, PhotoModel } from "./photo-model.ts";

export {
  type IdentifiedPerson,
  type IdentifyOptions,
  searchGallery,
  thresholdOf,
} from "../gallery/matching.ts";

const identifyOptions = z.strictObject({
  fpir: given.far.optional(),
  candidates: given.count.optional(),
} satisfies Record<keyof IdentifyOptions, z.ZodType>);

const galleryGiven = z.custom<Gallery>(
  (value) => value instanceof Gallery,
  "the gallery of openGallery or createGallery",
);
const modelGiven = z.custom<PhotoModel>(
  (value) => value instanceof PhotoModel,
  "the model of openGallery, createGallery or loadFaceModel",
);

/** A gallery and its model, as `openGallery` gives them. */
export const openedGiven = z.custom<{ readonly gallery: Gallery; readonly model: PhotoModel }>(
  (value) => z.object({ gallery: galleryGiven, model: modelGiven }).safeParse(value).success,
  "what openGallery or createGallery gave",
);

/** A face and who it may be. */
export interface IdentifiedFace extends PhotoFace, Identification {}

/** A photograph of several: who is on it, or why it could not be read. */
export type IdentifiedPhoto =
  | { readonly image: string; readonly faces: readonly IdentifiedFace[] }
  | { readonly image: string; readonly error: FaceError };

export interface IdentifyPhotosOptions extends IdentifyOptions {
  /** Called after each photograph, with its entry of the result. */
  readonly onPhoto?: ((photo: IdentifiedPhoto) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const identifyPhotosOptions = identifyOptions.extend({
  onPhoto: given.call.optional(),
  signal: given.signal.optional(),
} satisfies Record<Exclude<keyof IdentifyPhotosOptions, keyof IdentifyOptions>, z.ZodType>);

/** What a gallery must know of a model. */
export function galleryModel(model: PhotoModel): GalleryModel {
  return {
    name: model.name,
    digest: model.digest,
    dimensions: model.dimensions,
    // A head that was trained on pairs of photographs knows no centroids.
    template: model.measure === "cosine" ? "centroid" : "best",
  };
}

/**
 * Says who is on a photograph: each of its faces, the surest first. The search is recorded in the gallery's events, without
 * the faces.
 * @throws FaceError `GALLERY_MISMATCH` when another model made the gallery's embeddings; `CONFIG_INVALID` for a rate that is
 *   none; `MODEL_UNSUPPORTED` for a model without a calibration record; PhotoError `IMAGE_UNREADABLE`.
 */
export async function identify(
  model: PhotoModel,
  gallery: Gallery,
  photo: Photo,
  options: IdentifyOptions = {},
): Promise<IdentifiedFace[]> {
  checkOptions("identify", identifyOptions, options);
  checkOptions("identify, the model", modelGiven, model);
  checkOptions("identify, the gallery", galleryGiven, gallery);
  gallery.requireModel(galleryModel(model));
  // A model that has no threshold is refused before any work.
  await thresholdOf(model, gallery, options.fpir);
  const faces = await model.embedFaces(photo);
  return await identifyFaces(
    model,
    gallery,
    faces.map(({ embedding, face }) => ({ embedding, face: face! })),
    options,
  );
}

/**
 * Says who is on each of several photographs, one after the other. Each is an event of the gallery.
 * @returns one entry for each photograph, in order; one that cannot be read is an entry with its error.
 * @throws FaceError as `identify`, except for photographs that cannot be read; `INTERRUPTED` on the signal.
 */
export async function identifyPhotos(
  model: PhotoModel,
  gallery: Gallery,
  photos: readonly Photo[],
  options: IdentifyPhotosOptions = {},
): Promise<IdentifiedPhoto[]> {
  checkOptions("identifyPhotos, the photographs", z.array(z.unknown()), photos);
  checkOptions("identifyPhotos", identifyPhotosOptions, options);
  checkOptions("identifyPhotos, the model", modelGiven, model);
  checkOptions("identifyPhotos, the gallery", galleryGiven, gallery);
  const { onPhoto, signal, ...wanted } = options;
  const identified: IdentifiedPhoto[] = [];
  for (const [i, photo] of photos.entries()) {
    if (signal?.aborted) throw new FaceError("INTERRUPTED", "identify was stopped");
    const image = typeof photo === "string" ? photo : `photograph ${i + 1}`;
    const entry = await entryOf(image, identify(model, gallery, photo, wanted));
    identified.push(entry);
    onPhoto?.(entry);
  }
  return identified;
}

async function entryOf(image: string, faces: Promise<IdentifiedFace[]>): Promise<IdentifiedPhoto> {
  try {
    return { image, faces: await faces };
  } catch (error) {
    if (error instanceof FaceError && error.code === "IMAGE_UNREADABLE") return { image, error };
    throw error;
  }
}
