/** @file Writes drawn people to disk as PNG files in DigiFace's layout. */
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { publishFolder, writeError } from "../base/files.ts";
import { Loader } from "../data/loader.ts";
import { encodePng } from "../image/decode.ts";
import { type ImageSettings, imageSize } from "../image/settings.ts";
import { drawnIdentities, type SyntheticOptions } from "./dataset.ts";

export interface WriteOptions extends SyntheticOptions {
  /** A folder that does not exist yet, or is empty. */
  readonly output: string;
  readonly identities: number;
  readonly imagesPerIdentity: number;
  /** Number of the first person: another range, other people. Default 0. */
  readonly first?: number;
  readonly settings: ImageSettings;
  readonly onProgress?: (written: number) => void;
  readonly signal?: AbortSignal;
}

const BATCH = 32;

async function writePhoto(path: string, pixels: Uint8Array, { width, height }: ImageSettings): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await encodePng(pixels, width, height));
  } catch (error) {
    throw writeError(path, error);
  }
}

/**
 * Draws people on all cores and writes `<output>/<person>/<photo>.png`. The folder appears when it is complete.
 * @returns the number of images
 * @throws FaceError `FILE_INVALID` when the folder holds something already; `DISK_FULL`; `INTERRUPTED` on the signal.
 */
export async function writeSynthetic(options: WriteOptions): Promise<number> {
  const { output, identities, imagesPerIdentity, first = 0, settings, onProgress, signal } = options;
  const people = drawnIdentities(first, first + identities - 1, imagesPerIdentity, options);
  const images = people.flatMap((person) => [...person.images]);
  const size = imageSize(settings);
  const fill = async (folder: string) => {
    await using loader = new Loader({ settings, workers: availableParallelism(), cacheFolder: false });
    let written = 0;
    for await (const batch of loader.imageBatches(images, { batchSize: BATCH })) {
      if (signal?.aborted)
        throw new FaceError("INTERRUPTED", `stopped after ${written} of ${images.length} images`);
      const photos = Array.from(batch.positions, (position, row) => {
        const person = first + Math.floor(position / imagesPerIdentity);
        const path = join(folder, String(person), `${position % imagesPerIdentity}.png`);
        const pixels = Uint8Array.from(batch.images.subarray(row * size, (row + 1) * size), (v) =>
          Math.round(v * 255),
        );
        return writePhoto(path, pixels, settings);
      });
      await Promise.all(photos);
      written += photos.length;
      onProgress?.(written);
    }
  };
  await publishFolder(output, fill);
  return images.length;
}
