/** @file People, their images, and reading an image's pixels. */

import { decodeImage } from "../image/decode.ts";
import type { ImageSettings } from "../image/settings.ts";
import { drawPhoto, type SyntheticPhoto } from "../synthetic/draw.ts";

/** An image in a file. */
export interface FileImage {
  readonly kind: "file";
  readonly path: string;
  /** Position in the dataset's whole list: the image's slot in the pixel cache. */
  readonly index: number;
}

/** An image that the program draws. */
export interface SyntheticImage {
  readonly kind: "synthetic";
  readonly photo: SyntheticPhoto;
  /** Position in the dataset's whole list: the image's slot in the pixel cache. */
  readonly index: number;
}

/** Where one image's pixels come from. Plain data, so it can be sent to a worker thread; nothing is decoded yet. */
export type ImageRef = FileImage | SyntheticImage;

/** One person and the images of that person, in a fixed order. */
export interface Identity {
  readonly name: string;
  readonly images: readonly ImageRef[];
}

/** How a dataset lies on disk, or that it is drawn, or that a user's module lists it. */
export type DatasetKind = "digiface" | "lfw" | "folder" | "synthetic" | "module";

/** People with their images; no two identities share a name. */
export interface Dataset {
  /** For people: a layout and where it lies. */
  readonly name: string;
  readonly kind: DatasetKind;
  /** The folder or module it was read from; absent for drawn faces. */
  readonly path?: string;
  /** In name order. */
  readonly identities: readonly Identity[];
}

/** A text that finds the image again: its path, or `synthetic/<identity>/<photo>`. */
export function imageName(image: ImageRef): string {
  return image.kind === "file" ? image.path : `synthetic/${image.photo.identity}/${image.photo.number}`;
}

/** Number of images of all people together. */
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
