/** @file Verify, our own verb: two photographs or two crops in, similarity and decision out. */

import type { CalibrationRecord, Decision } from "../artifact/calibration.ts";
import { answeredRate, decisionFor } from "../artifact/calibration.ts";
import { framingIn } from "../artifact/description.ts";
import { lowestFar, roundedScore, unsupportedFarText } from "../artifact/rates.ts";
import { DEFAULT_SIGNATURE } from "../artifact/signatures.ts";
import { bothOf } from "../base/errors.ts";
import { floats, type Tensor, type TensorMap } from "../base/tensor.ts";
import { cosineSimilarity } from "../faces/cosine.ts";
import { DEFAULT_WISH, type FaceWish, faceAnswer, type MeantFace } from "../faces/meant-face.ts";
import { requireContent } from "../image/blank.ts";
import type { ImageSettings } from "../image/settings.ts";
import { imageBatch, imageSettingsOf } from "./engine/image-input.ts";
import { type RunOptions, runUntil, type Servable } from "./engine/servable.ts";
import type { FaceInput, VerbContext } from "./photos/meant-faces.ts";
import { faceInputOf, faceTensor, PAIR_NAMES } from "./photos/meant-faces.ts";
import { PackServable } from "./photos/pack-catalog.ts";
import type { PhotoThreads } from "./photos/photo-threads.ts";
import type { ModelChoice } from "./repository/catalog.ts";
import { invalidArgument, StatusError } from "./status.ts";

/** The images to compare. */
export interface VerifyCall {
  /** Two image files. */
  readonly images: readonly [Uint8Array, Uint8Array];
  /**
   * The accepted false accept rate, between 0 and 1. When it is `undefined`, `usualFar` decides, or for a record without rates the
   * threshold with the most right decisions.
   */
  readonly far: number | undefined;
  /** Which face of either image is meant; `undefined` for the largest ones, whatever their quality. */
  readonly wishes: readonly [FaceWish, FaceWish] | undefined;
}

const DEFAULT_WISHES = [DEFAULT_WISH, DEFAULT_WISH] as const;

type VerifyOptions = Required<RunOptions>;

/** Said of an answer of a server without a detector: images that are no crops of one face get a similarity that means nothing. */
const AS_THEY_ARE =
  "the images were compared as they are, without finding faces; whole photographs take a server with --pack";

/** Whether a model reads crops of faces that lie in a certain way. */
function readsCrops({ description }: Servable): boolean {
  const framing = framingIn(description);
  return framing !== undefined && framing.kind !== "none";
}

interface Compared {
  readonly similarity: number;
  /** The two faces that were compared; absent where the images themselves were. */
  readonly faces?: readonly MeantFace[];
}

/**
 * Compares two images and decides by the model's calibration record. The faces of photographs are found first where the
 * server has a detector and the model says how a face lies in its images; any other model compares the images as they are.
 * @returns the similarity, the faces, and, where the model is calibrated, the decision, its threshold and false accept rate.
 * @throws StatusError for a model that does not compare images or is not calibrated for `far`, FaceError
 *   `IMAGE_UNREADABLE`, `FACE_NOT_FOUND`, `SEVERAL_FACES` or `FACE_UNFIT`.
 */
export async function verify(
  { models, photos }: VerbContext,
  model: ModelChoice,
  call: VerifyCall,
  options: VerifyOptions,
) {
  using lease = models.acquire(model);
  const { servable } = lease;
  const compared = await compare(servable, photos, call, options);
  const { faces } = compared;
  const similarity = roundedScore(compared.similarity);
  const decision = decisionOf(servable, call.far);
  return {
    model: servable.name,
    version: String(servable.version),
    similarity,
    ...(decision && decisionAnswer(similarity, decision)),
    ...(faces === undefined && readsCrops(servable) && { warnings: [AS_THEY_ARE] }),
    ...(faces && { faces: Object.fromEntries(PAIR_NAMES.map((name, i) => [name, faceAnswer(faces[i]!)])) }),
  };
}

/** A decision as `faceid verify --json` gives it, and its rate under the names of earlier versions too. */
function decisionAnswer(similarity: number, decision: Decision) {
  const { threshold, usedFar: _used, weights: _weights, ...rate } = decision;
  const reached = roundedScore(threshold);
  return { same: similarity >= reached, threshold: reached, ...answeredRate(decision), ...rate };
}

const calibrationOf = (servable: Servable): CalibrationRecord | undefined =>
  servable instanceof PackServable ? servable.calibration : servable.description?.calibration;

/** The decision of a model, where it supports one. @param wanted the rate that the request names. */
function decisionOf(servable: Servable, wanted: number | undefined) {
  const calibration = calibrationOf(servable);
  const decision = decisionFor(calibration, wanted);
  if (decision !== undefined || wanted === undefined) return decision;
  const lowest = lowestFar(calibration);
  const remedy =
    calibration === undefined
      ? "faceid calibrate measures its thresholds; until then leave far out"
      : lowest === undefined
        ? "leave far out"
        : `choose ${lowest} or more, or leave far out`;
  throw new StatusError(
    "FAILED_PRECONDITION",
    `Model ${servable.name} ${unsupportedFarText(calibration, wanted)}; ${remedy}`,
  );
}

async function compare(
  servable: Servable,
  photos: PhotoThreads | undefined,
  call: VerifyCall,
  options: VerifyOptions,
): Promise<Compared> {
  if (photos !== undefined && servable instanceof PackServable) return comparePack(photos, call, options);
  const input = photos && faceInputOf(servable, DEFAULT_SIGNATURE);
  if (photos !== undefined && input !== undefined)
    return compareFaces(servable, photos, input, call, options);
  if (call.wishes !== undefined) {
    throw invalidArgument(
      `Model ${servable.name} compares the images as they are, without finding faces; leave face and strict out`,
    );
  }
  const imageOf = async (i: number, size: ImageSettings) => {
    const image = await imageBatch([call.images[i]!], size, options.memory);
    requireContent({ ...size, data: floats(image) }, `the ${PAIR_NAMES[i]!}`);
    return image;
  };
  return { similarity: await comparePair(servable, imageOf, options) };
}

async function comparePack(
  photos: PhotoThreads,
  { images, wishes = DEFAULT_WISHES }: VerifyCall,
  { signal }: VerifyOptions,
): Promise<Compared> {
  const embed = (i: 0 | 1) =>
    photos.embedding({ file: images[i], what: `the ${PAIR_NAMES[i]}` }, wishes[i], signal);
  const faces = await bothOf(embed(0), embed(1));
  const [anchor, verification] = faces.map(({ embedding }) => embedding);
  return { similarity: cosineSimilarity(anchor!, verification!), faces };
}

async function compareFaces(
  servable: Servable,
  photos: PhotoThreads,
  input: FaceInput,
  { images, wishes = DEFAULT_WISHES }: VerifyCall,
  options: VerifyOptions,
): Promise<Compared> {
  const read = (i: 0 | 1) =>
    faceTensor(photos, { file: images[i], what: `the ${PAIR_NAMES[i]}` }, wishes[i], input, options);
  const faces = await bothOf(read(0), read(1));
  const similarity = await comparePair(servable, (i) => faces[i]!.tensor, options);
  return { similarity, faces: faces.map(({ meant }) => meant) };
}

/** @param imageOf the batch of one image for each of the two inputs. */
async function comparePair(
  servable: Servable,
  imageOf: (index: number, size: ImageSettings) => Tensor | Promise<Tensor>,
  { signal, memory }: VerifyOptions,
): Promise<number> {
  const signature = servable.signatures.get(DEFAULT_SIGNATURE);
  const ports = [...(signature?.inputs ?? [])];
  const sizes = ports.map(([, input]) => imageSettingsOf(input));
  const [output] = signature?.outputs.keys() ?? [];
  if (ports.length !== 2 || sizes.includes(undefined) || output === undefined) {
    throw new StatusError(
      "FAILED_PRECONDITION",
      `Model ${servable.name} does not compare two images: its ${DEFAULT_SIGNATURE} signature takes other inputs`,
    );
  }
  const images = await Promise.all(ports.map((_, i) => imageOf(i, sizes[i]!)));
  const inputs: TensorMap = new Map(ports.map(([name], i) => [name, images[i]!]));
  const outputs = await runUntil(servable, DEFAULT_SIGNATURE, inputs, [output], { signal, memory });
  return floats(outputs.get(output)!)[0]!;
}
