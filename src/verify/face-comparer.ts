/** @file What compares faces that were found in photographs: the embedding of a model pack, or an exported model. */

import { stat } from "node:fs/promises";
import type { CalibrationRecord } from "../artifact/calibration.ts";
import { readsAnySize } from "../artifact/description.ts";
import { findModel } from "../artifact/find-model.ts";
import { FaceError } from "../base/errors.ts";
import { sha256OfFile } from "../base/files.ts";
import type { Log } from "../base/log.ts";
import { type Framing, framingFrom, framingText, LFW_FRAMING } from "../faces/alignment.ts";
import { cosineSimilarity } from "../faces/cosine.ts";
import { EMBEDDING_SIDE, EMBEDDING_SIZE } from "../faces/embedder.ts";
import type { Face } from "../faces/face.ts";
import { cropFace } from "../faces/found-faces.ts";
import { type PackModel, packDigest, packModelName } from "../faces/packs/catalogue.ts";
import type { FacePipeline } from "../faces/pipeline.ts";
import type { Pyramid } from "../faces/pyramid.ts";
import { cropDoubt } from "../image/crops.ts";
import { decodePixels } from "../image/decode.ts";
import { resizeInto } from "../image/resize.ts";
import type { Pixels } from "../image/settings.ts";
import { imageSettings, prepare } from "../image/settings.ts";
import type { AnyVerifier, Verifier } from "../model/verifier.ts";
import type { Photo } from "./face-model.ts";
import type { OpenedModel } from "./open-model.ts";

/** What a model makes of crops of faces. */
type CropMeasure =
  | {
      readonly kind: "embeddings";
      /** Numbers in an embedding. */
      readonly embeddingSize: number;
      /** The embedding of a crop. */
      embed(crop: Pixels): Promise<Float32Array>;
      /** How alike two embeddings are. */
      similarity(a: Float32Array, b: Float32Array): Promise<number>;
    }
  | {
      readonly kind: "pairs";
      /** How alike the faces of two crops are. */
      score(a: Pixels, b: Pixels): Promise<number>;
    };

/** A picture that was taken as a crop. */
interface ReadCrop {
  readonly crop: Pixels;
  /** What makes it doubtful by its size, to follow its name. */
  readonly doubt: string | undefined;
}

/** Faces to similarities, by embeddings or, for a model that gives none, two crops at a time. */
export interface FaceComparer extends AsyncDisposable {
  /** The pack's name, or the model's path. */
  readonly name: string;
  /** What `similarity` is. */
  readonly measure: "cosine" | "probability";
  readonly calibration: CalibrationRecord | undefined;
  /** SHA-256 of the file with the weights: embeddings of two digests cannot be compared. */
  readonly digest: string;
  readonly measuring: CropMeasure;
  /** Cuts a face out as the model reads it. */
  crop(photograph: Pyramid, face: Face): Pixels;
  /** Decodes a picture that is such a crop already, scaled to the model's size. */
  readCrop(photo: Photo): Promise<ReadCrop>;
}

async function readSquare(photo: Photo, side: number, ofAnySize: boolean): Promise<ReadCrop> {
  const image = new Float32Array(side * side * 3);
  const pixels = await decodePixels(photo);
  await resizeInto(pixels, imageSettings(side), image, 0);
  const data = Uint8Array.from(image, (value) => Math.round(value * 255));
  const crop = { data, width: side, height: side };
  return { crop, doubt: cropDoubt(pixels, crop, { how: "taken", ofAnySize }) };
}

/** How a pack's embeddings are called and told from others. */
export function packIdentity(model: PackModel): Pick<FaceComparer, "name" | "digest"> {
  return { name: packModelName(model), digest: packDigest(model) };
}

/** The embedding of a pack, whose measure is the cosine. The pipeline stays open. */
export function packComparer(
  model: PackModel,
  pipeline: FacePipeline,
  calibration: CalibrationRecord | undefined,
): FaceComparer {
  return {
    ...packIdentity(model),
    measure: "cosine",
    calibration,
    measuring: {
      kind: "embeddings",
      embeddingSize: EMBEDDING_SIZE,
      embed: (crop) => pipeline.embedCrop(crop),
      similarity: async (a, b) => cosineSimilarity(a, b),
    },
    crop: (photograph, face) => cropFace(photograph, face, { kind: "aligned" }, EMBEDDING_SIDE),
    readCrop: (photo) => readSquare(photo, EMBEDDING_SIDE, false),
    [Symbol.asyncDispose]: async () => {},
  };
}

/**
 * How faces lie in a model's images, in the terms of the face pipeline. A model that does not say so, but was trained on
 * LFW as it is, has LFW's own framing.
 * @param path for the error.
 * @throws FaceError `MODEL_UNSUPPORTED` when faces cannot be cut out for it.
 */
export function framingOf(
  path: string,
  { framing, settings, verifier }: Pick<OpenedModel, "framing" | "settings" | "verifier">,
): Framing {
  const side = verifier.image.height;
  const dataset = settings?.dataset;
  const cut = framing && framingFrom(framing, side);
  if (cut !== undefined) return cut;
  if (framing === undefined && dataset === "lfw") return LFW_FRAMING;
  const what =
    framing === undefined
      ? "does not say how faces lie in its images"
      : `takes faces by ${framingText(framing)} in images of ${side} pixels, which cannot be cut out of a photograph`;
  throw new FaceError("MODEL_UNSUPPORTED", `${path} ${what}`, {
    hint: "faceid train --faces align makes a model that takes whole photographs; faceid verify --no-detect compares pictures that show faces as the training images do",
  });
}

/** SHA-256 of the file that holds a model's weights. @param path as `openModel` answers it. */
export async function weightsDigest(path: string): Promise<string> {
  const isFolder = (await stat(path)).isDirectory();
  return await sha256OfFile(isFolder ? (await findModel(path)).file : path);
}

/** The error for what takes embeddings, where a model gives none. */
export function noEmbeddings(path: string): FaceError {
  return new FaceError("MODEL_UNSUPPORTED", `${path} compares images and gives no embeddings`, {
    hint: "use the SavedModel that it was made from",
  });
}

/** Checks what embedding faces takes: embeddings, and square images. */
export function requireVerifier(path: string, verifier: AnyVerifier): Verifier {
  if (!("compare" in verifier)) throw noEmbeddings(path);
  requireSquare(path, verifier);
  return verifier;
}

function requireSquare(path: string, { image: { height, width } }: AnyVerifier): void {
  if (height !== width) {
    throw new FaceError("MODEL_UNSUPPORTED", `${path} takes images of ${width}x${height} pixels`, {
      hint: "faces of whole photographs are cut out as squares; use a model of square images",
    });
  }
}

function measuringBy(verifier: AnyVerifier): CropMeasure {
  if ("score" in verifier) {
    return {
      kind: "pairs",
      score: async (a, b) => (await verifier.score(prepare(a.data), prepare(b.data), 1))[0]!,
    };
  }
  return {
    kind: "embeddings",
    embeddingSize: verifier.embeddingSize,
    embed: (crop) => verifier.embed(prepare(crop.data), 1),
    similarity: async (a, b) => (await verifier.compare(a, b, 1))[0]!,
  };
}

/**
 * A model by its path, called `name`, whose measure is the probability.
 * @param detects whether faces are cut out of photographs, for which the model must say how they lie in its images.
 * @throws FaceError as `openModel`, or `MODEL_UNSUPPORTED` for a model that cannot compare faces of photographs.
 */
export async function modelComparer(
  name: string,
  path: string,
  detects: boolean,
  log?: Log | undefined,
): Promise<FaceComparer> {
  const { openModel } = await import("./open-model.ts");
  const opened = await openModel(path, undefined, log);
  try {
    const { verifier } = opened;
    requireSquare(path, verifier);
    const side = verifier.image.height;
    const framing = detects ? framingOf(path, opened) : undefined;
    return {
      name,
      measure: "probability",
      calibration: opened.calibration,
      digest: await weightsDigest(opened.path),
      measuring: measuringBy(verifier),
      crop: (photograph, face) => cropFace(photograph, face, framing!, side),
      readCrop: (photo) => readSquare(photo, side, readsAnySize(opened.framing)),
      [Symbol.asyncDispose]: async () => await verifier[Symbol.asyncDispose](),
    };
  } catch (error) {
    await opened.verifier[Symbol.asyncDispose]();
    throw error;
  }
}
