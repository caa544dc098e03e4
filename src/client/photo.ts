/** @file A photograph as a model wants it: decoded, turned upright, resized to what the model's metadata asks for. */
import { FaceError } from "../base/errors.ts";
import { float32, type Tensor } from "../base/tensor.ts";
import { decodeImage } from "../image/decode.ts";
import { prepare } from "../image/settings.ts";

/** One image input of a signature, as its metadata describes it. */
export interface ImagePort {
  readonly name: string;
  readonly height: number;
  readonly width: number;
}

/** A signature's input, however its protocol spells it. */
export interface DescribedInput {
  readonly name: string;
  /** Sides, -1 where any will do. */
  readonly shape: readonly number[];
}

/** Names of the pair's inputs in faceid's own models: the anchor comes first. */
const FIRST = "anchor_img";

/**
 * The two image inputs of a model that compares faces.
 * @throws FaceError `SERVER_ERROR` when the model takes something else.
 */
export function imagePorts(
  inputs: readonly DescribedInput[],
  model: string,
): readonly [ImagePort, ImagePort] {
  const ports = inputs
    .toSorted((a, b) => Number(b.name === FIRST) - Number(a.name === FIRST) || (a.name < b.name ? -1 : 1))
    .map(({ name, shape }) => ({
      name,
      height: shape[1] ?? 0,
      width: shape[2] ?? 0,
      channels: shape[3],
      rank: shape.length,
    }));
  const fits =
    ports.length === 2 &&
    ports.every((port) => port.rank === 4 && port.height > 0 && port.width > 0 && port.channels === 3);
  if (fits) return ports as unknown as [ImagePort, ImagePort];
  const there = inputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
  throw new FaceError(
    "SERVER_ERROR",
    `${model} does not compare two images: it takes ${there || "nothing"}`,
    {
      hint: "name a model with two inputs of shape [-1, height, width, 3] by --model-name",
    },
  );
}

/** A batch of one photograph: `[1, height, width, 3]`, RGB in [0, 1]. */
export async function readPhoto(path: string, { height, width }: ImagePort): Promise<Tensor<"float32">> {
  const pixels = await decodeImage(path, { height, width, channels: 3 });
  return float32([1, height, width, 3], prepare(pixels));
}
