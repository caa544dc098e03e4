/** @file Draws a contact sheet of a dataset: one row per person, with images as the network gets them. */
import { FaceError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { augmentImage } from "../image/augment.ts";
import type { AugmentSettings } from "../image/augment-settings.ts";
import type { ImageSettings, Pixels } from "../image/settings.ts";
import { type Identity, type ImageRef, imageName, readPixels } from "./identity.ts";

export interface SheetOptions {
  /** Largest number of people, evenly spaced in the list. */
  readonly rows: number;
  /** Largest number of images per person, from the first. */
  readonly columns: number;
  readonly settings: ImageSettings;
  /** Shows each person's first image unchanged and then with random changes. */
  readonly augment?: AugmentSettings;
  /** Called for images that cannot be decoded; their cells stay empty. */
  readonly onUnreadable?: (name: string, reason: string) => void;
}

export interface ContactSheet extends Pixels {
  /** The people, from top to bottom. */
  readonly names: readonly string[];
}

/** Pixels between and around the images, and their grey. */
const GAP = 4;
const BACKGROUND = 240;

/** At most `count` items, evenly spaced in the list. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}

/** Reads the images of one row; unreadable ones are undefined. */
async function* rowPixels(
  images: readonly ImageRef[],
  row: number,
  { columns, settings, augment, onUnreadable }: SheetOptions,
): AsyncGenerator<Uint8Array | undefined> {
  const read = (image: ImageRef) =>
    readPixels(image, settings).catch((error: FaceError) => {
      onUnreadable?.(imageName(image), error.message);
      return undefined;
    });
  if (augment === undefined) {
    for (const image of images.slice(0, columns)) yield await read(image);
    return;
  }
  const decoded = images[0] === undefined ? undefined : await read(images[0]);
  // Not slice(): decoded pixels are Buffers, whose slices share memory.
  const pixels = decoded && new Uint8Array(decoded);
  for (let column = 0; column < columns; column++) {
    const random = new Random(1).fork("preview", row, column);
    yield column === 0 ? pixels : pixels && augmentImage(pixels.slice(), settings, augment, random);
  }
}

/**
 * Draws a contact sheet.
 * @throws FaceError `DATASET_INVALID` when there are no images.
 */
export async function contactSheet(
  identities: readonly Identity[],
  options: SheetOptions,
): Promise<ContactSheet> {
  const { rows, columns, settings, augment } = options;
  const shown = spread(identities, rows);
  const photographs = Math.max(0, ...shown.map(({ images }) => images.length));
  const most = augment === undefined ? Math.min(columns, photographs) : columns;
  if (photographs === 0) throw new FaceError("DATASET_INVALID", "there are no images to show");
  const width = GAP + most * (settings.width + GAP);
  const height = GAP + shown.length * (settings.height + GAP);
  const data = new Uint8Array(width * height * 3).fill(BACKGROUND);
  const rowBytes = settings.width * 3;
  for (const [row, { images }] of shown.entries()) {
    let column = -1;
    for await (const pixels of rowPixels(images, row, options)) {
      column++;
      if (pixels === undefined) continue;
      const left = GAP + column * (settings.width + GAP);
      const top = GAP + row * (settings.height + GAP);
      for (let y = 0; y < settings.height; y++) {
        data.set(pixels.subarray(y * rowBytes, (y + 1) * rowBytes), ((top + y) * width + left) * 3);
      }
    }
  }
  return { data, width, height, names: shown.map(({ name }) => name) };
}
