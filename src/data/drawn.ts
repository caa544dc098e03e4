/** @file Drawn people as a dataset, in memory or written to disk in the layout of DigiFace. */

import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { FaceError } from "../base/errors.ts";
import { checkTarget, makeFolder, publishFolder, writeError } from "../base/files.ts";
import { countText } from "../base/log.ts";
import { encodePng } from "../image/decode.ts";
import { type ImageSettings, imageSize } from "../image/settings.ts";
import type { Identity, SyntheticImage } from "./identity.ts";
import { Loader } from "./loader.ts";

export interface SyntheticOptions {
  /** Number of people. Default 200. */
  readonly identities?: number;
  /** Seed of the people. Default 0. */
  readonly seed?: number;
  /** How much the images of one person vary, from 0 to 2. Default 1. */
  readonly difficulty?: number;
}

export const DEFAULT_SYNTHETIC_IDENTITIES = 200;
export const DEFAULT_SYNTHETIC_IMAGES = 10;

/** Digits of a drawn person's name, so that name order is number order for up to a million people. */
const NAME_DIGITS = 6;

/**
 * Drawn people with numbers `from` to `to`, both included. A number and a seed always give the same person.
 */
export function drawnIdentities(
  from: number,
  to: number,
  imagesPerIdentity: number,
  options: SyntheticOptions = {},
): Identity[] {
  const { seed = 0, difficulty = 1 } = options;
  return Array.from({ length: to - from + 1 }, (_, position) => {
    const identity = from + position;
    const images = Array.from(
      { length: imagesPerIdentity },
      (_, number): SyntheticImage => ({
        kind: "synthetic",
        photo: { seed, identity, number, difficulty },
        index: position * imagesPerIdentity + number,
      }),
    );
    return { name: String(identity).padStart(NAME_DIGITS, "0"), images };
  });
}

export interface WriteOptions extends SyntheticOptions {
  /** A new or empty folder. */
  readonly output: string;
  readonly identities: number;
  readonly imagesPerIdentity: number;
  /** Number of the first person. Default 0. */
  readonly first?: number;
  readonly settings: ImageSettings;
  readonly onProgress?: (written: number) => void;
  readonly signal?: AbortSignal;
}

const BATCH = 32;

async function writePhoto(path: string, pixels: Uint8Array, { width, height }: ImageSettings): Promise<void> {
  try {
    await makeFolder(dirname(path));
    await writeFile(path, await encodePng(pixels, width, height));
  } catch (error) {
    throw writeError(path, error);
  }
}

/**
 * Draws people on all cores and writes `<output>/<person>/<photo>.png`. The folder appears when it is complete.
 * @returns the number of images.
 * @throws FaceError `FILE_INVALID` when the folder is not empty; `DISK_FULL`; `INTERRUPTED` on the signal.
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
        throw new FaceError(
          "INTERRUPTED",
          `stopped after ${countText(written)} of ${countText(images.length)} images`,
        );
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
  await checkTarget(output, "new folder");
  await publishFolder(output, fill);
  return images.length;
}
