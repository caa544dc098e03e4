/** @file Who is on a photograph: its faces searched in a gallery, with a threshold for the gallery's size. */
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import type { Gallery, GalleryModel } from "../gallery/gallery.ts";
import {
  type Identification,
  type IdentifyOptions,
  identifyFaces,
  thresholdOf,
} from "../gallery/matching.ts";
import type { Photo } from "./face-model.ts";
import type { PhotoFace, PhotoModel } from "./photo-model.ts";

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

/** A face and who it may be. */
export interface IdentifiedFace extends PhotoFace, Identification {}

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
