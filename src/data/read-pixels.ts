/** @file The pixels behind an image reference, decoded or drawn. */
import { decodeImage } from "../image/decode.ts";
import type { ImageSettings } from "../image/settings.ts";
import { drawPhoto } from "../synthetic/draw.ts";
import type { ImageRef } from "./identity.ts";

/**
 * @returns eight-bit RGB, `[settings.height, settings.width, 3]`
 * @throws FaceError `IMAGE_UNREADABLE` when it is a file that cannot be decoded.
 */
export function readPixels(image: ImageRef, settings: ImageSettings): Promise<Uint8Array> {
  if (image.kind === "file") return decodeImage(image.path, settings);
  return Promise.resolve(drawPhoto(image.photo, settings));
}
