/** @file Detect and embed, our own verbs: the faces of a photograph, or the embedding of one of them. */

import { EMBED } from "../artifact/signatures.ts";
import { floats } from "../base/tensor.ts";
import {
  DEFAULT_WISH,
  describeFace,
  type FaceWish,
  faceAnswer,
  type MeantFace,
} from "../faces/meant-face.ts";
import { type RunOptions, runUntil, type Servable } from "./engine/servable.ts";
import type { VerbContext } from "./photos/meant-faces.ts";
import { faceInputOf, faceTensor } from "./photos/meant-faces.ts";
import { PackServable } from "./photos/pack-catalog.ts";
import type { PhotoThreads } from "./photos/photo-threads.ts";
import type { ModelChoice } from "./repository/catalog.ts";
import { StatusError } from "./status.ts";

/** One photograph. */
export interface PhotoCall {
  /** An image file. */
  readonly image: Uint8Array;
  /** Which face is meant; `undefined` for the largest one, whatever its quality. */
  readonly wish: FaceWish | undefined;
}

/** What the photograph of a request with only one is called. */
const WHAT = "the photograph";

/** Digits that tell any two floats of 32 bits apart. */
const FLOAT_DIGITS = 9;

function detectorOf({ photos }: VerbContext): PhotoThreads {
  if (photos !== undefined) return photos;
  throw new StatusError(
    "FAILED_PRECONDITION",
    "This server finds no faces: it was started without a detector; start it with --pack opencv-sface",
  );
}

/**
 * The faces of a photograph, the surest first; none is an empty list.
 * @throws FaceError `IMAGE_UNREADABLE`, StatusError `FAILED_PRECONDITION` on a server without a detector.
 */
export async function detect(
  context: VerbContext,
  model: ModelChoice,
  { image }: PhotoCall,
  { signal }: Required<RunOptions>,
) {
  using _lease = context.models.acquire(model);
  const faces = await detectorOf(context).faces({ file: image, what: WHAT }, signal);
  return { faces: faces.map(describeFace) };
}

/**
 * The embedding of the face that is meant.
 * @throws FaceError `IMAGE_UNREADABLE`, `FACE_NOT_FOUND`, `SEVERAL_FACES` or `FACE_UNFIT`; StatusError
 *   `FAILED_PRECONDITION` for a model that gives no embeddings of photographs.
 */
export async function embed(
  context: VerbContext,
  model: ModelChoice,
  call: PhotoCall,
  options: Required<RunOptions>,
) {
  using lease = context.models.acquire(model);
  const { servable } = lease;
  const { embedding, ...meant } = await embeddingOf(servable, detectorOf(context), call, options);
  return {
    model: servable.name,
    version: String(servable.version),
    embedding: Array.from(embedding, (value) => Number(value.toPrecision(FLOAT_DIGITS))),
    face: faceAnswer(meant),
  };
}

async function embeddingOf(
  servable: Servable,
  photos: PhotoThreads,
  { image, wish = DEFAULT_WISH }: PhotoCall,
  options: Required<RunOptions>,
): Promise<MeantFace & { embedding: Float32Array }> {
  const photograph = { file: image, what: WHAT };
  if (servable instanceof PackServable) return photos.embedding(photograph, wish, options.signal);
  const input = faceInputOf(servable, EMBED.signature);
  if (input === undefined) {
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Model ${servable.name} does not say how a face lies in its images; send crops to its signature ${EMBED.signature}`,
    );
  }
  const { meant, tensor } = await faceTensor(photos, photograph, wish, input, options);
  const [name = ""] = servable.signatures.get(EMBED.signature)?.inputs.keys() ?? [];
  const outputs = await runUntil(
    servable,
    EMBED.signature,
    new Map([[name, tensor]]),
    [EMBED.embedding],
    options,
  );
  return { ...meant, embedding: floats(outputs.get(EMBED.embedding)!) };
}
