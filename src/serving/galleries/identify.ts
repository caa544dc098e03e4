/** @file Who is on a photograph, for a server's clients. */

import type { z } from "zod";
import type { identification } from "../../api/schemas.ts";
import { roundedScore } from "../../artifact/rates.ts";
import { describeFace } from "../../faces/meant-face.ts";
import type { Gallery } from "../../gallery/gallery.ts";
import { identifyFaces } from "../../gallery/matching.ts";
import { elapsedMicros } from "../metrics.ts";
import type { GalleryService } from "./service.ts";

interface IdentifyCall {
  readonly fpir: number;
  readonly candidates: number;
  readonly signal: AbortSignal;
}

const rounded = <C extends { readonly similarity: number }>(candidate: C): C => ({
  ...candidate,
  similarity: roundedScore(candidate.similarity),
});

/** The size of a gallery as a label: the next power of ten. */
const sizeLabel = (comparisons: number): string =>
  String(10 ** Math.ceil(Math.log10(Math.max(comparisons, 1))));

/** Finds the faces, searches each, and counts both. */
export async function identify(
  { photos, matcher, metrics }: GalleryService,
  name: string,
  gallery: Gallery,
  image: Uint8Array,
  { fpir, candidates, signal }: IdentifyCall,
): Promise<z.output<typeof identification>> {
  const found = await photos.embeddings({ file: image, what: "the photograph" }, signal);
  const people = await gallery.comparisons();
  const startedMs = performance.now();
  const faces = await identifyFaces(
    matcher,
    gallery,
    found.map(({ embedding, face }) => ({ embedding, face: describeFace(face) })),
    { fpir, candidates },
  );
  metrics.galleryLatency.observe([name, sizeLabel(people)], elapsedMicros(startedMs));
  metrics.gallerySearches.add([name], faces.length);
  metrics.galleryMatches.add([name], faces.filter(({ match }) => match).length);
  return {
    people,
    faces: faces.map(({ candidates: alike, threshold, ...face }) => ({
      ...face,
      threshold: roundedScore(threshold),
      candidates: alike.map(rounded),
    })) as unknown as z.output<typeof identification>["faces"],
  };
}
