/** @file Who is on a photograph, for a server's clients. */

import type { z } from "zod";
import type { identification, identifications } from "../../api/schemas.ts";
import { FaceError } from "../../base/errors.ts";
import { describeFace } from "../../faces/meant-face.ts";
import type { Gallery } from "../../gallery/gallery.ts";
import { identifyFaces } from "../../gallery/matching.ts";
import { elapsedMicros } from "../metrics.ts";
import type { EmbeddedFace } from "../photos/photo-threads.ts";
import type { NamedPhoto } from "../rest/photo-body.ts";
import { failureBody } from "./failures.ts";
import type { GalleryService } from "./service.ts";

interface IdentifyCall {
  readonly fpir: number;
  readonly candidates: number;
  readonly signal: AbortSignal;
}

/** The size of a gallery as a label: the next power of ten. */
const sizeLabel = (comparisons: number): string =>
  String(10 ** Math.ceil(Math.log10(Math.max(comparisons, 1))));

type Identification = z.output<typeof identification>;

/** Searches each face of a photograph, and counts it. */
async function search(
  { matcher, metrics }: GalleryService,
  name: string,
  gallery: Gallery,
  found: readonly EmbeddedFace[],
  { fpir, candidates }: IdentifyCall,
): Promise<Identification> {
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
    faces: faces.map(({ comparisons: _, ...face }) => face) as unknown as Identification["faces"],
  };
}

/** Finds the faces, searches each, and counts both. */
export async function identify(
  service: GalleryService,
  name: string,
  gallery: Gallery,
  image: Uint8Array,
  call: IdentifyCall,
): Promise<Identification> {
  const found = await service.photos.embeddings({ file: image, what: "the photograph" }, call.signal);
  return await search(service, name, gallery, found, call);
}

/** The same for several photographs, side by side; one that cannot be read is answered with its error. */
export async function identifyPhotos(
  service: GalleryService,
  name: string,
  gallery: Gallery,
  images: readonly NamedPhoto[],
  call: IdentifyCall,
): Promise<z.output<typeof identifications>> {
  // A photograph that fails for another reason fails the request; those that wait behind it are not begun.
  const others = new AbortController();
  const leave = () => others.abort(call.signal.reason);
  call.signal.addEventListener("abort", leave, { once: true });
  if (call.signal.aborted) leave();
  const answer = async ({ name: image, file }: NamedPhoto) => {
    try {
      const found = await service.photos.embeddings({ file, what: "the photograph" }, others.signal);
      const { faces } = await search(service, name, gallery, found, call);
      return { image, faces };
    } catch (error) {
      if (error instanceof FaceError && error.code === "IMAGE_UNREADABLE") {
        return { image, ...failureBody(error) };
      }
      others.abort(error);
      throw error;
    }
  };
  try {
    const photographs = await Promise.all(images.map(answer));
    return { people: await gallery.comparisons(), photographs };
  } finally {
    call.signal.removeEventListener("abort", leave);
  }
}
