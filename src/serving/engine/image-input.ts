/** @file Image inputs of a signature: which they are, and photographs made fit for them. */
import { float32, type Tensor } from "../../base/tensor.ts";
import { decodeImage } from "../../image/decode.ts";
import { type ImageSettings, imageSize, prepareInto } from "../../image/settings.ts";
import type { SignatureTensor } from "../../savedmodel/signature.ts";
import type { RequestMemory } from "../request-memory.ts";
import { decodeInTurn } from "./decode-in-turn.ts";

const RGB_CHANNELS = 3;
/** Far more than a photograph; a smaller file can claim to be larger than any memory. */
export const MOST_PIXELS = 50_000_000;

/** Height and width of an input that takes RGB images as floats, `[batch, height, width, 3]`. */
export function imageSettingsOf({ dtype, shape }: SignatureTensor): ImageSettings | undefined {
  const [, height = 0, width = 0, channels] = shape ?? [];
  const isImage = dtype === "float32" && shape?.length === 4 && channels === RGB_CHANNELS;
  return isImage && height > 0 && width > 0 ? { height, width, channels: RGB_CHANNELS } : undefined;
}

/**
 * Image files as a batch: upright, resized, RGB in [0, 1].
 * @throws FaceError `IMAGE_UNREADABLE`.
 */
export async function imageBatch(
  files: readonly Uint8Array[],
  settings: ImageSettings,
  memory: RequestMemory,
): Promise<Tensor> {
  const size = imageSize(settings);
  const decoded = await Promise.all(
    files.map((file) => decodeInTurn(() => decodeImage(file, settings, { maxPixels: MOST_PIXELS }))),
  );
  const batch = memory.array("float32", files.length * size);
  for (const [index, pixels] of decoded.entries()) prepareInto(pixels, batch, index * size);
  return float32([files.length, settings.height, settings.width, settings.channels], batch);
}
