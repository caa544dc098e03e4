/** @file An embedding network from elsewhere behind our signatures: pixels as it reads them, embeddings of length 1, their cosine as a score. */
import { FaceError } from "../base/errors.ts";
import { float32, shapeText } from "../base/tensor.ts";
import {
  add,
  constant,
  cut,
  input,
  l2Normalize,
  mul,
  reduceSum,
  reshape,
  sigmoid,
  transpose,
} from "../graph/build.ts";
import { replaceNodes } from "../graph/freeze.ts";
import type { Dim, Node } from "../graph/ops.ts";
import type { ImageSize } from "./model-config.ts";

/** The colours that a network reads: their order, and what black and white are, for each channel in that order. */
export interface PixelFormat {
  readonly order: "rgb" | "bgr";
  /** One range for all channels, or three. */
  readonly ranges: readonly (readonly [black: number, white: number])[];
}

/** A network from elsewhere with one batch of images and one batch of embeddings. */
export interface ImportedNetwork {
  readonly image: Node<"input">;
  /** `[batch, size]`, or `[batch, size, 1, 1]` in any order of axes. */
  readonly output: Node;
  readonly pixels: PixelFormat;
}

/** The head's function of two embeddings' cosine: `slope · cosine + offset` are the log odds. */
export const COSINE_ODDS = { slope: 12, offset: -4 } as const;

const CHANNELS = 3;
const isSecond = ({ shape }: Node) => shape[1] === CHANNELS;

/** The images' size. */
export function importedSize({ image }: ImportedNetwork): ImageSize {
  const [, a, b, c] = image.shape.map(Number);
  return isSecond(image) ? { height: b!, width: c! } : { height: a!, width: b! };
}

const batchOf = ({ image }: ImportedNetwork): Dim => image.shape[0]!;

/** @throws FaceError `MODEL_UNSUPPORTED` for an output that is not one vector for each image. */
export function importedEmbeddingSize({ output }: ImportedNetwork): number {
  const sides = output.shape.slice(1).filter((side) => side !== 1);
  const [size = 1] = sides;
  if (output.shape.length >= 2 && sides.length <= 1 && typeof size === "number" && size > 1) return size;
  throw new FaceError(
    "MODEL_UNSUPPORTED",
    `the network's output has the shape ${shapeText(output.shape)}, an embedding is one vector for each image`,
    { hint: "name the output that is the embedding, if it has one: --embedding NAME" },
  );
}

/** Values in [0, 1] as the network reads them; each channel has its own range where there are three. */
function asRead(image: Node, { order, ranges }: PixelFormat): Node {
  const ordered = order === "rgb" ? image : cut(image, 3, CHANNELS - 1, -Number.MAX_SAFE_INTEGER, -1);
  const values = (of: (range: readonly [number, number]) => number) =>
    constant(float32([ranges.length], Float32Array.from(ranges, of)));
  const isPlain = ranges.every(([black, white]) => black === 0 && white === 1);
  if (isPlain) return ordered;
  return add(
    mul(
      ordered,
      values(([black, white]) => white - black),
    ),
    values(([black]) => black),
  );
}

/** Images `[batch, height, width, 3]`, RGB in [0, 1], and their embeddings `[batch, size]` of length 1. */
export function importedEmbedder(network: ImportedNetwork, name: string): { image: Node; embedding: Node } {
  const { height, width } = importedSize(network);
  const image = input(name, [batchOf(network), height, width, CHANNELS]);
  const read = asRead(image, network.pixels);
  const pixels = isSecond(network.image) ? transpose(read, [0, 3, 1, 2]) : read;
  const [output] = replaceNodes([network.output], (node) => (node === network.image ? pixels : undefined));
  const flat = reshape(output!, [-1, importedEmbeddingSize(network)]);
  return { image, embedding: l2Normalize(flat) };
}

/** Two embeddings `[batch, size]` of length 1 and their score `[batch, 1]` in [0, 1]. */
export function importedComparer(
  network: ImportedNetwork,
  names: { readonly anchor: string; readonly verification: string },
): { anchor: Node; verification: Node; classifier: Node } {
  const shape = [batchOf(network), importedEmbeddingSize(network)];
  const [anchor, verification] = [input(names.anchor, shape), input(names.verification, shape)];
  return { anchor, verification, classifier: cosineScore(anchor, verification) };
}

/** The score of two embeddings of length 1. */
export function cosineScore(a: Node, b: Node): Node {
  const cosine = reduceSum(mul(a, b), { axes: [1], keepDims: true });
  return sigmoid(add(mul(cosine, COSINE_ODDS.slope), COSINE_ODDS.offset));
}
