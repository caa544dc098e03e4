/** @file The photographs of a dataset as the faces in them: which face of each, and a pass that finds them all once. */
import { FaceError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { usableCores } from "../base/platform.ts";
import type { Framing } from "../faces/alignment.ts";
import type { FaceChoice } from "../faces/choose.ts";
import { type Mode, USUAL_MODE } from "../faces/mode.ts";
import { openPack } from "../faces/models.ts";
import type { ImageSettings } from "../image/settings.ts";
import { type FaceCrop, isFaceError } from "./face-crop.ts";
import { type Dataset, type DatasetKind, type Identity, type ImageRef, imageName } from "./identity.ts";
import { Loader } from "./loader.ts";

/** The pack whose detector finds faces. */
export const DETECTOR_PACK = "opencv-sface";

/** Photographs of LFW show the person meant in the middle; others the largest face. */
export const usualChoice = (kind: DatasetKind): FaceChoice => (kind === "lfw" ? "central" : "largest");

/** How faces of a dataset are cut out. */
export interface FaceWish {
  readonly framing: Framing;
  /** The mode of the pack whose detector finds them. Default: the usual one. */
  readonly mode?: Mode | undefined;
  /** Which face is meant. Default: the one nearest the middle for LFW, else the largest. */
  readonly choice?: FaceChoice | undefined;
}

/**
 * The same dataset with the face of each photograph as its image; nothing is decoded yet. The detector's pack is
 * fetched first where it is missing.
 * @throws FaceError `CONFIG_INVALID` for drawn faces, which are crops; as `openPack` does.
 */
export async function withFaces(dataset: Dataset, wish: FaceWish, log: Log): Promise<Dataset> {
  if (dataset.kind === "synthetic") {
    throw new FaceError("CONFIG_INVALID", "drawn faces are crops already; they cannot be aligned", {
      hint: "pass `faces` none, or name photographs with `datasetPath`",
    });
  }
  const { files, about } = await openPack(DETECTOR_PACK, { log });
  const face: FaceCrop = {
    files,
    digest: about.files.detector.sha256,
    mode: wish.mode ?? USUAL_MODE,
    framing: wish.framing,
    choice: wish.choice ?? usualChoice(dataset.kind),
  };
  const cut = (image: ImageRef): ImageRef => (image.kind === "file" ? { ...image, face } : image);
  const identities = dataset.identities.map(({ name, images }) => ({ name, images: images.map(cut) }));
  return { ...dataset, identities };
}

/** A photograph that cannot be used, and why. */
export interface LeftOutPhoto {
  readonly path: string;
  readonly reason: string;
}

/** Photographs that a search could not use. */
export interface UnusedPhotos {
  /** Readable ones without a face, or with several where one was wanted. */
  readonly facesNotFound: readonly LeftOutPhoto[];
  readonly unreadable: readonly LeftOutPhoto[];
}

/** What a loader could not use so far, in path order. */
export function leftOutOf(loader: Loader): UnusedPhotos {
  const all = [...loader.failures]
    .map(([path, { code, message }]) => ({ path, code, reason: message }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const those = (isFace: boolean) =>
    all
      .filter(({ code }) => isFaceError(code) === isFace)
      .map(({ path, reason }) => ({ path, reason: reason.replace(`cannot read ${path}: `, "") }));
  return { facesNotFound: those(true), unreadable: those(false) };
}

/** Photographs in one call of a thread. */
const BATCH = 8;

export interface FindFacesOptions {
  readonly settings: ImageSettings;
  readonly log: Log;
  readonly strict?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Finds the faces of photographs on all cores and keeps their crops in the pixel cache, so that neither training nor
 * another run looks for them again. A search that was stopped continues where it was.
 * @throws FaceError `IMAGE_UNREADABLE` with `strict`; `INTERRUPTED` on the signal.
 */
export async function findDatasetFaces(
  people: readonly Identity[],
  { settings, log, strict = false, signal, onProgress }: FindFacesOptions,
): Promise<UnusedPhotos> {
  const images = people.flatMap((person) => person.images);
  await using loader = new Loader({ settings, workers: usableCores(), strict, log });
  let batches = 0;
  for await (const _ of loader.imageBatches(images, { batchSize: BATCH })) {
    if (signal?.aborted) {
      throw new FaceError("INTERRUPTED", "stopped while the faces of the photographs were found", {
        hint: "run the command again; it continues with the photographs that are left",
      });
    }
    onProgress?.(Math.min(++batches * BATCH, images.length), images.length);
  }
  return leftOutOf(loader);
}

/** People without the images that were left out, and without people who then have none. */
export function withoutUnused(
  people: readonly Identity[],
  { facesNotFound, unreadable }: UnusedPhotos,
): Identity[] {
  const names = new Set([...facesNotFound, ...unreadable].map(({ path }) => path));
  return people
    .map(({ name, images }) => ({ name, images: images.filter((image) => !names.has(imageName(image))) }))
    .filter(({ images }) => images.length > 0);
}
