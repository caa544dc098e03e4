/** @file Compares one photograph with another, or with all photographs of a folder. */
import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { bothOf, FaceError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { usableCores } from "../base/platform.ts";
import { pickOf } from "../faces/choose.ts";
import { type OpenedPhotograph, openPhotograph } from "../faces/opened-photograph.ts";
import { DEFAULT_PACK } from "../faces/packs/catalogue.ts";
import { PackStore } from "../faces/packs/store.ts";
import { readImageFile } from "../image/decode.ts";
import type { LoadFaceModelOptions } from "../verify/load-face-model.ts";
import type {
  PairOptions,
  PhotoModel,
  PhotoVerification,
  PhotoVerifyOptions,
  ReadPhoto,
} from "../verify/photo-model.ts";
import { isFolder, type LeftOutFile, photosIn } from "./photos-in.ts";

export interface VerifyPhotosOptions extends LoadFaceModelOptions, PhotoVerifyOptions {
  /** As for `loadFaceModel`. */
  readonly model?: string | undefined;
  /** Path of a PNG that shows what was compared; only for two photographs. */
  readonly show?: string | undefined;
}

/** What came of one photograph of a folder. */
export type Candidate =
  | {
      readonly image: string;
      /** Of its face that is most like the wanted one. */
      readonly verification: PhotoVerification;
      /** How many of its faces were compared. */
      readonly compared: number;
    }
  | { readonly image: string; readonly error: FaceError };

/** One photograph against many: those that could be compared by falling similarity, then those that could not. */
export interface VerifiedFolder {
  readonly candidates: readonly Candidate[];
  /** Faces that were compared in all of them: the false accept rate holds for each. */
  readonly compared: number;
  /** Files of the folder that are not read, such as videos. */
  readonly leftOut: readonly LeftOutFile[];
}

async function verifyPair(
  model: PhotoModel,
  names: readonly [string, string],
  [first, second]: readonly [string | OpenedPhotograph, string | OpenedPhotograph],
  { show, far, ...options }: VerifyPhotosOptions,
): Promise<PhotoVerification> {
  const pair = await model.readPair(first, second, wishOf(options));
  const verification = await model.compare(...pair, far);
  if (show !== undefined) {
    const { drawComparison } = await import("../verify/draw-faces.ts");
    await writeFileAtomic(show, await drawComparison(pair, { names, verification }));
  }
  return verification;
}

/** The options that are about faces. */
const wishOf = ({ face, strict, limits }: PairOptions): PairOptions => ({ face, strict, limits });

/**
 * The photographs of a folder without the one that they are compared with, where it lies there itself.
 * @throws FaceError as `photosIn`; `DATASET_INVALID` when there is no other.
 */
async function othersIn(
  folder: string,
  photo: string,
): Promise<{ readonly images: readonly string[]; readonly leftOut: readonly LeftOutFile[] }> {
  const { paths, unread } = await photosIn(folder);
  const images = paths.map((path) => join(folder, path));
  // A photograph that is gone has no place; it is said of it when it is read.
  const placeOf = (path: string) => realpath(path).catch(() => undefined);
  const own = await placeOf(photo);
  const places = await Promise.all(images.map(placeOf));
  const others = images.filter((_, i) => own === undefined || places[i] !== own);
  if (others.length > 0) return { images: others, leftOut: unread };
  throw new FaceError("DATASET_INVALID", `there are no photographs in ${folder} but ${photo} itself`, {
    hint: "name a folder of other photographs",
  });
}

/**
 * Says which photographs are not there, before a pack is downloaded for nothing.
 * @throws PhotoError `IMAGE_UNREADABLE`.
 */
async function requireFiles(paths: readonly string[]): Promise<void> {
  const missing = paths.filter((path) => !existsSync(path));
  const [first = ""] = missing;
  try {
    await bothOf(readMissing(missing[0]), readMissing(missing[1]));
  } catch (error) {
    const { PhotoError } = await import("../verify/photo-model.ts");
    throw error instanceof FaceError ? new PhotoError(first, error, error) : error;
  }
}

const readMissing = async (path: string | undefined) => path === undefined || (await readImageFile(path));

/** Compares a face with every one of a photograph, and keeps the most alike. */
async function mostAlike(
  model: PhotoModel,
  wanted: ReadPhoto,
  faces: readonly ReadPhoto[],
  far: number | undefined,
): Promise<PhotoVerification> {
  const verifications: PhotoVerification[] = [];
  for (const face of faces) verifications.push(await model.compare(wanted, face, far));
  return verifications.reduce((best, each) => (each.similarity > best.similarity ? each : best));
}

/**
 * One choice of a face is about the photograph, and all faces of each photograph of the folder are compared; a second choice
 * takes one face of each instead.
 */
async function verifyFolder(
  model: PhotoModel,
  [photo, folder]: readonly [string, string],
  { far, signal, ...options }: VerifyPhotosOptions,
): Promise<VerifiedFolder> {
  const { images, leftOut } = await othersIn(folder, photo);
  const { face = "largest", ...others } = wishOf(options);
  const wanted = await model.read(photo, { ...others, face: pickOf(face, 0) });
  const facesOf = async (image: string): Promise<ReadPhoto[]> =>
    typeof face === "object"
      ? [await model.read(image, { ...others, face: face[1] })]
      : await model.readFaces(image, others);
  const candidates: Candidate[] = [];
  for (const image of images) {
    if (signal?.aborted) throw new FaceError("INTERRUPTED", "verify was stopped");
    try {
      const faces = await facesOf(image);
      const verification = await mostAlike(model, wanted, faces, far);
      candidates.push({ image, verification, compared: faces.length });
    } catch (error) {
      if (!(error instanceof FaceError)) throw error;
      candidates.push({ image, error });
    }
  }
  const rank = (each: Candidate) =>
    "verification" in each ? each.verification.similarity : Number.NEGATIVE_INFINITY;
  const ranked = candidates.toSorted((a, b) => (rank(a) < rank(b) ? 1 : rank(a) > rank(b) ? -1 : 0));
  const compared = candidates.reduce((sum, each) => sum + ("compared" in each ? each.compared : 0), 0);
  return { candidates: ranked, compared, leftOut };
}

/**
 * Says whether two photographs show one person, or which photographs of a folder show the person of the first.
 * @throws FaceError as `loadFaceModel` and `PhotoModel.verify`; a photograph of a folder that cannot be compared is an
 *   entry with its error instead.
 */
export async function verifyPhotos(
  photo: string,
  other: string,
  options: VerifyPhotosOptions = {},
): Promise<PhotoVerification | VerifiedFolder> {
  const [isFirst, many] = [await isFolder(photo), await isFolder(other)];
  if (isFirst) {
    throw new FaceError("CONFIG_INVALID", `${photo} is a folder, a photograph is wanted`, {
      hint: "name the photograph first; a folder of photographs to compare it with comes second",
    });
  }
  if (many && options.show !== undefined) {
    throw new FaceError("CONFIG_INVALID", "--show draws two photographs, not a folder");
  }
  if (options.show !== undefined) {
    const { requirePicture } = await import("../verify/draw-faces.ts");
    await requirePicture(options.show, [photo, other]);
  }
  // A model that is no pack takes the pack's detector.
  if (!(await new PackStore().has(DEFAULT_PACK))) await requireFiles(many ? [photo] : [photo, other]);
  const { detect, precision, profile, calibration, log, progress, signal } = options;
  // Two photographs are decoded while the program's other parts and the networks are loaded.
  const { face = "largest" } = options;
  const pair =
    many || detect === false
      ? ([photo, other] as const)
      : ([
          openPhotograph(photo, { wanted: pickOf(face, 0) }),
          openPhotograph(other, { wanted: pickOf(face, 1) }),
        ] as const);
  const threads = options.threads ?? usableCores();
  const how = { detect, precision, profile, calibration, log, progress, signal, threads };
  const { loadFaceModel } = await import("../verify/load-face-model.ts");
  await using model = await loadFaceModel(options.model, how);
  // A rate that cannot be answered is refused before any work.
  model.decide(0, options.far);
  if (many) return await verifyFolder(model, [photo, other], options);
  return await verifyPair(model, [photo, other], pair, options);
}
