/** @file Two photographs as the inputs of a model on a server, by either interface. */
import { PAIR } from "../artifact/signatures.ts";
import { FaceError } from "../base/errors.ts";
import { float32, type Tensor } from "../base/tensor.ts";
import { isOfOneColour } from "../image/blank.ts";
import { cropDoubt } from "../image/crops.ts";
import { decodePixels } from "../image/decode.ts";
import { resizeInto } from "../image/resize.ts";
import type { Answer } from "./answer.ts";
import { excerpt } from "./body.ts";

/** How to ask a server of ours about whole photographs, by its own `:verify`. */
export interface VerifyWish {
  /** Highest false accept rate wanted, between 0 and 1. */
  readonly far?: number | undefined;
  /** Which face is meant where there are several: a choice or a number as `:detect` lists them, for both or each of the two. */
  readonly face?: string | number | readonly [string | number, string | number] | undefined;
  /** Whether a face unfit to be compared is an error. */
  readonly strict?: boolean | undefined;
}

/** One image input of a signature, as its metadata describes it. */
export interface ImagePort {
  readonly name: string;
  readonly height: number;
  readonly width: number;
}

/** An input of a signature, from either protocol. */
export interface DescribedInput {
  readonly name: string;
  /** Sides, -1 for any. */
  readonly shape: readonly number[];
}

/** Longest side that is sent: a REST body of two larger images would be longer than a string can be. */
const MOST_SIDE = 1024;
/** Inputs that an error lists. */
const MOST_LISTED = 8;
/** Characters of them. */
const MOST_DECLARED = 1000;

const isSide = (side: number) => Number.isSafeInteger(side) && side > 0;

function declaredText(inputs: readonly DescribedInput[]): string {
  const listed = inputs.slice(0, MOST_LISTED).map(({ name, shape }) => `${name} [${shape.join(", ")}]`);
  const more = inputs.length - listed.length;
  return excerpt(listed.join(", "), MOST_DECLARED) + (more > 0 ? ` and ${more} more` : "");
}

/**
 * The two image inputs of a model that compares faces, the anchor of our own models first.
 * @throws FaceError `SERVER_ERROR` for a model with other inputs, or images too large to be sent.
 */
export function imagePorts(
  inputs: readonly DescribedInput[],
  model: string,
): readonly [ImagePort, ImagePort] {
  const ports = inputs
    .toSorted(
      (a, b) => Number(b.name === PAIR.anchor) - Number(a.name === PAIR.anchor) || (a.name < b.name ? -1 : 1),
    )
    .map(({ name, shape }) => ({
      name,
      height: shape[1] ?? 0,
      width: shape[2] ?? 0,
      channels: shape[3],
      rank: shape.length,
    }));
  const fits =
    ports.length === 2 &&
    ports.every(
      (port) => port.rank === 4 && isSide(port.height) && isSide(port.width) && port.channels === 3,
    );
  const tooLarge = ports.find(({ height, width }) => Math.max(height, width) > MOST_SIDE);
  if (fits && tooLarge !== undefined) {
    const { name, width, height } = tooLarge;
    throw new FaceError(
      "SERVER_ERROR",
      `${model} takes images of ${width}x${height} pixels as ${name}, at most ${MOST_SIDE} a side are sent`,
      { hint: "models that compare faces take 64 to 224 pixels a side; check the model's metadata" },
    );
  }
  if (fits) return ports as unknown as [ImagePort, ImagePort];
  const problem = `${model} does not compare two images: it takes ${declaredText(inputs) || "no tensors"}`;
  const hint =
    inputs.length === 0
      ? "a model pack answers whole photographs over REST: pass --url instead of --grpc"
      : "name a model with two inputs of shape [-1, height, width, 3] by --model-name";
  throw new FaceError("SERVER_ERROR", problem, { hint });
}

/** A picture that was scaled to the size of a model's input. */
export interface SentPicture {
  readonly path: string;
  /** Its own size in pixels, upright. */
  readonly width: number;
  readonly height: number;
  /** A batch of one: `[1, port.height, port.width, 3]`, RGB in [0, 1]. */
  readonly tensor: Tensor<"float32">;
}

export async function readPicture(path: string, port: ImagePort): Promise<SentPicture> {
  const pixels = await decodePixels(path);
  const image = new Float32Array(port.height * port.width * 3);
  await resizeInto(pixels, { height: port.height, width: port.width, channels: 3 }, image, 0);
  const { width, height } = pixels;
  return { path, width, height, tensor: float32([1, port.height, port.width, 3], image) };
}

/**
 * Says which pictures hardly are crops of a face: those of one colour, and by their size beside the model's.
 * @returns nothing where both may be crops.
 */
export function doubtfulPictures(
  pictures: readonly SentPicture[],
  ports: readonly ImagePort[],
): Pick<Answer, "warnings"> {
  const warnings = pictures.flatMap((picture, i) => {
    const port = ports[i]!;
    if (isOfOneColour({ data: picture.tensor.data, width: port.width, height: port.height })) {
      return [
        `${picture.path} is of one colour, or nearly so: it shows no face, and the answer says nothing`,
      ];
    }
    const doubt = cropDoubt(picture, port, { how: "sent" });
    return doubt === undefined ? [] : [`${picture.path} ${doubt}`];
  });
  return warnings.length === 0 ? {} : { warnings };
}
