/** @file The images that 8-bit ranges are measured on, as the model reads them: crops, or the faces of photographs. */
import { createHash } from "node:crypto";
import { FaceError } from "../base/errors.ts";
import { counted, countText, type Log } from "../base/log.ts";
import { usableCores } from "../base/platform.ts";
import { Random } from "../base/random.ts";
import { spread } from "../data/contact-sheet.ts";
import { leftOutOf, withFaces } from "../data/dataset-faces.ts";
import { listPhotographs } from "../data/folder.ts";
import { type Dataset, type ImageRef, imageName } from "../data/identity.ts";
import { isLoss, leftOutText, Tally } from "../data/left-out.ts";
import { Loader } from "../data/loader.ts";
import { type Framing, framingName } from "../faces/alignment.ts";
import type { FaceChoice } from "../faces/choose.ts";
import { isOfOneColour } from "../image/blank.ts";
import { decodePixels } from "../image/decode.ts";
import { type ImageSettings, imageSize, settingsText } from "../image/settings.ts";
import { framingOfCrops } from "./crop.ts";

/** Whether the images are photographs, whose faces are found and cut out, or crops. */
export type Faces = "align" | "none";

/** Images of which ranges are measured on half: with fewer, one of them moves the ranges. */
const LEAST = 16;
/** Images in one call of a thread. */
const BATCH = 8;
/** Two runs on one folder draw the same images. */
const DRAWING_SEED = 1;

export interface CalibrationImages {
  readonly faces: Faces;
  /** Each `[height, width, 3]` in [0, 1], in the order of their paths. */
  readonly images: readonly Float32Array[];
  /** How many of those that were drawn were left out, by reason. */
  readonly leftOut: {
    readonly unreadable: number;
    readonly withoutFace: number;
    readonly oneColour: number;
    /** Equal to another image in every pixel that the model reads. */
    readonly copies: number;
  };
}

export interface ImageWish {
  readonly folder: string;
  /** Images wanted. */
  readonly count: number;
  /** Found out when left out. */
  readonly faces?: Faces | undefined;
  readonly face?: FaceChoice | undefined;
  readonly size: ImageSettings;
  /** Whether the model's description says how faces lie in its images. */
  readonly isFramed: boolean;
  /** How they lie. @throws FaceError `MODEL_UNSUPPORTED` for a model that does not say so. */
  readonly framing: () => Framing;
  readonly log: Log;
}

/** Whether the first images that are drawn have the size that the model reads, as crops for it do; of junk, more are looked at. */
async function areOfSize(
  paths: readonly string[],
  { count, size: { height, width } }: ImageWish,
): Promise<boolean> {
  let readable = 0;
  for (const [i, path] of paths.entries()) {
    if (i >= count && readable > 0) break;
    const pixels = await decodePixels(path).catch(() => undefined);
    if (pixels === undefined) continue;
    readable++;
    if (pixels.height !== height || pixels.width !== width) return false;
  }
  return true;
}

/** All paths in the order in which they are drawn: the wanted number spread over the folder, then the others, which replace junk. */
function drawn(paths: readonly string[], count: number): string[] {
  const first = spread(paths, count);
  const taken = new Set(first);
  const others = paths.filter((path) => !taken.has(path));
  return [...first, ...new Random(DRAWING_SEED).shuffle(others)];
}

/**
 * Without a wish, faces are found for a model that says how they lie in its images: whole photographs would give ranges that its
 * crops never have. Images that are crops already are taken as they are: those of `faceid crop`, and those of the model's size.
 */
async function facesOf(paths: readonly string[], wish: ImageWish): Promise<Faces> {
  const { folder, size, isFramed, framing, log } = wish;
  const crops = await framingOfCrops(folder);
  if (crops !== undefined) {
    const read = isFramed ? framingName(framing(), size.height) : crops;
    if (JSON.stringify({ ...crops, side: 0 }) !== JSON.stringify({ ...read, side: 0 }))
      log.warn(`the crops of ${folder} lie otherwise than the model's faces: cut them out again for it`);
    return "none";
  }
  if (!isFramed || size.height !== size.width) return "none";
  return (await areOfSize(paths, wish)) ? "none" : "align";
}

const digestOf = (image: Float32Array): string =>
  createHash("sha256")
    .update(new Uint8Array(image.buffer, image.byteOffset, image.byteLength))
    .digest("base64");

/** @throws FaceError that says how many images are missing, and how to get them. */
function tooFew({
  folder,
  faces,
  images,
  leftOut,
}: CalibrationImages & { readonly folder: string }): FaceError {
  const { unreadable, withoutFace, oneColour, copies } = leftOut;
  const reasons = [
    [unreadable, "cannot be read"],
    [withoutFace, "show no face"],
    [oneColour, "are of one colour"],
    [copies, "are copies of others"],
  ] as const;
  const rest = reasons
    .filter(([count]) => count > 0)
    .map(([count, reason]) => `${countText(count)} ${reason}`);
  const left = rest.length === 0 ? "" : ` (${rest.join(", ")})`;
  const what = faces === "align" ? "photographs of faces" : "crops of faces";
  return new FaceError(
    "DATASET_INVALID",
    `${folder} has ${counted(images.length, "usable image")}${left}, quantising takes at least ${LEAST}`,
    {
      hint: `add ${what} like those in use, of several people: 128 are a good number; ${
        withoutFace > 0
          ? "pass --faces none if they are crops already"
          : "faceid dataset download fetches some, faceid crop cuts faces out"
      }`,
    },
  );
}

async function listImages(folder: string, log: Log): Promise<string[]> {
  const leftOut = new Tally();
  try {
    const paths = await listPhotographs(folder, {
      onLeftOut: (reason, path) => leftOut.add(reason, path),
    });
    for (const item of leftOut.list().filter(isLoss)) log.warn(`left out: ${leftOutText(item)}`);
    return paths;
  } catch (error) {
    if (!(error instanceof FaceError && error.code === "DATASET_NOT_FOUND")) throw error;
    throw new FaceError(error.code, error.message, {
      hint: "check --images; it names a folder of image files, or of a folder of them for each person",
      cause: error,
    });
  }
}

/** The images as references, with a face to be found in each where they are photographs. */
async function refsOf(
  paths: readonly string[],
  faces: Faces,
  { folder, face, size, framing, log }: ImageWish,
): Promise<readonly ImageRef[]> {
  const images: readonly ImageRef[] = paths.map((path, index) => ({ kind: "file", path, index }));
  if (faces === "none") return images;
  if (size.height !== size.width) {
    throw new FaceError(
      "CONFIG_INVALID",
      `faces are cut out as squares, the model reads ${settingsText(size)}`,
      { hint: "cut them out yourself and pass --faces none" },
    );
  }
  const dataset: Dataset = { name: folder, kind: "folder", identities: [{ name: folder, images }] };
  return (await withFaces(dataset, { framing: framing(), choice: face }, log)).identities[0]!.images;
}

/**
 * Images of a folder, spread over it. One that cannot be used, and a copy of another, is replaced by another, until there are as many as wanted or the
 * folder ends.
 * @returns the images in the order of their paths.
 * @throws FaceError `DATASET_…` for a folder without enough usable images; `CONFIG_INVALID` where faces cannot be cut out; `PACK_…`.
 */
export async function calibrationImages(wish: ImageWish): Promise<CalibrationImages> {
  const { folder, count, size, log } = wish;
  const listed = await listImages(folder, log);
  const paths = drawn(listed, count);
  const faces = wish.faces ?? (await facesOf(paths, wish));
  const refs = await refsOf(paths, faces, wish);
  if (faces === "align") {
    log.info(
      `finding the faces of ${counted(Math.min(count, paths.length), "photograph")}; --faces none takes images as they are`,
    );
  }
  await using loader = new Loader({
    settings: size,
    workers: faces === "align" ? usableCores() : 1,
    log,
  });
  const usable = new Map<string, Float32Array>();
  // A copy adds nothing to the ranges, and a comparison with it is one of an image with itself.
  const names = new Map<string, string>();
  let [oneColour, copies] = [0, 0];
  for (let next = 0; next < refs.length && usable.size < count; ) {
    const round = refs.slice(next, next + count - usable.size);
    const from = next;
    next += round.length;
    for await (const batch of loader.imageBatches(round, { batchSize: BATCH })) {
      for (const [row, position] of batch.positions.entries()) {
        const image = batch.images.slice(row * imageSize(size), (row + 1) * imageSize(size));
        const name = imageName(round[position]!);
        const digest = digestOf(image);
        const original = names.get(digest);
        if (isOfOneColour({ ...size, data: image })) {
          oneColour++;
          log.warn(`${name} is of one colour; it is left out`);
        } else if (original !== undefined) {
          copies++;
          log.warn(`${name} is a copy of ${original}; it is left out`);
        } else {
          names.set(digest, name);
          usable.set(paths[from + position]!, image);
        }
      }
    }
  }
  const images = listed.flatMap((path) => usable.get(path) ?? []);
  const { facesNotFound, unreadable } = leftOutOf(loader);
  const leftOut = { unreadable: unreadable.length, withoutFace: facesNotFound.length, oneColour, copies };
  const result = { faces, images, leftOut };
  if (images.length < Math.min(count, LEAST)) throw tooFew({ ...result, folder });
  return result;
}
