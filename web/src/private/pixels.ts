/** @file A photograph's pixels in the thread: upright, in sRGB and on black, as the server decodes them. */
import { FaceError } from "../../../src/base/errors.ts";
import type { Pixels } from "../../../src/image/settings.ts";

/** As the server; phones take photographs of up to 50 million pixels. */
const MOST_PIXELS = 50_000_000;

/**
 * @param what the photograph's name, for errors.
 * @throws FaceError `IMAGE_UNREADABLE` for a format that the browser does not know, or too large an image.
 */
export async function pixelsOf(photo: Blob, what: string): Promise<Pixels> {
  const bitmap = await createImageBitmap(photo, { imageOrientation: "from-image" }).catch(
    (cause: unknown) => {
      throw new FaceError("IMAGE_UNREADABLE", `cannot read ${what}: the browser knows no such image`, {
        cause,
      });
    },
  );
  try {
    const { width, height } = bitmap;
    if (width * height > MOST_PIXELS) {
      throw new FaceError(
        "IMAGE_UNREADABLE",
        `cannot read ${what}: it has ${width}x${height} pixels, at most ${MOST_PIXELS} are read`,
      );
    }
    const context = new OffscreenCanvas(width, height).getContext("2d", {
      alpha: false,
      colorSpace: "srgb",
      willReadFrequently: true,
    })!;
    context.drawImage(bitmap, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, width, height);
    const data = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
      data[to] = rgba[from]!;
      data[to + 1] = rgba[from + 1]!;
      data[to + 2] = rgba[from + 2]!;
    }
    return { data, width, height };
  } finally {
    bitmap.close();
  }
}
