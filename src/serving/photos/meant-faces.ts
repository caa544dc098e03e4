/** @file Faces as a model of the server reads them: what it compares, and how its crops are cut. */

import { framingIn } from "../../artifact/description.ts";
import { float32, type Tensor } from "../../base/tensor.ts";
import { type Framing, framingFrom, framingText } from "../../faces/alignment.ts";
import type { FaceWish, MeantFace } from "../../faces/meant-face.ts";
import { prepareInto } from "../../image/settings.ts";
import { imageSettingsOf } from "../engine/image-input.ts";
import type { Servable } from "../engine/servable.ts";
import type { Models } from "../repository/catalog.ts";
import type { RequestMemory } from "../request-memory.ts";
import { StatusError } from "../status.ts";
import type { Photograph, PhotoThreads } from "./photo-threads.ts";

/** What our own verbs answer from. */
export interface VerbContext {
  readonly models: Models;
  /** Absent on a server without a detector. */
  readonly photos: PhotoThreads | undefined;
}

/** How a face must lie in the images of a served model, and the side of these images. */
export interface FaceInput {
  readonly framing: Framing;
  readonly side: number;
}

/**
 * Where a face must lie for a signature of one or more images.
 * @returns `undefined` for a model whose description names no framing, or `none`: it takes crops.
 * @throws StatusError `FAILED_PRECONDITION` for a framing that cannot be made, or a signature without images.
 */
export function faceInputOf(servable: Servable, signatureName: string): FaceInput | undefined {
  const framing = framingIn(servable.description);
  if (framing === undefined || framing.kind === "none") return undefined;
  const refuse = (reason: string) =>
    new StatusError("FAILED_PRECONDITION", `Model ${servable.name} cannot read photographs: ${reason}`);
  const [input] = servable.signatures.get(signatureName)?.inputs.values() ?? [];
  const size = input === undefined ? undefined : imageSettingsOf(input);
  if (size === undefined) throw refuse(`its signature ${signatureName} takes no images`);
  if (size.height !== size.width) throw refuse(`its images are ${size.width}x${size.height}, not square`);
  const side = size.width;
  const cut = framingFrom(framing, side);
  if (cut !== undefined) return { framing: cut, side };
  throw refuse(`its framing is ${framingText(framing)}, its images have ${side}`);
}

/** A face cut out for a model: what was found, and the model's input of one image. */
export async function faceTensor(
  photos: PhotoThreads,
  photograph: Photograph,
  wish: FaceWish,
  { framing, side }: FaceInput,
  { signal, memory }: { readonly signal: AbortSignal; readonly memory: RequestMemory },
): Promise<{ meant: MeantFace; tensor: Tensor }> {
  const { crop, ...meant } = await photos.crop(photograph, wish, framing, side, signal);
  const pixels = memory.array("float32", crop.length);
  prepareInto(crop, pixels, 0);
  return { meant, tensor: float32([1, side, side, 3], pixels) };
}

/** The names of a photograph pair in requests, answers and errors. */
export const PAIR_NAMES = ["anchor", "verification"] as const;
