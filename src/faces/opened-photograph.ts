/** @file A photograph that is decoded while the networks that read it are loaded. */
import { type DecodeOptions, decodePixels, decodeQuarter, type ImageSource } from "../image/decode.ts";
import type { FacePick } from "./choose.ts";
import { Pyramid } from "./pyramid.ts";

export interface ReadOptions extends DecodeOptions {
  /** Which face is meant. With `largest`, it may be found alone, where all others are less than half as wide. */
  readonly wanted: FacePick;
}

/** A photograph that is being decoded already, such as while a model is loaded. */
export interface OpenedPhotograph {
  readonly source: ImageSource;
  readonly photograph: Promise<Pyramid>;
}

/** Starts to decode a photograph for `FacePipeline.read`, in a thread of libvips. Its error comes where it is read. */
export function openPhotograph(source: ImageSource, { wanted, ...options }: ReadOptions): OpenedPhotograph {
  const open = async () => {
    const quarter = wanted === "largest" ? await decodeQuarter(source, options) : undefined;
    if (quarter !== undefined) return new Pyramid(quarter.pixels, { ...quarter, halvings: 2 });
    return new Pyramid(await decodePixels(source, options));
  };
  const photograph = open();
  photograph.catch(() => undefined);
  return { source, photograph };
}

export const isOpened = (photo: unknown): photo is OpenedPhotograph =>
  typeof photo === "object" && photo !== null && "photograph" in photo;
