/** @file Cuts the face that is meant out of a photograph of a dataset. */

import { readFile } from "node:fs/promises";
import { FaceError } from "../base/errors.ts";
import { Limiter } from "../base/limiter.ts";
import type { Framing } from "../faces/alignment.ts";
import { chooseFace, type FaceChoice } from "../faces/choose.ts";
import { cropFace } from "../faces/found-faces.ts";
import { type Mode, modeSuffix } from "../faces/mode.ts";
import { FacePipeline } from "../faces/pipeline.ts";
import type { ImageSettings } from "../image/settings.ts";

/** How faces are found and cut out, as plain data that can be sent to a worker thread. */
export interface FaceCrop {
  /** Paths of the pack's files. */
  readonly files: { readonly detector: string; readonly embedding: string };
  /** SHA-256 of the detector, which decides where the faces are. */
  readonly digest: string;
  /** How the pack looks for faces. */
  readonly mode: Mode;
  readonly framing: Framing;
  readonly choice: FaceChoice;
}

/** Raise this when detection or alignment changes, which makes crops in the cache invalid. */
const ALIGNMENT_VERSION = 4;

/** What a crop depends on beside the photograph. */
export const faceCropText = ({ digest, mode, framing, choice }: FaceCrop): string =>
  `face ${ALIGNMENT_VERSION} ${digest}${modeSuffix(mode)} ${choice} ${JSON.stringify(framing)}`;

/** Why a photograph has no crop; the place in this list marks it. */
const REASONS = ["FACE_NOT_FOUND", "SEVERAL_FACES"] as const;
type Reason = (typeof REASONS)[number];

const isReason = (code: string): code is Reason => (REASONS as readonly string[]).includes(code);

/** Whether an error says that a readable photograph has no face, or not one alone where one is wanted. */
export const isFaceError = (code: string): boolean => isReason(code);

/** Black pixels but for the first value. No face looks so, and the cache can keep it. */
function mark(reason: Reason, size: number): Uint8Array {
  const pixels = new Uint8Array(size);
  pixels[0] = REASONS.indexOf(reason);
  return pixels;
}

const pipelines = new Map<string, Promise<FacePipeline>>();

/** The pipeline of this thread, which stays open. */
function pipelineOf({ files, digest, mode }: FaceCrop): Promise<FacePipeline> {
  const open = async () => {
    return await FacePipeline.open({ detector: await readFile(files.detector) }, mode);
  };
  const key = `${digest}${modeSuffix(mode)}`;
  const opened = pipelines.get(key) ?? open();
  pipelines.set(key, opened);
  return opened;
}

/** A decoded photograph takes four bytes a pixel with its smaller copies: not many at a time. */
const limiter = new Limiter(2);

/**
 * The face of a photograph as a model reads it.
 * @returns eight-bit RGB `[height, width, 3]`, or a mark that `requireFace` understands where there is no such face.
 * @throws FaceError `IMAGE_UNREADABLE`.
 */
export function cutFace(path: string, crop: FaceCrop, settings: ImageSettings): Promise<Uint8Array> {
  const side = settings.width;
  return limiter.run(async () => {
    const pipeline = await pipelineOf(crop);
    try {
      return await pipeline.read(path, { wanted: crop.choice }, ({ photograph, faces }) => {
        const face = chooseFace(faces, crop.choice, photograph.size, path);
        return new Uint8Array(cropFace(photograph, face, crop.framing, side).data);
      });
    } catch (error) {
      if (error instanceof FaceError && isReason(error.code)) return mark(error.code, side * side * 3);
      throw error;
    }
  });
}

/**
 * The pixels of a face, unless they are a mark.
 * @throws FaceError `FACE_NOT_FOUND` or `SEVERAL_FACES`.
 */
export function requireFace(path: string, pixels: Uint8Array): Uint8Array {
  const reason = REASONS[pixels[0]!];
  if (reason === undefined || pixels.findIndex((value, i) => i > 0 && value !== 0) > 0) return pixels;
  throw new FaceError(
    reason,
    reason === "FACE_NOT_FOUND"
      ? `no face was found in ${path}`
      : `several faces were found in ${path}, one was wanted`,
  );
}
