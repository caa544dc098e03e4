/** @file Lists the faces of photographs, and draws them. */

import { basename, dirname, join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { nameWith, writeFileAtomic } from "../base/files.ts";
import { countText } from "../base/log.ts";
import { drawFaces, isPngName, requirePicture } from "../verify/draw-faces.ts";
import { type LoadFaceModelOptions, loadFaceModel } from "../verify/load-face-model.ts";
import type { PhotoFace } from "../verify/photo-model.ts";
import { noneThere, type WantedPhoto, wantedPhotos } from "./photos-in.ts";

export interface ListFacesOptions extends Omit<LoadFaceModelOptions, "detect" | "calibration"> {
  /** Where the photographs are drawn with their faces: a PNG for one photograph, a folder for several. */
  readonly show?: string | undefined;
  /** Called after each photograph, with its entry of the result. */
  readonly onPhoto?: (photo: ListedPhoto) => void;
}

/** The faces of one photograph, the surest first, or why it could not be read. */
export type ListedPhoto =
  | {
      readonly image: string;
      /** Of the photograph, upright. */
      readonly width: number;
      readonly height: number;
      readonly faces: readonly PhotoFace[];
    }
  | { readonly image: string; readonly error: FaceError };

/** The picture of each photograph; two photographs of one name would overwrite each other. */
async function picturePaths(
  wanted: readonly WantedPhoto[],
  given: readonly string[],
  show: string,
): Promise<string[]> {
  const photos = wanted.map(({ path }) => path);
  if (photos.length === 1 && photos[0] === given[0]) {
    await requirePicture(show, photos);
    return [show];
  }
  if (isPngName(show)) {
    throw new FaceError(
      "CONFIG_INVALID",
      `--show: got ${show} for ${countText(photos.length)} photographs, expected a folder`,
    );
  }
  const names = wanted.map(({ name }) => join(dirname(name), nameWith(basename(name), ".png")));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return names.map((name) => join(show, name));
  throw new FaceError("CONFIG_INVALID", `--show: two photographs would be drawn as ${twice}`, {
    hint: "draw them in two runs with folders of their own",
  });
}

/**
 * Finds the faces of photographs, one photograph after the other.
 * @param given photographs, and folders, of which all photographs are taken, also those of the folders in them.
 * @returns one entry for each photograph, in order; one that cannot be read is an entry with its error, as are the files of
 *   folders that are not read, such as videos, at the end.
 * @throws FaceError as `loadFaceModel`; `DATASET_INVALID` for a folder without photographs; `INTERRUPTED` on the signal.
 */
export async function listFaces(
  given: readonly string[],
  { show, onPhoto, ...options }: ListFacesOptions = {},
): Promise<ListedPhoto[]> {
  const { photos: wanted, unread: others } = await wantedPhotos(given);
  const pictures = show === undefined ? undefined : await picturePaths(wanted, given, show);
  const listed: ListedPhoto[] = [];
  const add = (photo: ListedPhoto) => {
    listed.push(photo);
    onPhoto?.(photo);
  };
  const unread = await noneThere(wanted.map(({ path }) => path));
  if (unread !== undefined) {
    for (const photo of [...unread, ...others]) add(photo);
    return listed;
  }
  await using model = await loadFaceModel(undefined, options);
  for (const [i, { path: image }] of wanted.entries()) {
    if (options.signal?.aborted) throw new FaceError("INTERRUPTED", "faces was stopped");
    try {
      const { photograph, faces } = await model.findFaces(image);
      const { width, height } = photograph.size;
      if (pictures !== undefined) await writeFileAtomic(pictures[i]!, await drawFaces(photograph, faces));
      add({ image, width, height, faces });
    } catch (error) {
      if (!(error instanceof FaceError && error.code === "IMAGE_UNREADABLE")) throw error;
      add({ image, error });
    }
  }
  for (const photo of others) add(photo);
  return listed;
}
