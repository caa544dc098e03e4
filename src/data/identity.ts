/** @file People, their images, and reading an image's pixels. */

import { decodeImage } from "../image/decode.ts";
import type { ImageSettings } from "../image/settings.ts";
import { drawPhoto, type SyntheticPhoto } from "../synthetic/draw.ts";
import { cutFace, type FaceCrop, requireFace } from "./face-crop.ts";
import type { LeftOut } from "./left-out.ts";

/** An image in a file. */
export interface FileImage {
  readonly kind: "file";
  readonly path: string;
  /** Index in the dataset's list of images. */
  readonly index: number;
  /** How the face is cut out; the image is the whole picture when left out. */
  readonly face?: FaceCrop;
}

/** An image that is drawn. */
export interface SyntheticImage {
  readonly kind: "synthetic";
  readonly photo: SyntheticPhoto;
  /** Index in the dataset's list of images. */
  readonly index: number;
}

/** The source of an image's pixels, as plain data that can be sent to a worker thread. */
export type ImageRef = FileImage | SyntheticImage;

/** One person and the images of that person, in a fixed order. */
export interface Identity {
  readonly name: string;
  readonly images: readonly ImageRef[];
}

/** A layout on disk, or drawn images, or a user's module. */
export type DatasetKind = "digiface" | "lfw" | "folder" | "synthetic" | "module";

/** People with their images; names are unique. */
export interface Dataset {
  /** For display: the layout and the folder's name. */
  readonly name: string;
  readonly kind: DatasetKind;
  /** The folder or module it was read from; absent for drawn faces. */
  readonly path?: string;
  /** In name order. */
  readonly identities: readonly Identity[];
  /** What its folder holds that is not used, by reason. */
  readonly leftOut?: readonly LeftOut[];
  /** What somebody who made the folder should know about how it was read. */
  readonly remarks?: readonly string[];
}

/** A name that identifies the image: its path, or `synthetic/<identity>/<photo>`. */
export function imageName(image: ImageRef): string {
  return image.kind === "file" ? image.path : `synthetic/${image.photo.identity}/${image.photo.number}`;
}

/** Number of images of all people. */
export function countImages(identities: readonly Identity[]): number {
  return identities.reduce((sum, identity) => sum + identity.images.length, 0);
}

/**
 * Pixels as the cache keeps them: of a photograph without the face that is meant they are a mark (`cutFace`).
 * @throws FaceError `IMAGE_UNREADABLE` when it is a file that cannot be decoded.
 */
export async function readCachedPixels(image: ImageRef, settings: ImageSettings): Promise<Uint8Array> {
  if (image.kind === "synthetic") return drawPhoto(image.photo, settings);
  const { path, face } = image;
  return await (face === undefined ? decodeImage(path, settings) : cutFace(path, face, settings));
}

/**
 * The same pixels, unless they are a mark.
 * @throws FaceError `FACE_NOT_FOUND` or `SEVERAL_FACES`.
 */
export const requirePixels = (image: ImageRef, pixels: Uint8Array): Uint8Array =>
  image.kind === "file" && image.face !== undefined ? requireFace(image.path, pixels) : pixels;

/**
 * @returns eight-bit RGB, `[settings.height, settings.width, 3]`
 * @throws FaceError `IMAGE_UNREADABLE` when it is a file that cannot be decoded; for the face of a photograph also
 *   `FACE_NOT_FOUND` or `SEVERAL_FACES`.
 */
export async function readPixels(image: ImageRef, settings: ImageSettings): Promise<Uint8Array> {
  return requirePixels(image, await readCachedPixels(image, settings));
}
