/** @file Who is on a photograph: its faces searched in a gallery, with a threshold for the gallery's size. */
import { z } from "zod";
import { checkOptions, given } from "../base/check-options.ts";
import type { Gallery, GalleryModel } from "../gallery/gallery.ts";
import { type IdentificationRate, type SearchThreshold, searchThreshold } from "../gallery/threshold.ts";
import type { Photo } from "./face-model.ts";
import type { PhotoFace, PhotoModel } from "./photo-model.ts";

export interface IdentifyOptions {
  /** The share of strangers that may be named wrongly, between 0 and 1. Default 0.01. */
  readonly fpir?: number | undefined;
  /** How many people to name for each face. Default 5. */
  readonly candidates?: number | undefined;
}

const identifyOptions = z.strictObject({
  fpir: given.far.optional(),
  candidates: given.count.optional(),
} satisfies Record<keyof IdentifyOptions, z.ZodType>);

/** A person of the gallery and how alike their faces are. */
export interface IdentifiedPerson {
  readonly person: string;
  readonly id: string;
  readonly similarity: number;
}

/** A face and who it may be. */
export interface IdentifiedFace extends PhotoFace {
  /** Whether the first candidate reaches the threshold. */
  readonly match: boolean;
  /** The most alike first. */
  readonly candidates: readonly IdentifiedPerson[];
  readonly threshold: number;
  /** The chance that a stranger would be named at this threshold. */
  readonly fpir: IdentificationRate;
  /** Whether the threshold lies beyond the rates that were measured. */
  readonly extrapolated: boolean;
}

/** One stranger in a hundred is named. */
const USUAL_FPIR = 0.01;
const CANDIDATES = 5;
/** A head that is no cosine may order people otherwise than the distance that the search uses, so more are compared. */
const RANKED_BY_HEAD = 100;

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

/** The threshold for a search in the gallery as it is now. */
export async function thresholdOf(
  model: PhotoModel,
  gallery: Gallery,
  fpir = USUAL_FPIR,
): Promise<SearchThreshold> {
  return searchThreshold(model.calibration, fpir, await gallery.comparisons());
}

/**
 * The people of a gallery whose faces are most alike an embedding.
 * @param without a person who is not looked for.
 */
export async function searchGallery(
  model: PhotoModel,
  gallery: Gallery,
  embedding: Float32Array,
  { candidates = CANDIDATES, without }: { readonly candidates?: number; readonly without?: string } = {},
): Promise<IdentifiedPerson[]> {
  const exact = model.measure === "cosine" ? candidates : Math.max(candidates, RANKED_BY_HEAD);
  const neighbours = await gallery.search(embedding, exact, without);
  const people: IdentifiedPerson[] = [];
  for (const { personId, name, embedding: enrolled } of neighbours) {
    people.push({ person: name, id: personId, similarity: await model.similarity(embedding, enrolled) });
  }
  return people.toSorted((a, b) => b.similarity - a.similarity).slice(0, candidates);
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
  const { fpir, candidates = CANDIDATES } = options;
  gallery.requireModel(galleryModel(model));
  const { comparisons: _, ...decision } = await thresholdOf(model, gallery, fpir);
  const faces: IdentifiedFace[] = [];
  for (const { embedding, face } of await model.embedFaces(photo)) {
    const people = await searchGallery(model, gallery, embedding, { candidates });
    const match = people[0] !== undefined && people[0].similarity >= decision.threshold;
    faces.push({ ...face!, match, candidates: people, ...decision });
  }
  const matches = faces.flatMap(({ match, candidates: people }) => (match ? [people[0]!.id] : []));
  await gallery.recordSearch(faces.length, matches);
  return faces;
}
