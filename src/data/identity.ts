/** @file People, their images, and reading an image's pixels. */

import { decodeImage } from "../image/decode.ts";
import type { ImageSettings } from "../image/settings.ts";
import { drawPhoto, type SyntheticPhoto } from "../synthetic/draw.ts";
import type { LeftOut } from "./left-out.ts";

/** An image in a file. */
export interface FileImage {
  readonly kind: "file";
  readonly path: string;
  /** Index in the dataset's list of images. */
  readonly index: number;
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
 * @returns eight-bit RGB, `[settings.height, settings.width, 3]`
 * @throws FaceError `IMAGE_UNREADABLE` when it is a file that cannot be decoded.
 */
export function readPixels(image: ImageRef, settings: ImageSettings): Promise<Uint8Array> {
  if (image.kind === "file") return decodeImage(image.path, settings);
  return Promise.resolve(drawPhoto(image.photo, settings));
}
