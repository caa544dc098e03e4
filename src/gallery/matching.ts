/** @file Names faces: embeddings searched in a gallery, with a threshold for the gallery's size. */
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { roundedScore } from "../artifact/rates.ts";
import type { Gallery } from "./gallery.ts";
import { type IdentificationRate, type SearchThreshold, searchThreshold } from "./threshold.ts";

/** What of a model a search needs. */
export interface Matcher {
  readonly measure: "cosine" | "probability";
  readonly calibration: CalibrationRecord | undefined;
  /** How alike two embeddings are; larger means more alike. */
  similarity(a: Float32Array, b: Float32Array): Promise<number> | number;
}

export interface IdentifyOptions {
  /** The share of strangers that may be named wrongly, between 0 and 1. Default 0.01. */
  readonly fpir?: number | undefined;
  /** How many people to name for each face. Default 5. */
  readonly candidates?: number | undefined;
}

/** A person of the gallery and how alike their faces are. */
export interface IdentifiedPerson {
  readonly person: string;
  readonly id: string;
  readonly similarity: number;
}

/** Who a face may be. */
export interface Identification {
  /** Whether the first candidate reaches the threshold. */
  readonly match: boolean;
  /**
   * How many people reach it, of as many as are listed, or of two; more than one: one person under two names, or people who look
   * alike.
   */
  readonly matches: number;
  /** The most alike first; empty where nobody is enrolled. */
  readonly candidates: readonly IdentifiedPerson[];
  /** With how many people, or faces, it was compared. */
  readonly comparisons: number;
  /** Absent, as the next two, where there was nobody to compare with. */
  readonly threshold?: number;
  /** The chance that a stranger would be named at this threshold. */
  readonly fpir?: IdentificationRate;
  /** Whether the threshold lies beyond the rates that were measured. */
  readonly extrapolated?: boolean;
}

/** Compared with nobody: no threshold follows from that. */
const NOBODY: Identification = { match: false, matches: 0, candidates: [], comparisons: 0 };

/** One stranger in a hundred is named. */
const USUAL_FPIR = 0.01;
const CANDIDATES = 5;
/** A head that is no cosine may order people otherwise than the distance that the search uses, so more are compared. */
const RANKED_BY_HEAD = 100;

/** The threshold for a search in the gallery as it is now, with the digits of a similarity. */
export async function thresholdOf(
  { calibration }: Pick<Matcher, "calibration">,
  gallery: Gallery,
  fpir = USUAL_FPIR,
): Promise<SearchThreshold> {
  const found = searchThreshold(calibration, fpir, await gallery.comparisons());
  return { ...found, threshold: roundedScore(found.threshold) };
}

/**
 * The people of a gallery whose faces are most alike an embedding.
 * @param without a person who is not looked for.
 */
export async function searchGallery(
  model: Matcher,
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
  const nearest = people.toSorted((a, b) => b.similarity - a.similarity).slice(0, candidates);
  return nearest.map((each) => ({ ...each, similarity: roundedScore(each.similarity) }));
}

/**
 * Says who each face is. The search is recorded in the gallery's events, without the faces.
 * @throws FaceError `CONFIG_INVALID` for a rate that is none; `MODEL_UNSUPPORTED` for a model without a calibration record.
 */
export async function identifyFaces<F extends object>(
  model: Matcher,
  gallery: Gallery,
  faces: readonly { readonly embedding: Float32Array; readonly face: F }[],
  { fpir, candidates = CANDIDATES }: IdentifyOptions = {},
): Promise<(F & Identification)[]> {
  const decision = await thresholdOf(model, gallery, fpir);
  const identified: (F & Identification)[] = [];
  for (const { embedding, face } of faces) {
    // The second one tells whether the first is the only match.
    const people = await searchGallery(model, gallery, embedding, { candidates: Math.max(candidates, 2) });
    const [first] = people;
    if (first === undefined) identified.push({ ...face, ...NOBODY });
    else {
      const matches = people.filter(({ similarity }) => similarity >= decision.threshold).length;
      const listed = people.slice(0, candidates);
      identified.push({ ...face, match: matches > 0, matches, candidates: listed, ...decision });
    }
  }
  const named = identified.flatMap(({ match, candidates: people }) => (match ? [people[0]!.id] : []));
  await gallery.recordSearch(identified.length, named);
  return identified;
}
